"""Frames of video files, read with OpenCV."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError
from ..io.images import MIN_SIDE

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")


def videos_in(folder: Path) -> dict[str, Path]:
    """The video files of a folder by their names without suffix, in order.

    Raises:
        StyleSwapError: not a folder, no video in it, or two of one name.
    """
    if not folder.is_dir():
        raise StyleSwapError(f"expected a folder of videos, {folder} is none; check the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            if path.stem in found:
                raise StyleSwapError(f"{path} and {found[path.stem]} have one name; move one of them away")
            found[path.stem] = path
    if not found:
        raise StyleSwapError(f"expected videos ({', '.join(VIDEO_SUFFIXES)}) in {folder}, found none; check the folder")
    return found


def spread(length: int, count: int) -> list[int]:
    """Numbers of `count` frames out of `length`, evenly spaced: the middles of equal parts; all where there are fewer."""
    if length <= count:
        return list(range(length))
    return [(2 * part + 1) * length // (2 * count) for part in range(count)]


def sample_frames(videos: Sequence[Path], count: int) -> tuple[list[int], list[list[np.ndarray]]]:
    """The same `count` evenly spaced frames of each video, over the length of the shortest.

    Returns:
        the frames' numbers, and for each video its pictures (H, W, 3) uint8 RGB; fewer than `count` from a shorter video.

    Raises:
        StyleSwapError: a video that cannot be read.
    """
    # Containers may claim more frames than can be decoded: then the true length, found on the way, counts.
    length = min(_claimed_length(video) for video in videos)
    while True:
        numbers = spread(length, count)
        if not numbers:
            raise StyleSwapError(
                f"no frame of {' and '.join(map(str, videos))} can be read; save it again, as H.264 in .mp4"
            )
        taken = [_decode(video, numbers) for video in videos]
        ends = [reached for pictures, reached in taken if len(pictures) < len(numbers)]
        if not ends:
            return numbers, [pictures for pictures, _ in taken]
        length = min(ends)


def read_frames(video: Path, numbers: Sequence[int]) -> list[np.ndarray]:
    """The frames of these ascending numbers, (H, W, 3) uint8 RGB.

    Raises:
        StyleSwapError: the video cannot be read that far.
    """
    pictures, reached = _decode(video, numbers)
    if len(pictures) < len(numbers):
        raise StyleSwapError(f"{video} ends at frame {reached}, frame {numbers[-1]} was asked for")
    return pictures


def _claimed_length(video: Path) -> int:
    capture = _open(video)
    length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if length <= 0:
        # Some streams do not say: count.
        length = 0
        while capture.grab():
            length += 1
    capture.release()
    return length


def _decode(video: Path, numbers: Sequence[int]) -> tuple[list[np.ndarray], int]:
    """As many of the frames as can be read, and how many frames were passed.

    Frame by frame from the start: seeking lands on other frames with some codecs.
    """
    capture = _open(video)
    pictures, passed = [], 0
    for number in numbers:
        while passed <= number and capture.grab():
            passed += 1
        read, frame = capture.retrieve() if passed > number else (False, None)
        if not read or min(frame.shape[:2]) < MIN_SIDE:
            break
        pictures.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    capture.release()
    return pictures, min(passed, numbers[len(pictures)]) if len(pictures) < len(numbers) else passed


def _open(video: Path) -> cv2.VideoCapture:
    if not video.is_file():
        raise StyleSwapError(f"expected a video, but {video} does not exist; check the path")
    # What is wrong with a file is said once, by this program; FFmpeg's own messages are many. 8 levels below silence.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise StyleSwapError(f"{video} is not a video that can be read; save it again, as H.264 in .mp4")
    return capture
