"""Face analysis packs: finding, downloading and loading insightface's models, with errors that users can act on."""

import contextlib
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..devices import thread_limit
from ..errors import StyleSwapError, one_line
from ..installation.import_failures import require
from .execution_providers import COREML_PROVIDER, available_providers, default_providers
from .insightface_types import FaceAnalysis
from .opencv_zoo import ZOO_NAMES, find_zoo
from .pack_folders import DEFAULT_ROOTS, DEMO_PACK, ZOO_ROOTS
from .pack_licenses import INSIGHTFACE_TERMS

Roots = str | Path | Sequence[str | Path] | None


def find_pack(pack: str | Path | None, root: Roots = None, allow_download: bool = False) -> Path:
    """Folder of a pack.

    Args:
        pack: None for the demo pack, a folder, or a name such as "buffalo_l"; "opencv_zoo" or "opencv" for the files of
            OpenCV Zoo.
        root: Folder that contains `models/NAME`, or several in order of preference; downloads go to the first. By
            default ~/.insightface, then models/insightface in the working directory; for OpenCV Zoo ~/.styleswap and
            the working directory before them.
        allow_download: Download a missing pack by name, through insightface or from OpenCV Zoo.

    Raises:
        StyleSwapError: The pack does not exist, or its download failed.
    """
    if pack is None:
        return _checked(DEMO_PACK, "the demo pack is missing from this installation; install the package again")
    folder = Path(os.path.expanduser(pack))
    if str(pack) in ZOO_NAMES and not any(folder.glob("*.onnx")):
        roots = _roots(root) if root else [*ZOO_ROOTS, *DEFAULT_ROOTS]
        return find_zoo([base / "models" / ZOO_NAMES[0] for base in roots], allow_download)
    if folder.is_dir():
        return _checked(_unnested(folder), "use the folder that contains the .onnx files")
    if folder.is_file() or len(folder.parts) != 1:
        raise StyleSwapError(
            f"expected a folder of .onnx files as the face analysis pack, but {folder} is not a folder; check the path"
        )
    name = folder.name
    roots = _roots(root)
    candidates = [base / "models" / name for base in roots]
    for candidate in candidates:
        if candidate.is_dir():
            return _checked(_unnested(candidate), f"delete the folder and download {name} again")
    if not allow_download:
        raise StyleSwapError(
            f"expected the face analysis pack {name!r} in {candidates[0]}, which does not exist; unpack {name}.zip"
            f" there, or allow insightface to download it (--download). Note: {INSIGHTFACE_TERMS}"
        )
    return _checked(_unnested(_download(name, roots[0])), f"the download of {name} has no models; check the name")


def list_packs(root: Roots = None) -> list[str]:
    """Sorted names of the packs in the roots; no model is read."""
    found = set()
    for models in (base / "models" for base in _roots(root)):
        if models.is_dir():
            found |= {pack.name for pack in models.iterdir() if pack.is_dir() and any(_unnested(pack).glob("*.onnx"))}
    return sorted(found)


def _roots(root: Roots) -> list[Path]:
    if not root:
        return list(DEFAULT_ROOTS)
    return [Path(os.path.expanduser(one)) for one in ([root] if isinstance(root, str | Path) else root)]


def build_analysis(
    folder: Path,
    providers: Sequence[str] | None = None,
    threads: int = 0,
) -> FaceAnalysis:
    """The `FaceAnalysis` of a pack.

    Args:
        folder: Folder of the pack.
        providers: Execution providers of ONNX Runtime, the first of which must work; by default the best available.
        threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.

    Raises:
        StyleSwapError: insightface is not installed, a file is damaged, there is no detector, or ONNX Runtime cannot
            use the requested provider.
    """
    _require_insightface()
    if providers:
        _require_provider(providers[0], available_providers())
    used = list(providers or default_providers())
    # One session for inputs of all shapes; by default insightface creates one for each, with its own copy of the
    # weights. CoreML requires fixed shapes.
    options = {} if used[0] == COREML_PROVIDER else {"static_shape_sessions": False}
    with stdout_to_stderr():
        import insightface.app

        try:
            analysis: FaceAnalysis = insightface.app.FaceAnalysis(
                name=str(folder),
                allowed_modules=["detection", "recognition"],
                providers=used,
                **options,
                **session_options(threads),
            )
        except AssertionError as error:
            files = ", ".join(sorted(path.name for path in folder.glob("*.onnx")))
            raise StyleSwapError(
                f"expected a face detector such as det_10g.onnx in the pack {folder}, found only {files}; add it"
            ) from error
        except load_errors() as error:
            raise StyleSwapError(
                f"the pack {folder} cannot be loaded ({one_line(error)}); replace the damaged file"
            ) from error
    for model in analysis.models.values():
        _honor_options(model, used, threads)
    if providers:
        # ONNX Runtime falls back to the CPU if libraries of an available provider are missing.
        _require_provider(providers[0], analysis.det_model.session.get_providers())
    return analysis


