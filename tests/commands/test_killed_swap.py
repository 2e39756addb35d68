"""`styleswap swap` of a video, killed at random moments and resumed."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import planes_of, write_clip
from PIL import Image

from styleswap_core.cli import main
from styleswap_core.commands import clip_runner

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 12
# Short segments, so that a short clip has several.
PROGRAM = """
import sys
from dataclasses import replace

from styleswap_core.cli import main
from styleswap_core.commands import clip_runner

options = clip_runner.clip_options
clip_runner.clip_options = lambda args: replace(options(args), segment_frames=3)
sys.exit(main(sys.argv[1:]))
"""


def run_until(words, updates):
    """Run the command in a process and kill it after so many updates of its progress; returns its exit code."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    # Progress is shown for each frame.
    environment = {**os.environ, "PYTHONPATH": paths, "TQDM_MININTERVAL": "0"}
    command = [sys.executable, "-c", PROGRAM, *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        seen = 0
        while chunk := process.stderr.read1():
            seen += chunk.count(b"\r")
            if seen >= updates:
                process.kill()
                break
        return process.wait()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that kill a process")
# STYLESWAP_KILLS=10 for a thorough run.
@pytest.mark.parametrize("kills", [int(os.environ.get("STYLESWAP_KILLS", "2"))])
def test_killed_work_that_is_resumed_equals_undisturbed_work(demo, folder, kills, monkeypatch):
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
    for _ in range(kills):
        # Two updates for each frame, and two for the start of each bar: nearly all moments lie before the end.
        code = run_until([*words, "masks.mkv", "--out", "out.mp4", "--resume"], moments.randint(1, 2 * FRAMES))
        assert code in (0, -9)
        killed += code == -9
        assert code == -9 or Path("out.mp4").exists()
    assert killed >= 1
    assert main([*words, "masks.mkv", "--out", "out.mp4", "--resume"]) == 0
    assert len(planes_of("out.mp4")[0]) == FRAMES
    for one, other in (("out.mp4", "whole.mp4"), ("masks.mkv", "whole_masks.mkv")):
        assert Path(one).read_bytes() == Path(other).read_bytes()
    assert not list(Path().glob(".*.parts"))
