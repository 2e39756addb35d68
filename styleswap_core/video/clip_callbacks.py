"""What is called while a video is swapped."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..media.frame_planes import FrameLayout
from ..media.frame_reader import TimedFrame
from ..pipeline.results import FrameReport


@dataclass(frozen=True, eq=False)
class RunningFrame:
    """A frame on its way to the encoder.

    Attributes:
        number: Its number, from 0.
        timed: The swapped frame.
        layout: Its form.
        report: What was swapped.
    """

    number: int
    timed: TimedFrame
    layout: FrameLayout
    report: FrameReport

    def picture(self) -> np.ndarray:
        """The swapped picture, upright and with square pixels, (H, W, 3) uint8 RGB.

        It is converted when it is asked for, and must not be asked for after the callback returns.
        """
        return self.layout.rgb(self.timed.frame)


def _ignore(value: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, eq=False)
class ClipCallbacks:
    """Functions that are called while a video is swapped; an exception of one of them ends the work.

    Attributes:
        on_frame: Called with the number of each frame before it is swapped.
        on_followed: Called with the number of each frame while faces are followed, before any is swapped.
        on_result: Called with each frame after it is swapped.
    """

    on_frame: Callable[[int], None] = _ignore
    on_followed: Callable[[int], None] = _ignore
    on_result: Callable[[RunningFrame], None] = _ignore


NO_CALLBACKS = ClipCallbacks()
