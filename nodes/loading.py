"""Networks and face analyses by the choices of a node: one of each file exists, whichever nodes use it."""

from collections.abc import Callable, Hashable
from pathlib import Path
from weakref import WeakValueDictionary

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.swappers.guest_files import SUFFIXES as GUEST_SUFFIXES
from ..styleswap_core.swappers.guest_files import read_guest
from .analysis import LoadedAnalysis
from .folders import generator_path, guest_folders, pack_folder
from .host import download_progress
from .loaded_files import changes_of_loaded_files, choice_state, file_state, loaded_state
from .loaded_generator import LoadedGenerator
from .loaded_guest import LoadedGuest, LoadedModel

AUTOMATIC = "automatic"
"""Choice of *family* and *detection_size*."""

# Nodes and ComfyUI's cache hold them; here they are only found again.
_models: WeakValueDictionary[Hashable, LoadedModel] = WeakValueDictionary()
_analyses: WeakValueDictionary[Hashable, LoadedAnalysis] = WeakValueDictionary()


def model_state(model_name: str | None) -> str:
    """State of the file behind a choice of *model_name*, see `loaded_files.choice_state`."""
    return choice_state(model_name, generator_path)


def open_model(model_name: str, family: str = AUTOMATIC, any_recognizer: bool = False) -> LoadedModel:
    """The network behind a choice of *model_name*, under ComfyUI's memory manager.

    Args:
        model_name: The choice.
        family: Family of a network of another program, or AUTOMATIC.
        any_recognizer: See `LoadedGuest`.

    Raises:
        StyleSwapError: The file does not exist, is no swapping network, or needs another file that is missing; or a
            family was chosen for a model of this project.
    """
    path, named = generator_path(model_name), "" if family == AUTOMATIC else family
    key = (model_name, loaded_state(path), named, any_recognizer)
    model = _models.get(key)
    if model is None:
        model = _models[key] = _open_file(model_name, path, named, any_recognizer)
    return model


def _open_file(model_name: str, path: Path, named: str, any_recognizer: bool) -> LoadedModel:
    if path.suffix.lower() in GUEST_SUFFIXES:
        return LoadedGuest(read_guest(path, named), guest_folders(), any_recognizer)
    if named:
        raise StyleSwapError(f"{model_name} is a StyleSwap model, which has no family; set family to {AUTOMATIC}")
    return LoadedGenerator(model_name, path)


def pack_state(pack: str | None) -> str:
    """State of the files behind a choice of *pack*, which changes when one of them does; None for an unknown choice."""
    if pack is None:
        return changes_of_loaded_files()
    try:
        return _states(pack_folder(pack, False), file_state)
    except StyleSwapError:
        return f"{pack}: missing"


def open_pack(
    pack: str, detection_size: str, detection_threshold: float, run_on: str, download: bool
) -> LoadedAnalysis:
    """The face analysis behind a choice of *pack*.

    Args:
        pack: The choice.
        detection_size: Side of the detector's input in pixels, or AUTOMATIC.
        detection_threshold: Minimum confidence of a face, 0..1.
        run_on: Key of `analysis.PROVIDERS`.
        download: Whether a missing pack is downloaded.

    Raises:
        StyleSwapError: A missing pack, or a failed download.
    """
    folder = pack_folder(pack, download, download_progress())
    size = None if detection_size == AUTOMATIC else int(detection_size)
    key = (_states(folder, loaded_state), size, detection_threshold, run_on)
    analysis = _analyses.get(key)
    if analysis is None:
        analysis = _analyses[key] = LoadedAnalysis(folder, size, detection_threshold, run_on)
    return analysis


def _states(folder: Path, state: Callable[[Path], str]) -> str:
    return " ".join(state(file) for file in sorted(folder.glob("*.onnx")))
