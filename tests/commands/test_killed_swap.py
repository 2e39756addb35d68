"""`styleswap swap` of a video, killed at random moments and resumed."""

import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import planes_of, write_clip
from PIL import Image

from styleswap_core.cli import main
from styleswap_core.commands import clip_runner

FRAMES = 12


def run_until(zygote, words, updates):
    """Run the command in a process and kill it after so many updates of its progress; returns its exit code."""
    process = zygote.start(*words, target="short_segments:run")
    process.until(lambda: process.err.read_bytes().count(b"\r") >= updates)
    process.kill()
    return process.wait()


# STYLESWAP_KILLS=10 for a thorough run.
@pytest.mark.parametrize("kills", [int(os.environ.get("STYLESWAP_KILLS", "2"))])
def test_killed_work_that_is_resumed_equals_undisturbed_work(demo, folder, kills, monkeypatch, zygote):
    options = clip_runner.clip_options
    monkeypatch.setattr(clip_runner, "clip_options", lambda args: replace(options(args), segment_frames=3))
    target = np.asarray(Image.open(demo.folder / "target.png").convert("RGB").resize((96, 96)))

    def picture(number, height, width):
        return np.roll(target, number, 1)

    write_clip(Path("clip.mp4"), FRAMES, (96, 96), picture=picture, sound="aac", crf="18")
    source = str(demo.folder / "source.png")
    words = ["swap", "--source", source, "--target", "clip.mp4", "--device", "cpu", "--mask-out"]
    assert main([*words, "whole_masks.mkv", "--out", "whole.mp4"]) == 0
    moments = random.Random(kills)
    killed = 0
    while killed < kills:
        # Two updates for each frame, and two for the start of each bar: nearly all moments lie before the end.
        code = run_until(zygote, [*words, "masks.mkv", "--out", "out.mp4", "--resume"], moments.randint(1, 2 * FRAMES))
        assert code in (0, -9)
        killed += code == -9
        if code == 0:
            # What was left to do took fewer updates: from the start.
            for name in ("out.mp4", "masks.mkv"):
                Path(name).unlink()
    assert main([*words, "masks.mkv", "--out", "out.mp4", "--resume"]) == 0
    assert len(planes_of("out.mp4")[0]) == FRAMES
    for one, other in (("out.mp4", "whole.mp4"), ("masks.mkv", "whole_masks.mkv")):
        assert Path(one).read_bytes() == Path(other).read_bytes()
    assert not list(Path().glob(".*.parts"))
