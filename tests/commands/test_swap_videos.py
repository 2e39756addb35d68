"""`styleswap swap` with videos, with the demo pack."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import packets_of, planes_of, write_clip
from PIL import Image

from styleswap_core.cli import build_parser, main
from styleswap_core.commands import clip_arguments, clip_files
from styleswap_core.commands.clip_arguments import seconds
from styleswap_core.io.images import load_image
from styleswap_core.media.animations import ANIMATION_SUFFIXES
from styleswap_core.media.encoders import WRITTEN_SUFFIXES
from styleswap_core.tracking.tracking_options import MAX_INTERVAL, MAX_SMOOTHING
from styleswap_core.video.clip_plan import ClipOptions

SIZE = (192, 192)


@pytest.fixture
def clip(demo, folder):
    """The demo's target, moving a little; clip.mp4 in the working directory."""
    target = np.asarray(Image.open(demo.folder / "target.png").convert("RGB").resize(SIZE))

    def picture(number, height, width):
        return np.roll(target, number, 1)

    return write_clip(Path("clip.mp4"), 6, SIZE, picture=picture, sound="aac", crf="18")


@pytest.fixture
def swap(demo, clip):
    return ["swap", "--source", str(demo.folder / "source.png"), "--device", "cpu", "--target", "clip.mp4"]


def test_a_video_is_swapped(swap, capsys):
    assert main([*swap, "--out", "out.mp4", "--doubtful", "doubtful.png", "--json"]) == 0
    (video,) = json.loads(capsys.readouterr().out)["videos"]
    assert video["frames"] == video["swapped_frames"] == 6 and video["encoder"] == "libx264"
    assert video["similarity"] > video["similarity_before"] + 0.2 and video["measured_faces"] == 1
    assert len(video["doubtful"]) >= 1 and len(video["doubtful"][0]["box"]) == 4
    assert load_image("doubtful.png").shape[1] > 300
    assert planes_of("out.mp4")[1] == planes_of("clip.mp4")[1]
    assert packets_of("out.mp4", "audio") == packets_of("clip.mp4", "audio")
    assert not list(Path().glob(".out*"))


def test_a_preview_is_a_sheet_and_no_video(swap, capsys):
    assert main([*swap, "--out", "out.mp4", "--preview", "preview.png"]) == 0
    assert load_image("preview.png").shape[0] > 300
    assert capsys.readouterr().out.startswith("preview.png: preview of ")
    assert not Path("out.mp4").exists()


def test_a_part_as_an_animation(swap, capsys):
    assert main([*swap, "--out", "out.webp", "--start", "0.08", "--duration", "0:00.08", "--lossless"]) == 0
    captured = capsys.readouterr()
    assert "faces swapped in 2 of 2 frames (similarity to the source " in captured.out
    assert "note: clip.mp4: .webp files do not hold audio" in captured.err
    with Image.open("out.webp") as picture:
        assert picture.n_frames == 2


def test_an_interrupted_run_is_resumed(swap, capsys, monkeypatch):
    from tqdm import tqdm

    from styleswap_core.commands import clip_runner

    options = clip_runner.clip_options
    monkeypatch.setattr(clip_runner, "clip_options", lambda args: replace(options(args), segment_frames=2))
    original = tqdm.update

    def interrupted(self, n=1):
        original(self, n)
        if self.n == 5 and "swap" in self.desc:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tqdm, "update", interrupted)
        assert main([*swap, "--out", "out.mp4"]) == 130
    assert "with --resume goes on" in capsys.readouterr().err
    assert 1 <= len(planes_of("out.mp4")[0]) < 6
    assert main([*swap, "--out", "out.mp4", "--resume"]) == 0
    assert "6 of 6 frames" in capsys.readouterr().out and len(planes_of("out.mp4")[0]) == 6
    assert main([*swap, "--out", "out.mp4", "--resume"]) == 0
    assert "out.mp4 is complete and is left as it is" in capsys.readouterr().err


@pytest.mark.usefixtures("forked_workers")
def test_two_processes_write_the_same_bytes(swap, capsys, monkeypatch):
    """With the demo's networks, which are opened again in each process."""
    from styleswap_core.commands import clip_runner

    options = clip_runner.clip_options
    monkeypatch.setattr(clip_runner, "clip_options", lambda args: replace(options(args), segment_frames=3))
    videos = []
    for name, words in (("one.mp4", []), ("two.mp4", ["--workers", "2"])):
        assert main([*swap, "--out", name, "--outline", "whole", "--json", *words]) == 0
        (video,) = json.loads(capsys.readouterr().out)["videos"]
        videos.append({key: value for key, value in video.items() if key not in ("out", "seconds")})
    assert videos[0] == videos[1] and videos[0]["swapped_frames"] == 6
    assert Path("one.mp4").read_bytes() == Path("two.mp4").read_bytes()


