"""Frames of videos at a fixed interval.

Videos are read with PyAV rather than OpenCV: if the size of the frames changes within a video, OpenCV silently
stretches the following frames to the size of the first.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import StyleSwapError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


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
        StyleSwapError: The file is not a readable video, or PyAV is not installed.
    """
    number, due, time = 0, 0.0, 0.0
    size: tuple[int, int] | None = None
    with _opened(path) as (container, stream):
        from av.error import FFmpegError

        stream.thread_type = "AUTO"
        step = 1.0 / float(stream.average_rate or 25)
        try:
            for frame in container.decode(stream):
                time = frame.time if frame.time is not None else time + step
                if size is not None and (frame.width, frame.height) != size:
                    report(
                        f"changes its size from {size[0]} x {size[1]} to {frame.width} x {frame.height} after "
                        f"{time:.1f} s; frames of both sizes are used"
                    )
                size = frame.width, frame.height
                # Times may start anywhere, and are rounded to the clock of the container.
                if number and time < due - 1e-3:
                    continue
                due = time + seconds
                if number >= first:
                    picture = frame.to_ndarray(format="rgb24")
                    quarters = round(getattr(frame, "rotation", 0) / 90)  # counterclockwise
                    yield Frame(number, time, np.ascontiguousarray(np.rot90(picture, quarters)))
                number += 1
        except FFmpegError as error:
            report(f"is damaged after {time:.1f} s ({error.strerror}); the frames before are used")
    if number == 0:
        raise StyleSwapError("contains no readable frame")


def count_frames(path: Path, seconds: float) -> int:
    """Approximate number of frames that `frames` yields, from the header alone; 1 if it is unknown."""
    try:
        with _opened(path) as (container, stream):
            from av import time_base

            duration = container.duration / time_base if container.duration else 0.0
            rate = float(stream.average_rate or 25)
            return max(1, round(duration / max(seconds, 1.0 / rate)))
    except StyleSwapError:
        return 1


@contextmanager
def _opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """The container and its first video stream.

    Raises:
        StyleSwapError: The file is not a readable video, or PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise StyleSwapError("is a video, and reading videos needs PyAV: pip install av") from error
    try:
        if path.stat().st_size == 0:
            raise StyleSwapError("is empty (0 bytes)")
        # Opened as a file, since FFmpeg interprets protocols and patterns in names.
        with open(path, "rb") as file, av.open(file, metadata_errors="replace") as container:
            if not container.streams.video:
                raise StyleSwapError("contains no video stream")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise StyleSwapError(f"is not a readable video ({error.strerror})") from error
    except OSError as error:
        raise StyleSwapError(f"cannot be read ({error.strerror})") from error