def load_model_file(path: Path, threads: int = 0, providers: Sequence[str] | None = None) -> Any:
    """A model of any of insightface's classes, from its ONNX file; by default on the best provider available.

    Raises:
        StyleSwapError: insightface is not installed, or the file is damaged.
    """
    _require_insightface()
    with stdout_to_stderr():
        from insightface.model_zoo import get_model

        try:
            used = list(providers or default_providers())
            model = get_model(str(path), providers=used, **session_options(threads))
        except load_errors() as error:
            raise StyleSwapError(f"{path} cannot be loaded ({one_line(error)}); replace the damaged file") from error
    if model is not None:
        _honor_options(model, used, threads)
    return model


def _honor_options(model: Any, providers: Sequence[str], threads: int) -> None:
    """Open a model's session again if insightface dropped its options: version 0.7.3 does, which other packs pin."""
    import onnxruntime

    options: Any = session_options(threads)["sess_options"]
    if model.session.get_session_options().intra_op_num_threads != options.intra_op_num_threads:
        model.session = onnxruntime.InferenceSession(str(model.model_file), options, providers=list(providers))


def session_options(threads: int) -> dict[str, Any]:
    """Keyword arguments for an ONNX Runtime session with a number of CPU threads; 0 leaves the choice to it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Without this, idle threads spin and take CPU time from PyTorch.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    threads = threads or thread_limit()
    if threads:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    return {"sess_options": options}


def _require_provider(wanted: str, usable: Sequence[str]) -> None:
    if wanted not in usable:
        raise StyleSwapError(
            f"expected the execution provider {wanted}, but ONNX Runtime can use only {', '.join(usable)}; for CUDA"
            " install onnxruntime-gpu in place of onnxruntime and the CUDA version that it requires, or use the CPU"
        )


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect stdout, to which some versions of insightface print progress, for the whole process."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _unnested(folder: Path) -> Path:
    """The folder with the models; some published archives, such as antelopev2, unpack into NAME/NAME."""
    inner = folder / folder.name
    return inner if not any(folder.glob("*.onnx")) and inner.is_dir() else folder


def _checked(folder: Path, remedy: str) -> Path:
    if not any(folder.glob("*.onnx")):
        raise StyleSwapError(f"expected .onnx files (a detector and a recognizer) in {folder}, found none; {remedy}")
    return folder.resolve()


def _require_insightface() -> None:
    with stdout_to_stderr():
        require("onnxruntime", "insightface.app", purpose="face analysis needs")


def _download(name: str, root: Path) -> Path:
    _require_insightface()
    with stdout_to_stderr():
        from insightface.utils import ensure_available

        try:
            return Path(ensure_available("models", name, root=str(root)))
        # The exceptions of requests are OSErrors; a missing file raises RuntimeError, and an error page is a bad zip.
        except (OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise StyleSwapError(
                f"could not download the pack {name!r} ({one_line(error)}); check the name and the network, or unpack"
                f" {name}.zip into {root / 'models' / name}"
            ) from error


def load_errors() -> tuple[type[Exception], ...]:
    """Exceptions that damaged model files raise; those of ONNX Runtime have no common base class."""
    from google.protobuf.message import Error as ProtobufError
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    runtime_errors = [getattr(state, name) for name in (*names, "RuntimeException") if hasattr(state, name)]
    return (*runtime_errors, ProtobufError, OSError, RuntimeError, ValueError, TypeError, IndexError)
