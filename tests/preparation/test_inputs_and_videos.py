"""Input folders with unusual contents, and videos, including damaged ones."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import moving_picture, write_clip

from styleswap_core.errors import StyleSwapError, printable
from styleswap_core.io.folder_walk import FoundFile, Obstacle, walk
from styleswap_core.preparation.video_frames import count_frames, frames


def test_every_file_is_found_once_despite_links(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    names = ["a.jpg", "with space.PNG", "line\nbreak.jpg", "deep/er/b.mp4", "deep/c"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    out.mkdir()
    (out / "shard.tar").touch()
    os.symlink("..", folder / "deep" / "loop")
    os.symlink("self", folder / "self")
    os.symlink("deep", folder / "again")
    os.symlink("nowhere", folder / "broken")
    os.symlink("a.jpg", folder / "link.jpg")
    os.mkfifo(folder / "pipe")
    found = list(walk(folder, out))
    files = {entry.path.as_posix(): entry.is_video for entry in found if isinstance(entry, FoundFile)}
    assert files == {name: name.endswith("mp4") for name in [*names, "link.jpg"]}
    obstacles = {entry.path.as_posix(): entry.sentence for entry in found if isinstance(entry, Obstacle)}
    assert set(obstacles) == {"deep/loop", "self", "again", "broken", "pipe"}
    assert "loop" in obstacles["deep/loop"] and "broken link" in obstacles["broken"]


@pytest.mark.skipif(os.name == "nt", reason="names are not bytes on Windows")
def test_names_that_are_not_valid_text(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"\xff\xfe.jpg"), "w"):
        pass
    (entry,) = walk(tmp_path, tmp_path / "out")
    assert printable(entry.path) == "\\udcff\\udcfe.jpg"
    assert os.fsdecode(os.fsencode(entry.path)) == str(entry.path)


def test_a_missing_folder_and_a_result_inside_the_input_are_refused(tmp_path):
    with pytest.raises(StyleSwapError, match="is not a folder"):
        next(walk(tmp_path / "none", tmp_path / "out"))
    with pytest.raises(StyleSwapError, match="choose another folder"):
        next(walk(tmp_path, tmp_path))


def test_names_are_printed_on_one_line():
    assert printable(Path("a b/c\nd\t.jpg")) == "a b/c\\nd\\t.jpg"
    assert printable("Zoë 北京.jpg") == "Zoë 北京.jpg"


# --- videos


def write_video(path, count=30, rate=10, size=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), 8 * number, np.uint8))
    writer.release()
    return path


def collect(path, seconds=1.0, first=0):
    reports = []
    return list(frames(path, seconds, first, reports.append)), reports


def test_frames_are_selected_at_an_interval(tmp_path):
    path = write_video(tmp_path / "odd %03d name\n.mp4")
    found, reports = collect(path)
    assert [frame.number for frame in found] == [0, 1, 2] and reports == []
    assert [frame.time for frame in found] == pytest.approx([0, 1, 2], abs=0.01)
    assert [int(frame.picture.mean()) for frame in found] == pytest.approx([0, 80, 160], abs=6)
    assert found[0].picture.shape == (48, 64, 3)
    assert count_frames(path, 1.0) == 3 and count_frames(path, 0.0) == 30
    assert len(collect(path, seconds=0.0)[0]) == 30


def test_continuing_within_a_video_gives_the_same_frames(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    all_frames, rest = collect(path, 0.5)[0], collect(path, 0.5, first=4)[0]
    assert [frame.number for frame in rest] == [4, 5]
    for one, other in zip(all_frames[4:], rest, strict=True):
        assert one.time == other.time and np.array_equal(one.picture, other.picture)


def test_a_video_that_changes_its_size_keeps_its_proportions(tmp_path):
    path = tmp_path / "changing.mjpeg"
    with open(path, "wb") as file:
        for number in range(20):
            picture = np.zeros((120, 160, 3) if number < 10 else (200, 120, 3), np.uint8)
            cv2.circle(picture, (picture.shape[1] // 2, picture.shape[0] // 2), 40, (255, 255, 255), -1)
            file.write(cv2.imencode(".jpg", picture)[1].tobytes())
    found, reports = collect(path, seconds=0.2)
    assert {frame.picture.shape for frame in found} == {(120, 160, 3), (200, 120, 3)}
    for frame in found:
        y, x = np.nonzero(frame.picture[..., 0] > 128)
        assert np.ptp(x) == pytest.approx(80, abs=2) and np.ptp(y) == pytest.approx(80, abs=2)
    assert len(reports) == 1 and "from 160 x 120 to 120 x 200" in reports[0]


@pytest.mark.parametrize(("content", "message"), [(b"", "empty"), (b"no video at all" * 100, "not a readable video")])
def test_files_that_are_not_videos_are_refused(tmp_path, content, message):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(StyleSwapError, match=message):
        collect(path)
    assert count_frames(path, 1.0) == 1


def test_a_truncated_video_gives_the_frames_it_contains(tmp_path):
    path = tmp_path / "a.mjpeg"
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    path.write_bytes(jpeg * 5 + jpeg[: len(jpeg) // 2])
    found, _ = collect(path, seconds=0.0)
    assert len(found) >= 5


def test_mirrored_video_is_read_upright(tmp_path):
    def configure(container, stream):
        stream.set_display_rotation(90, hflip=True)

    path = write_clip(tmp_path / "a.mkv", 1, (62, 48), "ffv1", "bgr0", configure=configure)
    (frame,), _ = collect(path)
    assert (frame.picture == np.rot90(moving_picture(0, 48, 62))[:, ::-1]).all()
