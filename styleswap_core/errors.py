"""The exception for problems that a user can fix, and the wording of names, foreign text and numbers in messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from unicodedata import category

# Parts of words in some scripts, and of emoji.
_JOINERS = "\u200c\u200d"


class StyleSwapError(ValueError):
    """A problem that the user can fix; the message is one line: what was expected, what was found, what to do.

    Names in the message, which may come from hostile files, are made `printable`.
    """

    # ComfyUI's dialog shows it. There, the real name of the module starts with the pack's path.
    __module__ = "styleswap_core.errors"

    def __init_subclass__(cls) -> None:
        _, package, module = cls.__module__.rpartition("styleswap_core.")
        cls.__module__ = package + module

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: object) -> str:
    """Text of foreign origin for a terminal: on one line, with everything that cannot be printed escaped as in Python.

    Escape sequences in names of files, tensors and classes would otherwise reach the terminal, and bytes of names that
    are not UTF-8 (surrogates) would end the program.
    """
    return "".join(
        c if c.isprintable() or c in _JOINERS or category(c) == "Zs" else c.encode("unicode_escape").decode()
        for c in str(text)
    )


def one_line(error: BaseException, limit: int = 200) -> str:
    """Message of an exception on one line, shortened to `limit` characters; the exception's type if it is empty."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"{text[:limit]}..."


@contextmanager
def decoding(problem: str, remedy: str) -> Iterator[None]:
    """Boundary around a decoder of another package.

    Which exceptions a decoder raises for damaged data depends on its version and on where the damage is, so all of them
    become one kind.

    Args:
        problem: What is wrong if it raises, such as "PATH is damaged".
        remedy: What to do about it.

    Raises:
        StyleSwapError: The decoder raised anything but a StyleSwapError; the message is
            "PROBLEM (its reason); REMEDY".
    """
    try:
        yield
    except StyleSwapError:
        raise
    except Exception as error:
        raise StyleSwapError(f"{problem} ({one_line(error)}); {remedy}") from error
    except BaseException as error:
        # Panics of packages written in Rust are no `Exception`.
        if type(error).__name__ != "PanicException":
            raise
        raise StyleSwapError(f"{problem} ({one_line(error)}); {remedy}") from error


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as "1 face" or "3 faces"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
