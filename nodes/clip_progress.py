"""Progress of a video that is being swapped, as ComfyUI shows it."""

import time

import comfy.utils
import numpy as np
from PIL import Image

from ..styleswap_core.video.clip_callbacks import ClipCallbacks, RunningFrame
from .clip_texts import describe_progress
from .host import check_interrupted, show_text

# Converting and sending a preview takes about as long as swapping a frame on a fast GPU.
_SHOWN_EVERY = 0.5
_PREVIEW_SIDE = 512


class ClipProgress:
    """Progress bar, text and preview; every call checks for cancellation."""

    def __init__(self, frames: int, tracking: bool) -> None:
        """Start before the first frame.

        Args:
            frames: Approximate number of frames; 0 if unknown.
            tracking: Whether faces are followed through all frames before they are swapped.
        """
        self._frames, self._before = frames, frames if tracking else 0
        self._bar = comfy.utils.ProgressBar(max(1, frames + self._before))
        self._phase, self._began, self._first = "", 0.0, 0
        self._shown = self._pictured = 0.0

    @property
    def callbacks(self) -> ClipCallbacks:
        """What the core calls."""
        return ClipCallbacks(self.swap, self.follow, self.show)

    def follow(self, frame: int) -> None:
        """Before faces are followed to a frame, by its number."""
        self._step("following faces", frame, 0)

    def swap(self, frame: int) -> None:
        """Before a frame is swapped, by its number."""
        self._step("swapping", frame, self._before)

    def show(self, frame: RunningFrame) -> None:
        """After a frame was swapped."""
        now = time.monotonic()
        if now - self._pictured >= _SHOWN_EVERY:
            self._pictured = now
            preview = ("JPEG", _preview(frame.picture()), None)
            self._bar.update_absolute(self._before + frame.number + 1, preview=preview)

    def _step(self, phase: str, frame: int, before: int) -> None:
        check_interrupted()
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._began, self._first = phase, now, frame
        self._bar.update_absolute(before + frame)
        if now - self._shown >= _SHOWN_EVERY:
            self._shown = now
            show_text(describe_progress(phase, frame, self._frames, now - self._began, frame - self._first))


def _preview(picture: np.ndarray) -> Image.Image:
    """A picture (H, W, 3) uint8 at the size of a preview."""
    image = Image.fromarray(picture)
    image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    return image
