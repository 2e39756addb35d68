"""Where model packs of insightface lie, and what is wrong with one that does not load."""

import contextlib
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError

DEMO_PACK = Path(__file__).resolve().parent.parent / "assets" / "demo_pack"
"""The detector and the recogniser that come with the package; they know rendered faces."""

LICENSE_NOTE = "insightface's pretrained packs, buffalo_l among them, are licensed for non-commercial research only"


def find_pack(pack: str | Path | None, root: str | Path | None = None, allow_download: bool = False) -> Path:
    """The folder of a pack.

    Args:
        pack: None for the demo pack, a folder, or a name such as "buffalo_l".
        root: insightface's root, with `models/NAME` inside; by default ~/.insightface, then
            models/insightface below the working directory.
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
    roots = [Path(root).expanduser()] if root else [Path("~/.insightface").expanduser(), Path("models/insightface")]
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


def build_analysis(folder: Path, providers: Sequence[str] | None = None) -> Any:
    """insightface's FaceAnalysis over the pack in a folder, with the detector and the recogniser alone.

    Raises:
        StyleSwapError: insightface is not installed, a file is damaged, or there is no detector.
    """
    _require_insightface()
    with stdout_to_stderr():
        from insightface.app import FaceAnalysis

        try:
            return FaceAnalysis(
                name=str(folder),
                allowed_modules=["detection", "recognition"],
                providers=list(providers or default_providers()),
            )
        except AssertionError as error:
            files = ", ".join(sorted(path.name for path in folder.glob("*.onnx")))
            raise StyleSwapError(
                f"the pack {folder} has no face detector (such as det_10g.onnx), only {files}; add the missing file"
            ) from error
        except _load_errors() as error:
            raise StyleSwapError(
                f"the pack {folder} does not load ({_one_line(error)}); replace the damaged file"
            ) from error


def default_providers() -> list[str]:
    """ONNX Runtime's CUDA provider where the installed build has it, and the CPU behind it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise StyleSwapError("face analysis needs ONNX Runtime: pip install onnxruntime") from error
    available = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]


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
        raise StyleSwapError(f"expected .onnx files (a detector and a recogniser) in {folder}, found none; {remedy}")
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


def _load_errors() -> tuple[type[Exception], ...]:
    """What damaged model files raise: ONNX Runtime's errors have no base class of their own."""
    from google.protobuf.message import Error as ProtobufError
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    runtime_errors = [getattr(state, name) for name in (*names, "RuntimeException") if hasattr(state, name)]
    return (*runtime_errors, ProtobufError, OSError, RuntimeError, ValueError, TypeError, IndexError)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."
