"""Packages that cannot be imported: which one it is, the first cause, and the sentence for the user."""

import importlib
import traceback
from types import ModuleType, TracebackType
from typing import NamedTuple

from ..errors import StyleSwapError, one_line
from .needed_packages import Needed, needed, package_of, pip
from .remedies import LEFTOVERS, remedy

# This package's name, which in ComfyUI starts with the pack's path, and that of the pack's nodes.
_CORE = __name__.rpartition(".installation.")[0]
_PACK = _CORE.rpartition(".")[0]
_OWN = (_CORE, f"{_PACK}.nodes") if _PACK else (_CORE,)


class ImportFailure(NamedTuple):
    """Why a package cannot be imported.

    Attributes:
        package: Name for pip of the package at fault, which may be one that the imported package needs.
        cause: The first cause, on one line; empty if the package is not installed.
        remedy: What to do.
    """

    package: str
    cause: str
    remedy: str

    def sentence(self, purpose: str = "") -> str:
        """The failure as a sentence, which may start with what the package is needed for, such as "masks need"."""
        state = f"does not load ({self.cause})" if self.cause else "is not installed"
        return (
            f"{purpose} {self.package}, which {state}; {self.remedy}"
            if purpose
            else (f"{self.package} {state}; {self.remedy}")
        )


def first_cause(error: BaseException) -> BaseException:
    """The exception at the start of a chain."""
    while before := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = before
    return error


def examine_failure(error: BaseException, imported: str, log: str = "") -> ImportFailure:
    """Why the import of a module failed.

    Args:
        error: What it raised.
        imported: The module.
        log: What was printed meanwhile; NumPy explains there why another package does not fit it.
    """
    first = first_cause(error)
    absent = first.name or "" if isinstance(first, ModuleNotFoundError) else ""
    frames = [*_frames(error.__traceback__), *_frames(first.__traceback__)]
    names = [imported, *(name for name, function in frames if function == "<module>"), absent]
    one = next((one for name in reversed(names) if (one := needed(name))), Needed(package_of(imported), imported))
    if absent == one.module.split(".")[0]:
        return ImportFailure(one.package, "", f"run: {pip(f'install {one.package}')}")
    cause = one_line(first)
    return ImportFailure(one.package, cause, remedy(one, cause, absent, log))


def explain(error: Exception) -> ImportFailure | None:
    """Why an import in this package's code failed; None if the error is of another kind."""
    frames = _frames(error.__traceback__)
    own = max((number for number, (name, _) in enumerate(frames) if _is_own(name)), default=-1)
    after = frames[own + 1 :]
    first = first_cause(error)
    if after and after[0][1] == "<module>":
        # Statements of another package's module run only when it is imported.
        return examine_failure(error, after[0][0])
    if not after and isinstance(first, ImportError) and first.name and needed(first.name):
        return examine_failure(error, first.name)
    return None


def load(module: str) -> ModuleType:
    """Import a module of a needed package, and check that it is more than leftovers.

    Raises:
        ImportError: It is not there. A module that is broken may raise anything.
    """
    loaded, one = importlib.import_module(module), needed(module)
    if one is not None and one.attribute and module == one.module and not hasattr(loaded, one.attribute):
        places = ", ".join(getattr(loaded, "__path__", ())) or getattr(loaded, "__file__", "")
        raise ImportError(f"{LEFTOVERS} {one.package} are in {places}", name=module)
    return loaded


def require(*modules: str, purpose: str = "", install: str = "", then: str = "") -> None:
    """Import modules of needed packages, so that a broken installation is reported before anything else is done.

    Args:
        modules: Values of `Needed.module`.
        purpose: Start of the message, such as "face detection needs".
        install: What pip is to install if a package is missing; by default that package.
        then: What to do after the remedy, such as "and restart ComfyUI".

    Raises:
        StyleSwapError: One of them cannot be imported, or is not what it should be.
    """
    for module in modules:
        try:
            load(module)
        except Exception as error:
            failure = examine_failure(error, module)
            if install and not failure.cause:
                failure = failure._replace(remedy=f"run: {pip(f'install {install}')}")
            raise StyleSwapError(failure.sentence(purpose) + (f" {then}" if then else "")) from error


def _frames(trace: TracebackType | None) -> list[tuple[str, str]]:
    """Module and function of each frame, without those of Python's import system."""
    frames = ((frame.f_globals.get("__name__", ""), frame.f_code.co_name) for frame, _ in traceback.walk_tb(trace))
    return [(name, function) for name, function in frames if name.split(".")[0] != "importlib"]


def _is_own(name: str) -> bool:
    return any(name == own or name.startswith(f"{own}.") for own in _OWN)
