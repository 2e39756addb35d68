"""Messages of subcommands on stderr; stdout is for results."""

import sys


def print_note(message: str) -> None:
    """Print a note to the user."""
    print(f"styleswap: note: {message}", file=sys.stderr)
