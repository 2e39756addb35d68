"""Files behind choices: whether they have changed, so that nodes load them again. Does not import ComfyUI.

A node whose file another node names does not know the name before it runs. The state of all files that it could name
would change whenever *Save Identity* writes one, and everything after it would run again for nothing.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.io.files import file_state as existing_file_state

_states: dict[Path, str] = {}
_changes: Counter[Path] = Counter()


def file_state(path: Path) -> str:
    """State of a file that may be missing, see `io.files.file_state`."""
    try:
        return existing_file_state(path)
    except OSError:
        return f"{path}:missing"


def loaded_state(path: Path) -> str:
    """State of a file that is about to be loaded, which is remembered for `changes_of_loaded_files`."""
    _states[path] = file_state(path)
    return _states[path]


def changes_of_loaded_files() -> str:
    """A text that changes when a file changes that was loaded before."""
    for path, state in _states.items():
        now = file_state(path)
        if now != state:
            _states[path] = now
            _changes[path] += 1
    return " ".join(f"{path}:{count}" for path, count in sorted(_changes.items()))


def choice_state(name: str | None, path: Callable[[str], Path]) -> str:
    """State of the file behind a choice, which changes when the file does.

    Args:
        name: The choice; None if another node makes it.
        path: File behind a choice; raises `StyleSwapError` if there is none.
    """
    if name is None:
        return changes_of_loaded_files()
    try:
        return file_state(path(name))
    except StyleSwapError:
        return f"{name}: missing"
