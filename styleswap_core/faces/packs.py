"""Where model packs of insightface lie, and what is wrong with one that does not load."""

import contextlib
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError
from ..io.assets import ASSETS

DEMO_PACK = ASSETS / "demo_pack"
"""The detector and the recognizer that come with the package; they know rendered faces."""

LICENSE_NOTE = "insightface's pretrained packs, buffalo_l among them, are licensed for non-commercial research only"


PUBLISHED = ("antelopev2", "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc")
"""Packs that insightface publishes and can download by name."""

DEFAULT_ROOTS = (Path("~/.insightface").expanduser(), Path("models/insightface"))

Roots = str | Path | Sequence[str | Path] | None


def find_pack(pack: str | Path | None, root: Roots = None, allow_download: bool = False) -> Path:
    """The folder of a pack.

    Args:
        pack: None for the demo pack, a folder, or a name such as "buffalo_l".
        root: insightface's root, with `models/NAME` inside, or several: the first that has the pack is taken, and a
            download goes to the first. By default ~/.insightface, then models/insightface below the working directory.
        allow_download: let insightface fetch a named pack that is not there.

    Raises:
        StyleSwapError: no such pack, naming what was looked for; or its download failed.
    """
    if pack is None:
        return _checked(DEMO_PACK, "the demo pack is missing from this installation; install the package again")
    folder = Path(pack).expanduser()
    if folder.is_dir():
        return _checked(_unnested(folder), "give the folder that holds the .onnx files")
    if folder.is_file() or len(folder.parts) != 1:
        raise StyleSwapError(f"expected a folder of .onnx files as the face analysis pack, but {folder} is none")
    name = folder.name
    roots = _roots(root)
    candidates = [base / "models" / name for base in roots]
    for candidate in candidates:
        if candidate.is_dir():
            return _checked(_unnested(candidate), f"delete the folder and download {name} again")
    if not allow_download:
        raise StyleSwapError(
            f"face analysis pack {name!r} not found, expected the folder {candidates[0]}; unpack {name}.zip there, or"
            f" allow the download (insightface fetches it). Note: {LICENSE_NOTE}"
        )
    return _checked(_unnested(_download(name, roots[0])), f"the download of {name} holds no models; check the name")


def list_packs(root: Roots = None) -> list[str]:
    """Names of the packs that are on disk below the roots, sorted; reads folders alone, no model."""
    found = set()
    for models in (base / "models" for base in _roots(root)):
        if models.is_dir():
            found |= {pack.name for pack in models.iterdir() if pack.is_dir() and any(_unnested(pack).glob("*.onnx"))}
    return sorted(found)


def _roots(root: Roots) -> list[Path]:
    if not root:
        return list(DEFAULT_ROOTS)
    return [Path(one).expanduser() for one in ([root] if isinstance(root, str | Path) else root)]


def build_analysis(
    folder: Path,
    providers: Sequence[str] | None = None,
    modules: Sequence[str] = ("detection", "recognition"),
    threads: int = 0,
) -> Any:
    """Insightface's FaceAnalysis over the pack in a folder.

    Args:
        modules: which of the pack's models to load, by insightface's names; "detection" must be among them.
        providers: ONNX Runtime's; the first of them must come to work. By default the best that is installed.
        threads: of ONNX Runtime on the CPU; 0: its own choice.

    Raises:
        StyleSwapError: insightface is not installed, a file is damaged, there is no detector, or ONNX Runtime cannot
            use the provider that was asked for.
    """
    _require_insightface()
    if providers:
        _require_provider(providers[0], _available_providers())
    used = list(providers or default_providers())
    # One session for pictures of all shapes; insightface's way is another one, with its own copy of the weights, for each.
    # CoreML alone needs to know shapes beforehand.
    options = {} if used[0] == "CoreMLExecutionProvider" else {"static_shape_sessions": False}
    with stdout_to_stderr():
        from insightface.app import FaceAnalysis

        try:
            analysis = FaceAnalysis(
                name=str(folder),
                allowed_modules=list(modules),
                providers=used,
                **options,
                **session_options(threads),
            )
        except AssertionError as error:
            files = ", ".join(sorted(path.name for path in folder.glob("*.onnx")))
            raise StyleSwapError(
                f"the pack {folder} has no face detector (such as det_10g.onnx), only {files}; add the missing file"
            ) from error
        except load_errors() as error:
            raise StyleSwapError(
                f"the pack {folder} does not load ({_one_line(error)}); replace the damaged file"
            ) from error
    if providers:
        # A build that has the provider still falls back to the CPU where the provider's own libraries are missing.
        _require_provider(providers[0], analysis.det_model.session.get_providers())
    return analysis


