"""Sampling of frames from video files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import StyleSwapError
from ..io.file_kinds import VIDEO_SUFFIXES
from ..io.images import MIN_SIDE
from ..media.frame_reader import open_video
from ..media.video_source import VideoInfo, read_info


def videos_in(folder: Path) -> dict[str, Path]:
    """Video files of a folder by their names without suffix, in alphabetical order.

    Raises:
        StyleSwapError: The path is not a folder, it contains no video, or two videos differ only in their suffixes.
    """
    if not folder.is_dir():
        raise StyleSwapError(f"expected a folder of videos, but {folder} is not a folder; check the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            if path.stem in found:
                raise StyleSwapError(f"{path} and {found[path.stem]} have the same name; rename or move one of them")
            found[path.stem] = path
    if not found:
        raise StyleSwapError(f"expected videos ({', '.join(VIDEO_SUFFIXES)}) in {folder}, found none; check the folder")
    return found


def evenly_spaced(length: int, count: int) -> list[int]:
    """Indices of `count` of `length` frames: the middles of `count` equal parts. All frames if there are fewer."""
    if length <= count:
        return list(range(length))
    return [(2 * part + 1) * length // (2 * count) for part in range(count)]


def sample_frames(videos: Sequence[Path], count: int) -> tuple[list[int], list[list[np.ndarray]]]:
    """The same `count` frames of each video, evenly spaced over the length of the shortest one.

    Returns:
        Frame numbers, and the frames of each video as pictures (H, W, 3) uint8 RGB; fewer than `count` if the shortest
        video has fewer.

    Raises:
        StyleSwapError: A video cannot be read.
    """
    # A container may announce more frames than can be decoded. The spacing is then repeated for the true length.
    length = min(_announced_length(video) for video in videos)
    while True:
        numbers = evenly_spaced(length, count)
        if not numbers:
            raise StyleSwapError(
                f"no frame of {' and '.join(map(str, videos))} can be read; convert it to H.264 in .mp4"
            )
        decoded = [_decode(video, numbers) for video in videos]
        ends = [end for pictures, end in decoded if len(pictures) < len(numbers)]
        if not ends:
            return numbers, [pictures for pictures, _ in decoded]
        length = min(ends)


def read_frames(video: Path, numbers: Sequence[int]) -> list[np.ndarray]:
    """Frames with the given ascending numbers, as pictures (H, W, 3) uint8 RGB.

    Raises:
        StyleSwapError: The video ends before, or cannot be read.
    """
    pictures, length = _decode(video, numbers)
    if len(pictures) < len(numbers):
        raise StyleSwapError(f"expected frame {numbers[-1]} in {video}, but only {length} frames can be read")
    return pictures


def _announced_length(video: Path) -> int:
    info = _info(video)
    if info.frames:
        return info.frames
    # Some containers announce neither a length nor a duration, so the frames are counted.
    with open_video(video, info) as reader:
        return sum(1 for _ in reader.frames())


def _decode(video: Path, numbers: Sequence[int]) -> tuple[list[np.ndarray], int]:
    """Pictures of as many of the frames as can be read, and the number of readable frames up to there.

    The video is decoded from its start, because seeking by number is inexact.
    """
    info = _info(video)
    pictures: list[np.ndarray] = []
    passed = 0
    if numbers and min(info.layout.size) >= MIN_SIDE:
        with open_video(video, info) as reader:
            for timed in reader.frames():
                if passed == numbers[len(pictures)]:
                    pictures.append(info.layout.rgb(timed.frame))
                passed += 1
                if len(pictures) == len(numbers):
                    break
    return pictures, passed


def _info(video: Path) -> VideoInfo:
    if not video.is_file():
        raise StyleSwapError(f"expected a video file, but {video} does not exist; check the path")
    return read_info(video)