def test_blending_and_masks(swap, capsys):
    """A video is blended with the options for pictures; a kept half stays as it is, in the preview as well."""
    keep = np.zeros((32, 32), np.uint8)
    keep[:, :16] = 255
    Image.fromarray(keep).save("keep.png")
    words = ["--color-match", "mean-std", "--grow", "2", "--keep", "keep.png", "--lossless"]
    assert main([*swap, "--out", "out.mkv", "--mask-out", "masks.mkv", "--json", *words]) == 0
    (video,) = json.loads(capsys.readouterr().out)["videos"]
    assert video["swapped_frames"] == 6 and video["mask"] == "masks.mkv"
    assert planes_of("masks.mkv")[1] == planes_of("clip.mp4")[1]
    frames = zip(planes_of("clip.mp4")[0], planes_of("out.mkv")[0], planes_of("masks.mkv")[0], strict=True)
    for before, after, (mask,) in frames:
        changed = before[0] != after[0]
        assert changed[:, 110:].any() and not changed[:, :80].any()
        assert mask[:, 110:].max() == 255 and mask[:, :80].max() == 0
    assert main([*swap, "--out", "out.mkv", "--preview", "preview.png", *words]) == 0
    assert main([*swap, "--out", "out.mkv", "--preview", "plain.png"]) == 0
    assert (load_image("preview.png") != load_image("plain.png")).any()


def test_a_folder_of_videos_and_pictures(demo, clip, capsys):
    Path("in").mkdir()
    clip.rename("in/a.mp4")
    Path("in/b.mov").write_text("no video")
    Image.open(demo.folder / "target.png").save("in/c.png")
    words = ["--source", str(demo.folder / "source.png"), "--device", "cpu"]
    assert main(["swap", *words, "--target", "in", "--out", "out", "--mask-out", "masks", "--json"]) == 2
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [Path(row["out"]).name for row in report["results"]] == ["c.png"]
    assert [Path(row["out"]).name for row in report["videos"]] == ["a.mp4"]
    assert [Path(row["target"]).name for row in report["failed"]] == ["b.mov"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "c.png"]
    assert sorted(path.name for path in Path("masks").iterdir()) == ["a_mask.mkv", "c_mask.png"]
    assert "b.mov is not a readable video" in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "out.avi"], "one of the suffixes .mp4"),
        (["--out", "clip.mp4"], "is an input"),
        (["--out", "nowhere/out.mp4"], "does not exist; create it first"),
        (["--out", "out.mp4", "--mask-out", "mask.png"], "expected a video for the masks"),
        (["--out", "out.mp4", "--mask-out", "out.mp4"], "would hold both the result and its masks"),
        (["--out", "out.mp4", "--mask-out", "clip.mp4"], "clip.mp4 is an input"),
        (["--out", "out.mp4", "--mask-out", "nowhere/masks.mkv"], "does not exist; create it first"),
        (["--out", "out.mp4", "--keep", "nowhere.png"], "nowhere.png"),
        (["--out", "out.mp4", "--preview", "sheet.mp4"], "sheet.mp4"),
        (["--out", "out.mp4", "--start", "1:xx"], "expected a time such as 90"),
        (["--out", "out.mp4", "--codec", "h263x"], "expected a codec out of h264"),
        (["--out", "out.mp4", "--start", "9"], "no frames in this part"),
    ],
)
def test_refusals(swap, error_of, words, message):
    assert message in error_of(*swap, *words)
    assert sorted(path.name for path in Path().iterdir()) == ["clip.mp4"]


def test_options_of_videos_are_refused_for_pictures(demo, folder, error_of):
    words = ["swap", "--source", demo.folder / "source.png", "--target", demo.folder / "target.png", "--out", "o.png"]
    assert "--preview applies to videos only" in error_of(*words, "--preview", "sheet.png")
    assert "--lossless applies to videos only" in error_of(*words, "--lossless")


def test_tables_agree(demo):
    assert set(clip_files.WRITTEN_SUFFIXES) == {*WRITTEN_SUFFIXES, *ANIMATION_SUFFIXES}
    assert (clip_arguments.MAX_INTERVAL, clip_arguments.MAX_SMOOTHING) == (MAX_INTERVAL, MAX_SMOOTHING)
    parser = build_parser("swap")
    args = parser.parse_args(["swap", "--source", "a.png", "--target", "b.mp4", "--out", "c.mp4"])
    assert clip_arguments.clip_options(args) == ClipOptions()


def test_frames_can_be_swapped_independently(swap, capsys):
    tracks = []
    for words in ([], ["--no-tracking"]):
        assert main([*swap, "--out", "out.mp4", "--json", *words]) == 0
        (video,) = json.loads(capsys.readouterr().out)["videos"]
        assert video["swapped_frames"] == 6
        tracks.append(video["tracks"])
    assert [track["frames"] for track in tracks[0]] == [6] and tracks[0][0]["similarity"] > 0.3
    assert tracks[1] == []


def test_times():
    assert [seconds(word) for word in ("90", "0.5", "1:30", "2:00:01.5")] == [90, 0.5, 90, 7201.5]