def load_model_file(path: Path, threads: int = 0) -> Any:
    """One of insightface's models from its ONNX file.

    Raises:
        StyleSwapError: insightface is not installed, or the file is damaged.
    """
    _require_insightface()
    with stdout_to_stderr():
        from insightface.model_zoo import get_model

        try:
            return get_model(str(path), providers=default_providers(), **session_options(threads))
        except load_errors() as error:
            raise StyleSwapError(f"{path} does not load ({_one_line(error)}); replace the damaged file") from error


def session_options(threads: int) -> dict[str, Any]:
    """Keyword arguments for an ONNX Runtime session with so many CPU threads; 0: its own choice."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Its threads would else keep their cores busy, waiting for a next run, while PyTorch's have work to do on them.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    return {"sess_options": options}


def default_providers() -> list[str]:
    """ONNX Runtime's CUDA provider where the installed build has it, and the CPU behind it."""
    available = _available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]


def _available_providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError as error:
        raise StyleSwapError("face analysis needs ONNX Runtime: pip install onnxruntime") from error
    return onnxruntime.get_available_providers()


def _require_provider(wanted: str, usable: Sequence[str]) -> None:
    if wanted not in usable:
        raise StyleSwapError(
            f"ONNX Runtime cannot use {wanted} here, only {', '.join(usable)}; for CUDA install onnxruntime-gpu (in place"
            " of onnxruntime) with the CUDA version that it was built for, or run on the CPU"
        )


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Some versions of insightface report progress on stdout, which belongs to the program's own output."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _unnested(folder: Path) -> Path:
    """Some published archives (antelopev2) unpack into NAME/NAME."""
    inner = folder / folder.name
    return inner if not any(folder.glob("*.onnx")) and inner.is_dir() else folder


def _checked(folder: Path, remedy: str) -> Path:
    if not any(folder.glob("*.onnx")):
        raise StyleSwapError(f"expected .onnx files (a detector and a recognizer) in {folder}, found none; {remedy}")
    return folder.resolve()


def _require_insightface() -> None:
    with stdout_to_stderr():
        try:
            import insightface.app  # noqa: F401
        except ImportError as error:
            raise StyleSwapError(
                f"face analysis needs insightface ({_one_line(error)}): pip install insightface onnxruntime"
            ) from error


def _download(name: str, root: Path) -> Path:
    _require_insightface()
    with stdout_to_stderr():
        from insightface.utils import ensure_available

        try:
            return Path(ensure_available("models", name, root=str(root)))
        # requests' errors are OSErrors; a missing release file is a RuntimeError, an error page a bad zip.
        except (OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise StyleSwapError(
                f"could not download the pack {name!r} ({_one_line(error)}); check the name and the network, or unpack"
                f" {name}.zip into {root / 'models' / name}"
            ) from error


def load_errors() -> tuple[type[Exception], ...]:
    """What damaged model files raise: ONNX Runtime's errors have no base class of their own."""
    from google.protobuf.message import Error as ProtobufError
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    runtime_errors = [getattr(state, name) for name in (*names, "RuntimeException") if hasattr(state, name)]
    return (*runtime_errors, ProtobufError, OSError, RuntimeError, ValueError, TypeError, IndexError)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."
