"""Sampling of frames from videos, and files that are no videos."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.metrics import result_videos as videos
from styleswap_core.metrics.result_videos import evenly_spaced, read_frames, sample_frames, videos_in


def write_video(path, count, side=64):
    """Write gray frames; frame i has level 10 * i."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (side, side))
    for level in range(count):
        writer.write(np.full((side, side, 3), 10 * level, np.uint8))
    writer.release()
    return path


def levels(pictures):
    return [round(float(picture.mean()) / 10) for picture in pictures]


def test_frames_are_the_middles_of_equal_parts():
    assert evenly_spaced(100, 10) == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]
    assert evenly_spaced(3, 10) == [0, 1, 2] and evenly_spaced(7, 1) == [3] and evenly_spaced(0, 5) == []


def test_the_same_frames_of_two_videos(tmp_path):
    long, short = write_video(tmp_path / "long.mp4", 20), write_video(tmp_path / "short.mp4", 12)
    numbers, pictures = sample_frames([long, short], 3)
    assert numbers == [2, 6, 10]
    assert levels(pictures[0]) == levels(pictures[1]) == numbers
    assert levels(read_frames(long, [0, 19])) == [0, 19]
    with pytest.raises(StyleSwapError, match="only 12 frames"):
        read_frames(short, [0, 15])


def test_a_container_that_announces_too_many_frames(tmp_path, monkeypatch):
    path = write_video(tmp_path / "short.mp4", 8)
    monkeypatch.setattr(videos, "_announced_length", lambda video: 1000)
    numbers, pictures = sample_frames([path], 2)
    assert numbers == [2, 6] and levels(pictures[0]) == [2, 6]


@pytest.mark.parametrize("content", [b"", b"not a video" * 50])
def test_files_that_are_no_videos_are_refused(tmp_path, content):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(StyleSwapError, match="broken.mp4"):
        sample_frames([path], 3)
    with pytest.raises(StyleSwapError, match="does not exist"):
        sample_frames([tmp_path / "absent.mp4"], 3)


def test_messages_of_ffmpeg_are_suppressed(tmp_path):
    # In a new process, since FFmpeg reads its log level once, and other tests may have started it.
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 50)
    code = (
        "import sys, pathlib\nfrom styleswap_core.metrics.result_videos import sample_frames\n"
        "try: sample_frames([pathlib.Path(sys.argv[1])], 3)\nexcept ValueError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "broken.mp4")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n" and done.stderr == ""


def test_folders_without_or_with_ambiguous_videos(tmp_path):
    with pytest.raises(StyleSwapError, match="found none"):
        videos_in(tmp_path)
    write_video(tmp_path / "a.mp4", 1)
    (tmp_path / "notes.txt").write_text("no video")
    assert list(videos_in(tmp_path)) == ["a"]
    (tmp_path / "a.avi").write_bytes(b"")
    with pytest.raises(StyleSwapError, match="same name"):
        videos_in(tmp_path)
    with pytest.raises(StyleSwapError, match="check the path"):
        videos_in(tmp_path / "absent")
