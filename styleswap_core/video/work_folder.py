"""Folder with the finished segments of a video, from which interrupted work goes on."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from .. import __version__
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..io.files import atomic_write, file_state
from ..io.folder_lock import LOCK
from ..io.json_text import read_record
from .clip_plan import ClipPlan
from .clip_request import ClipRequest

_PLAN = "plan.json"


def work_folder(out: Path) -> Path:
    """Folder for the segments of a result, beside it."""
    return out.with_name(f".{out.name}.parts")


def open_work_folder(folder: Path, fingerprint: Mapping[str, str], resume: bool) -> bool:
    """Prepare a folder for segments.

    Args:
        folder: The folder, which is locked.
        fingerprint: What determines the segments.
        resume: Keep segments that the folder holds; otherwise they are deleted.

    Returns:
        Whether there is earlier work to go on with.

    Raises:
        StyleSwapError: The segments in the folder have another fingerprint, or the folder cannot be written.
    """
    if resume and (folder / _PLAN).is_file():
        before = read_record(folder / _PLAN)
        if before is None:
            raise StyleSwapError(
                f"cannot go on with the work in {folder}: its {_PLAN} is damaged; start again without --resume"
            )
        changed = [name for name, value in fingerprint.items() if before.get(name) != value]
        if changed:
            raise StyleSwapError(
                f"cannot go on with the work in {folder}: {' and '.join(changed)} differ from those of the interrupted"
                " run; give the same options, or start again without --resume"
            )
        return True
    try:
        for path in folder.iterdir():
            if path.name != LOCK:
                path.unlink()
    except OSError as error:
        raise StyleSwapError(f"cannot write into {folder.parent}: {error.strerror}; choose another folder") from error
    with atomic_write(folder / _PLAN) as temporary:
        temporary.write_text(json.dumps(dict(fingerprint), indent=1), encoding="utf-8")
    return False


def has_work(folder: Path) -> bool:
    """Whether there is anything in a folder from which work can go on."""
    return folder.is_dir() and any(path.name not in (_PLAN, LOCK) for path in folder.iterdir())


def remove_work_folder(folder: Path) -> None:
    """Delete a folder with segments."""
    shutil.rmtree(folder, ignore_errors=True)


def fingerprint(plan: ClipPlan, request: ClipRequest) -> dict[str, str]:
    """Everything that determines the segments of a video, by the names that users know.

    The device is left out: its results differ by less than a viewer can see, and work may go on elsewhere.
    """
    model, analysis, masks = request.swapper.model, request.swapper.analysis, request.swapper.masks
    encoder = {name: str(value) for name, value in asdict(replace(plan.encoder, notes=())).items()}
    return {
        "version": __version__,
        "target": _file(plan),
        "start and duration": f"{plan.cut.start} {plan.cut.end}",
        "encoder": json.dumps(encoder),
        "blending options": str(plan.options.blending),
        "file of masks": "" if plan.masks is None else plan.masks.out.suffix or "pictures",
        "length of segments": str(plan.options.segment_frames),
        "tracking options": str(plan.options.tracking),
        "model": f"{model.name} {model.sha256}",
        "face analysis": f"{analysis.recognizer} {getattr(analysis, 'settings', '')}",
        "face masks": "" if masks is None else masks.fingerprint,
        "identity": " ".join(one.fingerprint for one in request.identities),
        "choice of faces": _text(request.choice),
        "swap options": str(request.swap_options),
        "masks to keep": request.keep.fingerprint,
        "masks of faces": request.only_in.fingerprint,
    }


def _file(plan: ClipPlan) -> str:
    if isinstance(plan.original, Path):
        return file_state(plan.original)
    return hashlib.sha256(plan.original.getbuffer()).hexdigest()


def _text(value: object) -> str:
    """Text that is equal for equal values."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, tuple):
        return " ".join(_text(part) for part in value)
    if isinstance(value, FaceChoice):
        return " ".join(f"{one.name}={_text(getattr(value, one.name))}" for one in fields(value))
    return str(value)
