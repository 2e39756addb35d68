"""Exit codes, and messages on stderr; stdout is for results."""

import sys

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def print_note(message: str) -> None:
    """Print a note to the user."""
    print(f"styleswap: note: {message}", file=sys.stderr)
