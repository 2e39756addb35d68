"""Video files with tracks: steady, one identity per person, and resumed at any moment."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import planes_of, write_clip
from moving_faces import SIZE, Actor, Scene
from toy_swapper import IDENTITY, Finder, Painter

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.io.folder_lock import LOCK
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappedCrops
from styleswap_core.tracking.tracking_options import TrackingOptions
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.replayed_analysis import replayed
from styleswap_core.video.segment_swapper import SegmentSwapper
from styleswap_core.video.swap_video import swap_video
from styleswap_core.video.work_folder import work_folder

COUNT = 22
OPTIONS = ClipOptions(EncodingOptions(lossless=True), segment_frames=5)


class Stop(Exception):
    pass


class SceneFinder(Finder):
    """Finds the faces of the scene; the frame is told by the brightness of a corner."""

    def __init__(self, scene):
        super().__init__()
        self.scene = scene
        self.calls = []

    def detect(self, picture, order="largest", embed=True, quick=False):
        number = round((float(picture[:16, :16].mean()) - 20) / 8)
        self.calls.append(number)
        # Noise by the frame, so that a repeated detection is the same.
        self.scene.random = np.random.default_rng(number)
        return self.scene.frame(number).detect(False)


def scene_clip(path, scene):
    def picture(number, height, width):
        gray = scene.gray(number)
        gray[:20, :20] = 20 + 8 * number
        return np.repeat(gray[..., None], 3, 2)

    return write_clip(path, COUNT, SIZE[::-1], picture=picture, crf="12")


@pytest.fixture
def scene():
    return two_people()


def two_people():
    """Two people who move."""
    first = Actor(1, lambda frame: (90 + 2 * frame, 120, 84 + 6 * np.sin(frame / 3), 0))
    second = Actor(2, lambda frame: (240, 120, 83 - 6 * np.sin(frame / 3), 0))
    return Scene([first, second], 0.4)


def run(scene, source, out, **more):
    finder = SceneFinder(scene)
    report = swap_video(Swapper(Painter(), finder), source, out, IDENTITY, **{"clip": OPTIONS, **more})
    return report, finder


def test_one_person_is_swapped_throughout(tmp_path, scene):
    source = scene_clip(tmp_path / "source.mp4", scene)
    report, finder = run(scene, source, tmp_path / "out.mkv")
    assert report.counts.swapped_faces == report.counts.swapped_frames == COUNT
    assert len(finder.calls) == report.detections < COUNT / 2
    assert [(track.frames, track.missing) for track in report.tracks] == [(COUNT, 0)] * 2
    assert sorted(str(track.place) for track in report.tracks) == ["0", "None"]
    (swapped,) = [track for track in report.tracks if track.place == 0]
    assert swapped.similarity is not None and report.as_json()["tracks"][0]["track"] == 0
    sides = []
    for before, after in zip(planes_of(source)[0], planes_of(tmp_path / "out.mkv")[0], strict=True):
        changed = before[0] != after[0]
        left, right = changed[:, :170].any(), changed[:, 195:].any()
        sides.append((bool(left), bool(right)))
    assert len(set(sides)) == 1 and sides[0][0] != sides[0][1]


@pytest.mark.parametrize("followed", [0, 3, 13, 21])
def test_work_that_is_interrupted_while_faces_are_followed_is_resumed(tmp_path, scene, followed):
    source = scene_clip(tmp_path / "source.mp4", scene)
    run(scene, source, tmp_path / "whole.mkv")

    def stop(frame):
        if frame == followed:
            raise Stop

    out, finder = tmp_path / "out.mkv", SceneFinder(scene)
    with pytest.raises(Stop):
        swap_video(Swapper(Painter(), finder), source, out, IDENTITY, clip=OPTIONS, on_followed=stop)
    report, again = run(scene, source, out, resume=True)
    assert report.counts.frames == COUNT and not set(finder.calls) & set(again.calls)
    assert out.read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert not work_folder(out).exists()


def test_work_that_is_interrupted_later_does_not_follow_again(tmp_path, scene):
    source = scene_clip(tmp_path / "source.mp4", scene)
    run(scene, source, tmp_path / "whole.mkv")

    def stop(frame):
        if frame == 13:
            raise Stop

    out, followed = tmp_path / "out.mkv", []
    with pytest.raises(Stop):
        run(scene, source, out, on_frame=stop)
    report, finder = run(scene, source, out, resume=True, on_followed=followed.append)
    assert finder.calls == [] and followed == [] and len(report.tracks) == 2
    assert out.read_bytes() == (tmp_path / "whole.mkv").read_bytes()


DAMAGE = {
    "cut off": lambda content: content[: len(content) // 2],
    "other form": lambda content: b"[1]\n",
    "no entries": lambda content: b"{}\n",
    "deep": lambda content: b"[" * 100_000 + b"\n",
    "other encoding": lambda content: b"\xff\xfe\n",
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A scene, its clip, the result of undisturbed work, and the files of work that was interrupted."""
    folder, scene = tmp_path_factory.mktemp("interrupted"), two_people()
    source = scene_clip(folder / "source.mp4", scene)
    run(scene, source, folder / "whole.mkv")

    def stop(frame):
        if frame == 13:
            raise Stop

    with pytest.raises(Stop):
        run(scene, source, folder / "out.mkv", on_frame=stop)
    files = {path.name: path.read_bytes() for path in work_folder(folder / "out.mkv").iterdir() if path.name != LOCK}
    return scene, source, folder / "whole.mkv", files


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_plan_is_one_sentence(tmp_path, interrupted, damage):
    scene, source, _, files = interrupted
    out = tmp_path / "out.mkv"
    restore(out, {**files, "plan.json": DAMAGE[damage](files["plan.json"])})
    expected = "differ from those" if damage == "no entries" else "plan.json is damaged; start again without --resume"
    with pytest.raises(StyleSwapError, match=expected):
        run(scene, source, out, resume=True)
    assert set(files) <= {path.name for path in work_folder(out).iterdir()}


