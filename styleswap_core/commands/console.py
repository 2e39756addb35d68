"""Exit codes, and messages on stderr; stdout is for results."""

import sys

from ..errors import printable

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def print_lines(*lines: str) -> None:
    """Print results, each on one line, with what cannot be printed in names escaped."""
    print("\n".join(map(printable, lines)))


def print_note(message: str) -> None:
    """Print a note to the user."""
    print(f"styleswap: note: {printable(message)}", file=sys.stderr)


def print_error(message: str) -> None:
    """Print an error after which the command goes on."""
    print(f"styleswap: error: {printable(' '.join(message.split()))}", file=sys.stderr)
