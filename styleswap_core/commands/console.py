"""Exit codes, and messages on stderr; stdout is for results."""

import sys

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def print_note(message: str) -> None:
    """Print a note to the user."""
    print(f"styleswap: note: {message}", file=sys.stderr)


def print_error(message: str) -> None:
    """Print an error after which the command goes on."""
    print(f"styleswap: error: {' '.join(message.split())}", file=sys.stderr)
