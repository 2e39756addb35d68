"""Frames of videos, some seconds apart.

Read with PyAV and not with OpenCV: where the size of the frames changes, OpenCV silently stretches what follows into
the size of the first.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import StyleSwapError


class Frame(NamedTuple):
    """One frame: the how many-th of those looked at, its time in seconds, (H, W, 3) uint8 RGB, upright."""

    number: int
    time: float
    picture: np.ndarray


def frames(path: Path, seconds: float, first: int, tell: Callable[[str], None]) -> Iterator[Frame]:
    """Frames at least `seconds` apart, from the `first`-th of them on; the same ones at every call.

    Args:
        tell: gets a sentence where the video is damaged or changes its size; reading goes on as far as it can.

    Raises:
        StyleSwapError: not a video that can be read, or PyAV is not installed.
    """
    number, due, size, time = 0, 0.0, None, 0.0
    with _opened(path) as (av, container, stream):
        stream.thread_type = "AUTO"
        step = 1.0 / float(stream.average_rate or 25)
        try:
            for frame in container.decode(stream):
                time = frame.time if frame.time is not None else time + step
                if size is not None and (frame.width, frame.height) != size:
                    tell(
                        f"changes its size from {size[0]} x {size[1]} to {frame.width} x {frame.height} after "
                        f"{time:.1f} s; frames of both sizes are used"
                    )
                size = frame.width, frame.height
                # Times may start anywhere and are rounded to the container's clock.
                if number and time < due - 1e-3:
                    continue
                due = time + seconds
                if number >= first:
                    picture = frame.to_ndarray(format="rgb24")
                    quarters = round(getattr(frame, "rotation", 0) / 90)  # anticlockwise
                    yield Frame(number, time, np.ascontiguousarray(np.rot90(picture, quarters)))
                number += 1
        except av.error.FFmpegError as error:
            tell(f"is damaged after {time:.1f} s ({error.strerror}); the frames before are used")
    if number == 0:
        raise StyleSwapError("has no frame that can be read")


def count_frames(path: Path, seconds: float) -> int:
    """About how many frames `frames` gives, from the header alone; 1 where that says nothing. For forecasts."""
    try:
        with _opened(path) as (av, container, stream):
            duration = container.duration / av.time_base if container.duration else 0.0
            rate = float(stream.average_rate or 25)
            return max(1, round(duration / max(seconds, 1.0 / rate)))
    except StyleSwapError:
        return 1


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """The library, the container and its first video stream."""
    try:
        import av
    except ImportError as error:
        raise StyleSwapError("is a video, and reading videos needs PyAV: pip install av") from error
    try:
        if path.stat().st_size == 0:
            raise StyleSwapError("is empty (0 bytes)")
        # Opened here: a name alone would be searched for protocols and patterns by the library.
        with open(path, "rb") as file, av.open(file, metadata_errors="replace") as container:
            if not container.streams.video:
                raise StyleSwapError("holds no video stream")
            yield av, container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise StyleSwapError(f"is not a video that can be read ({error.strerror})") from error
    except OSError as error:
        raise StyleSwapError(f"cannot be read ({error.strerror})") from error