@pytest.mark.parametrize("damage", ["cut off", "no entries", "deep"])
def test_damaged_records_are_made_again(tmp_path, interrupted, damage):
    scene, source, whole, files = interrupted
    out = tmp_path / "out.mkv"
    bent = {name: DAMAGE[damage](files[name]) for name in ("tracks.npz", "000000.json")}
    restore(out, {**files, **bent})
    run(scene, source, out, resume=True)
    assert out.read_bytes() == whole.read_bytes()


def restore(out, files):
    """Write the files of interrupted work beside its result."""
    work_folder(out).mkdir()
    for name, content in files.items():
        (work_folder(out) / name).write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_detections_after_damage_are_made_again(tmp_path, damage):
    finder, path = Finder(), tmp_path / "detections.jsonl"
    picture = np.zeros((60, 60, 3), np.uint8)
    with replayed(finder, path) as first:
        expected = [first.detect(picture) for _ in range(3)]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + DAMAGE[damage](lines[1]) + lines[2])
    again = Finder()
    with replayed(again, path) as second:
        found = [second.detect(picture) for _ in range(3)]
    assert len(again.pictures) == 2 and path.read_bytes().splitlines(keepends=True) == lines
    for before, after in zip(expected, found, strict=True):
        assert [face.points.tolist() for face in after] == [face.points.tolist() for face in before]


def test_a_line_that_was_cut_off_is_detected_again(tmp_path, scene):
    source, out = scene_clip(tmp_path / "source.mp4", scene), tmp_path / "out.mkv"
    run(scene, source, tmp_path / "whole.mkv")

    def stop(frame):
        if frame == 15:
            raise Stop

    with pytest.raises(Stop):
        run(scene, source, out, on_followed=stop)
    lines = work_folder(out) / "detections.jsonl"
    lines.write_bytes(lines.read_bytes()[:-30])
    _, finder = run(scene, source, out, resume=True)
    assert 0 not in finder.calls and out.read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_other_settings_are_not_resumed(tmp_path, scene):
    source, out = scene_clip(tmp_path / "source.mp4", scene), tmp_path / "out.mkv"

    def stop(frame):
        raise Stop

    with pytest.raises(Stop):
        run(scene, source, out, on_frame=stop)
    other = ClipOptions(OPTIONS.encoding, tracking=TrackingOptions(smoothing=1.0), segment_frames=5)
    with pytest.raises(StyleSwapError, match="tracking options"):
        run(scene, source, out, resume=True, clip=other)


def test_a_clip_without_the_wanted_face_ends_before_the_swap(tmp_path, scene):
    source = scene_clip(tmp_path / "source.mp4", scene)
    swapped = []
    with pytest.raises(StyleSwapError, match="choose other faces"):
        run(scene, source, tmp_path / "out.mkv", faces=FaceChoice.by_index("7"), on_frame=swapped.append)
    with pytest.raises(StyleSwapError, match="no face was found"):
        run(Scene([]), source, tmp_path / "out.mkv", on_frame=swapped.append)
    assert swapped == [] and sorted(path.name for path in tmp_path.iterdir()) == ["source.mp4"]


def test_a_part_of_a_clip(tmp_path, scene):
    source = scene_clip(tmp_path / "source.mp4", scene)
    part = ClipOptions(OPTIONS.encoding, start=0.2, duration=0.4, segment_frames=5)
    report, finder = run(scene, source, tmp_path / "out.mkv", clip=part)
    assert report.counts.frames == 10 and min(finder.calls) == 5 and max(finder.calls) < 15


class Flickering(Painter):
    """Paints faces in a gray that changes from frame to frame."""

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        gray = 0.5 + 0.05 * torch.sin(1e3 * crops.mean((1, 2, 3), keepdim=True))
        return SwappedCrops(gray.expand_as(crops).clone(), torch.ones_like(crops[:, :1]))


@pytest.mark.parametrize("stop_at", [None, 18])
def test_colors_are_steady_over_the_borders_of_segments(tmp_path, scene, stop_at, monkeypatch):
    """Short segments give the frames of a single long one, also after an interruption."""
    source = scene_clip(tmp_path / "source.mp4", scene)

    def frames(size, stop_at=None):
        clip, out = replace(OPTIONS, segment_frames=size), tmp_path / f"{size}.mkv"
        seen = []

        def stop(number):
            if number == stop_at:
                raise Stop

        swapper = Swapper(Flickering(), SceneFinder(scene))
        if stop_at is not None:
            with pytest.raises(Stop):
                swap_video(swapper, source, out, IDENTITY, clip=clip, on_frame=stop)
        report = swap_video(swapper, source, out, IDENTITY, clip=clip, resume=True, on_frame=seen.append)
        assert report.counts.frames == COUNT
        assert seen == list(range(0 if stop_at is None else stop_at // size * size, COUNT))
        return planes_of(out)[0]

    def differ(one, other):
        return [any((a != b).any() for a, b in zip(*pair, strict=True)) for pair in zip(one, other, strict=True)]

    whole, parts = frames(COUNT), frames(7, stop_at)
    assert not any(differ(whole, parts))
    monkeypatch.setattr(SegmentSwapper, "around", 0)
    assert any(differ(whole, frames(6)))
