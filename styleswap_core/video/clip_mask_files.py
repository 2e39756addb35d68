"""Masks from a file: a gray picture for all frames, or a gray video with one for each frame."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..io.file_kinds import is_picture_name
from ..io.images import load_image
from ..media.animated_files import is_animation
from ..media.animations import decodable
from ..media.frame_reader import TimedFrame, VideoReader, frame_near, open_video
from ..media.video_source import VideoInfo, exact_seconds, read_info


class MaskVideo:
    """A gray video of which each frame is the mask of one frame of the swapped video; white is 1."""

    def __init__(self, path: Path, start: float = 0.0) -> None:
        """Open a video.

        Args:
            path: The file.
            start: Seconds at which its first mask that is needed lies.

        Raises:
            UnreadableVideo: Not a readable video.
        """
        self.path = path
        self._start = exact_seconds(start)
        # Times of the masks, once they are needed.
        self._times: list[int] | None = None
        with decodable(path) as readable:
            read_info(readable, str(path))

    def from_frame(self, first: int) -> Iterator[torch.Tensor]:
        """Masks (h, w), 0..1, from a number on."""
        if first and self._times is None:
            self.index()
        with decodable(self.path) as readable:
            info = read_info(readable, str(self.path))
            with open_video(readable, info) as reader:
                if first and self._times is not None:
                    frames = reader.frames(self._times[first - 1]) if first <= len(self._times) else iter(())
                else:
                    frames = reader.frames(self._before(reader))
                for timed in frames:
                    yield _mask(info, timed)

    def at(self, time: Fraction) -> torch.Tensor | None:
        """The mask (h, w) at a time in seconds."""
        with decodable(self.path) as readable:
            info = read_info(readable, str(self.path))
            timed = frame_near(readable, info, time)
            return None if timed is None else _mask(info, timed)

    def index(self) -> None:
        """Find the times of all masks, so that `from_frame` need not decode those before the first one."""
        with decodable(self.path) as readable:
            info = read_info(readable, str(self.path))
            with open_video(readable, info) as reader:
                self._times = [timed.pts for timed in reader.frames(self._before(reader))]

    def _before(self, reader: VideoReader) -> int | None:
        """Time after which the masks begin; None for the start of the file."""
        info = reader.info
        return info.first_pts + round(self._start / info.time_base) - 1 if self._start else None


def _mask(info: VideoInfo, timed: TimedFrame) -> torch.Tensor:
    return torch.from_numpy(info.layout.rgb(timed.frame).astype(np.float32).mean(2) / 255)


def read_mask_file(path: Path, start: float = 0.0) -> torch.Tensor | MaskVideo:
    """The masks in a file.

    Args:
        path: A picture, or a video.
        start: Seconds of a video that are skipped.

    Raises:
        StyleSwapError: The file cannot be read.
    """
    if is_picture_name(path) and not (path.is_file() and is_animation(path)):
        return torch.from_numpy(load_image(path)).float().mean(2) / 255
    return MaskVideo(path, start)
