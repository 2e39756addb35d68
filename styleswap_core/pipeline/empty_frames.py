"""Streams without faces: thorough searches, which take several times as long as quick ones, from time to time only."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..faces.detected import DetectedFace

# Frames from one thorough search to the next, as long as the picture stays about the same.
INTERVAL = 10
# Mean difference of the pixels, 0..255, from which a frame shows something else. Noise stays below, other pictures
# with the same background do not.
_NEW = 8.0
# Pixels that are compared, about.
_ROWS, _COLUMNS = 72, 128


class _Empty(NamedTuple):
    """A frame in which a thorough search found nothing: its number, its shape, and some of its pixels."""

    number: int
    shape: tuple[int, ...]
    sample: np.ndarray

    def resembles(self, other: "_Empty") -> bool:
        """Whether two frames show about the same."""
        return self.shape == other.shape and float(np.abs(self.sample - other.sample).mean()) < _NEW


class EmptyFrames:
    """Searches the frames of a stream, in order, thoroughly or quickly."""

    def __init__(self, count_doubtful: bool = False) -> None:
        """Start before the first frame.

        Args:
            count_doubtful: Whether a frame with doubtful faces only is one with faces.
        """
        self._count_doubtful = count_doubtful
        self._last: _Empty | None = None

    def search(
        self, number: int, picture: np.ndarray, detect: Callable[[bool], list[DetectedFace]]
    ) -> list[DetectedFace]:
        """The faces of a frame.

        Args:
            number: Number of the frame; some may be left out.
            picture: (H, W, 3) uint8.
            detect: Detects the faces of this frame, quickly if the argument is set.
        """
        frame = _Empty(number, picture.shape, _sample(picture))
        last = self._last
        quick = last is not None and number - last.number < INTERVAL and frame.resembles(last)
        found = detect(quick)
        if any(self._count_doubtful or not face.doubtful for face in found):
            self._last = None
        elif not quick:
            self._last = frame
        return found


def _sample(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[:: max(height // _ROWS, 1), :: max(width // _COLUMNS, 1)].astype(np.int16)
