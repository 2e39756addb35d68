"""Argument types of the command line: each converts a word, or says in one line what was expected."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable


def whole_number(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """Argument type for a whole number from `least` to `most`."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def convert(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise ArgumentTypeError(f"expected a whole number {bounds}, got {word!r}")
        return value

    return convert


def number(least: float, most: float) -> Callable[[str], float]:
    """Argument type for a number from `least` to `most`."""

    def convert(word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ArgumentTypeError(f"expected a number from {least:g} to {most:g}, got {word!r}")
        return value

    return convert


fraction = number(0.0, 1.0)
"""Argument type for a number from 0 to 1."""


def face_choice(word: str) -> str | list[int]:
    """Argument type for `largest`, `all`, or face numbers separated by commas, counted from 0."""
    if word in ("largest", "all"):
        return word
    parts = [part.strip() for part in word.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ArgumentTypeError(f"expected largest, all, or face numbers such as 0,2; got {word!r}")
    return [int(part) for part in parts]
