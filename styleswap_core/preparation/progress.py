"""Messages and progress of a preparation on the terminal."""

import sys

from tqdm import tqdm

from ..errors import printable


def say(sentence: str) -> None:
    """Print a note to stderr, above progress bars."""
    tqdm.write(f"styleswap: {printable(sentence)}", file=sys.stderr)


def interval() -> float:
    """Seconds between updates of a progress bar; log files need fewer than terminals."""
    return 0.5 if sys.stderr.isatty() else 60.0


def bytes_in_words(count: float) -> str:
    """A number of bytes in MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
