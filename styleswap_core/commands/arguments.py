"""Types of command-line arguments: each turns a word into a value or says in one line what it should have been."""

from argparse import ArgumentTypeError


def whole_number(least: int = 1, most: int | None = None):
    """A type for argparse: a whole number of at least `least` and at most `most`."""
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


def fraction(word: str) -> float:
    """A type for argparse: a number from 0 to 1."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ArgumentTypeError(f"expected a number from 0 to 1, got {word!r}")
    return value


def face_choice(word: str) -> str | list[int]:
    """A type for argparse: `largest`, `all`, or face numbers with commas between them, counted from 0."""
    if word in ("largest", "all"):
        return word
    parts = [part.strip() for part in word.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ArgumentTypeError(f"expected largest, all, or face numbers such as 0,2; got {word!r}")
    return [int(part) for part in parts]
