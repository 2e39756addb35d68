"""Options of `styleswap swap` that choose the faces of source pictures."""

import json
import shutil

import numpy as np
import pytest
from gender_age_network import write_genderage

from styleswap_core.cli import main
from styleswap_core.faces.gender_age import FILE
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.io.images import load_image, save_image


@pytest.fixture
def swap(demo, folder, capsys):
    """Swaps onto the demo's target; returns the likeness of the target to the source before, and what stderr says."""

    def run(*words):
        target = str(demo.folder / "target.png")
        assert main(["swap", *map(str, words), "--target", target, "--out", "swapped.png", "--json"]) == 0
        printed = capsys.readouterr()
        return json.loads(printed.out)["results"][0]["faces"][0]["similarity_before"], printed.err

    return run


@pytest.fixture
def group(demo, folder):
    """Picture with the demo's source, tinted red, on the left, and its smaller target on the right."""
    source, target = (load_image(demo.folder / f"{name}.png") for name in ("source", "target"))
    small = target[::2, ::2] // 2
    picture = np.full((source.shape[0], source.shape[1] + small.shape[1], 3), 64, np.uint8)
    picture[:, : source.shape[1]] = source // 2
    picture[:, : source.shape[1], 0] += 128
    picture[: small.shape[0], source.shape[1] :] = small
    save_image(folder / "group.png", picture)
    return folder / "group.png"


def test_source_faces_are_numbered_in_an_order(group, swap):
    words = ("--source", group, "--source-face", "0")
    assert swap(*words, "--source-order", "right-left")[0] > swap(*words)[0] + 0.3, "the right face is the target"
    likeness, messages = swap("--source", group, "--source-order", "right-left")
    assert likeness < 0.6 and "the largest is the source" in messages, "as in the node, an order is for numbers"


def test_source_faces_of_a_gender(group, swap, tmp_path, error_of, demo):
    """The network takes faces with much red for male."""
    pack = tmp_path / "pack"
    shutil.copytree(DEMO_PACK, pack)
    write_genderage(pack / FILE)
    male, _ = swap("--source", group, "--pack", pack, "--source-gender", "male")
    female, messages = swap("--source", group, "--pack", pack, "--source-gender", "female")
    assert female > male + 0.3 and "the largest female one is the source" in messages
    words = ["--target", demo.folder / "target.png", "--out", "x.png"]
    assert "genderage.onnx" in error_of("swap", "--source", group, "--source-gender", "male", *words)


def test_outliers_are_kept_unless_left_out(demo, swap):
    anna, bert = (demo.folder / f"{name}.png" for name in ("source", "target"))
    sources = ("--source", anna, anna, anna, bert)
    kept, messages = swap(*sources)
    assert "looks like another person" in messages and "left out" not in messages
    dropped, messages = swap(*sources, "--outliers", "leave-out")
    assert "looks like another person" in messages and ", and is left out" in messages
    assert dropped < kept - 0.1, "the outlier is the target itself"
