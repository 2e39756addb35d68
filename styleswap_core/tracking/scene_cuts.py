"""Cuts between scenes."""

from collections import deque

import numpy as np

_SIZE = (64, 36)
_BINS = 32
# A cut changes the picture by this much (mean of the absolute differences, 0..1), and by this factor more than the
# frames before it do.
_MIN_CHANGE, _FACTOR = 0.1, 3.0
# Smallest change of the distribution of gray levels at a cut, 0..1.
_MIN_LEVELS = 0.25
_RECENT = 12


class SceneCuts:
    """Finds the first frames of scenes."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._changes: deque[float] = deque(maxlen=_RECENT)

    def is_cut(self, gray: np.ndarray) -> bool:
        """Whether a frame (H, W) uint8 belongs to another scene than the one before; False for the first frame."""
        import cv2

        small = cv2.resize(gray, _SIZE, interpolation=cv2.INTER_AREA)
        before, self._before = self._before, small
        if before is None:
            return False
        change = float(np.abs(small.astype(np.int16) - before).mean()) / 255.0
        usual = float(np.median(self._changes)) if self._changes else 0.0
        self._changes.append(change)
        if change < max(_MIN_CHANGE, _FACTOR * usual):
            return False
        levels = [
            np.bincount(picture.ravel() // (256 // _BINS), minlength=_BINS) / picture.size
            for picture in (before, small)
        ]
        if float(np.abs(levels[0] - levels[1]).sum()) / 2 < _MIN_LEVELS:
            return False
        self._changes.clear()
        return True
