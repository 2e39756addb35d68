"""Frames of videos at a fixed interval."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import StyleSwapError
from ..media.frame_reader import open_video
from ..media.video_source import UnreadableVideo, read_info


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        number: Counts the selected frames, from 0.
        time: Seconds.
        picture: (H, W, 3) uint8 RGB, upright.
    """

    number: int
    time: float
    picture: np.ndarray


def frames(path: Path, seconds: float, first: int, report: Callable[[str], None]) -> Iterator[Frame]:
    """Frames of a video; every call selects the same ones.

    Args:
        path: The video file.
        seconds: Minimum interval between selected frames.
        first: Number of the first frame to yield.
        report: Called with a sentence if the video is damaged or changes its size; reading continues if possible.

    Raises:
        StyleSwapError: The file is not a readable video; the message begins with what is wrong with it.
    """
    number, due = 0, 0.0
    size: tuple[int, int] | None = None
    try:
        info = read_info(path)
        with open_video(path, info) as reader:
            for timed in reader.pictures():
                height, width = timed.layout.size
                if size is not None and (width, height) != size:
                    report(
                        f"changes its size from {size[0]} x {size[1]} to {width} x {height} after {timed.time:.1f} s;"
                        " frames of both sizes are used"
                    )
                size = width, height
                # Times may start anywhere, and are rounded to the clock of the container.
                if number and timed.time < due - 1e-3:
                    continue
                due = timed.time + seconds
                if number >= first:
                    yield Frame(number, timed.time, timed.rgb())
                number += 1
            for sentence in reader.damage.sentences():
                report(f"is damaged: {sentence}")
    except UnreadableVideo as error:
        raise StyleSwapError(error.fault) from error


def count_frames(path: Path, seconds: float) -> int:
    """Approximate number of frames that `frames` yields; 1 if it is unknown."""
    try:
        info = read_info(path)
    except StyleSwapError:
        return 1
    return max(1, round(info.frames / info.rate / max(seconds, 1.0 / float(info.rate))))
