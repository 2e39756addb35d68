"""Commands that are killed at random moments, run in two processes at once, or meet a full disk.

Training and videos have tests of their own for the first two, as does a preparation that is killed while it writes.
"""

import json
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_disk
from PIL import Image
from safetensors.numpy import load_file
from zygote import names_in

from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.synthetic.columns import ColumnPlan, build_columns

# STYLESWAP_KILLS=10 for a thorough run.
KILLS = int(os.environ.get("STYLESWAP_KILLS", "1"))
COUNT = 3
# The words of each command; its results are in OUT.
COMMANDS = {
    "swap": "swap --source source.png --target in --device cpu --mask-out OUT/masks --out OUT",
    "pictures": "render pictures --count 3 --size 64 --out OUT",
    "columns": "render columns --columns 9 --members 1 --identities 4 --size 32 --out OUT",
    "invert": "invert --source source.png --guides in --steps 2 --device cpu --preview OUT/preview.png"
    " --out OUT/id.safetensors",
    "prepare": "prepare in OUT/set --size 64 --min-side 30 --workers 1 --duplicates -1 --max-outside 0.5",
    "evaluate": "evaluate --identities 2 --settings 1 --workers 0 --device cpu --out OUT/figures.json",
}
# An evaluation takes seconds, and writes its files at its end, as an inversion does. Preparation has tests of its own.
TRIED = [name for name in COMMANDS if name not in ("evaluate", "prepare") or KILLS > 1]


@pytest.fixture
def inputs(demo, folder):
    """A source and a folder of targets."""
    shutil.copy(demo.folder / "source.png", folder)
    (folder / "in").mkdir()
    target = Image.open(demo.folder / "target.png").convert("RGB").resize((128, 128))
    for number in range(COUNT):
        target.rotate(number).save(folder / "in" / f"{number}.png")
    return folder


def words_of(command, out):
    out.mkdir(exist_ok=True)
    return COMMANDS[command].replace("OUT", str(out)).split(" ")


def check_whole(folder):
    """Every file under its final name is complete."""
    for path in folder.rglob("*"):
        if path.name.startswith("."):
            continue
        if path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".npy":
            np.load(path, mmap_mode="r")


@pytest.mark.parametrize("command", TRIED)
def test_killed_at_random_moments(command, inputs, zygote):
    out, whole = inputs / "out", inputs / "whole"
    started = time.monotonic()
    undisturbed = zygote.start(*words_of(command, whole))
    assert undisturbed.wait() == 0, undisturbed.stderr
    duration, moments, hidden = time.monotonic() - started, random.Random(command), []
    words = words_of(command, out)
    for _ in range(KILLS):
        process = zygote.start(*words)
        # Later moments, of which more lie in what writes results, are more frequent.
        end = time.monotonic() + duration * moments.random() ** 0.5
        process.until(lambda: time.monotonic() >= end)  # noqa: B023 - called at once
        process.kill()
        assert process.wait() in (0, -9), process.stderr
        check_whole(out)
        hidden = [name for name in names_in(out) if Path(name).name.startswith(".")]
        assert len(hidden) <= 1, "what killed processes left behind adds up"
    last = zygote.start(*words)
    assert last.wait() == 0, last.stderr
    assert set(names_in(out)) - set(hidden) == set(names_in(whole))
    for name in names_in(whole):
        if Path(name).suffix in (".png", ".npy"):
            assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_two_processes_with_one_result_folder(inputs, zygote):
    """Both write the same bytes; no file is half, whoever is last."""
    words = words_of("swap", inputs / "out")
    both = [zygote.start(*words), zygote.start(*words)]
    assert [process.wait() for process in both] == [0, 0], [process.stderr for process in both]
    check_whole(inputs / "out")
    assert main(words_of("swap", inputs / "alone")) == 0
    assert names_in(inputs / "out") == names_in(inputs / "alone")
    for name in names_in(inputs / "out"):
        assert (inputs / "out" / name).read_bytes() == (inputs / "alone" / name).read_bytes()


def test_a_second_process_in_a_folder_of_columns_is_refused(tmp_path, monkeypatch):
    plan, texts = ColumnPlan(columns=1, members=2, size=32, identities=4), []

    def again(points):
        with pytest.raises(StyleSwapError) as refused:
            build_columns(tmp_path / "columns", plan, None)
        texts.append(str(refused.value))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_columns(tmp_path / "columns", plan, again)
    assert texts == [
        f"another run is writing {tmp_path / 'columns'}; wait until it is finished, or choose another name"
    ]
    assert len(build_columns(tmp_path / "columns", plan, None).images) == 1


@pytest.mark.parametrize("command", [name for name in TRIED if name != "prepare"])
def test_a_full_disk(command, inputs, capfd):
    """One sentence for each result, and what was there is still there."""
    out = inputs / "out"
    out.mkdir()
    with small_disk(out, 4096) as fill:
        words = words_of(command, out)
        (out / "mine.txt").write_text("kept")
        for name in ("id.safetensors", "0.png", "00000.png", "figures.json"):
            (out / name).write_text("old")
        before = set(names_in(out))
        fill()
        capfd.readouterr()
        assert main(words) == 2
        lines = [line for line in capfd.readouterr().err.splitlines() if "error: " in line]
        assert lines and all(line.count("make room on the disk") == 1 for line in lines), lines
        assert len(lines) <= COUNT
        check_whole(out / "masks")  # for which there may have been room
        names = {name for name in names_in(out) if not name.startswith("masks/")}
        assert names - {"filler", "lock"} == before
        for name in before:
            assert (out / name).read_text() == ("kept" if name == "mine.txt" else "old")
