"""`styleswap blend`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from styleswap_core.cli import main
from styleswap_core.compositing.composite import BlendOptions, blend_frames
from styleswap_core.identities.provenance import EDITED
from styleswap_core.io.images import load_image, load_mask, save_image


@pytest.fixture
def pictures(folder):
    """target.png, swapped.png with a text entry, and mask.png, in the working directory."""
    random = np.random.default_rng(0)
    save_image("target.png", random.integers(0, 100, (60, 80, 3), np.uint8))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("styleswap", "face swapped")
    Image.fromarray(random.integers(100, 255, (60, 80, 3), np.uint8)).save("swapped.png", pnginfo=texts)
    mask = np.zeros((30, 40), np.uint8)
    mask[10:20, 15:25] = 255
    save_image("mask.png", mask)
    return folder


WORDS = ["blend", "--target", "target.png", "--swapped", "swapped.png", "--mask", "mask.png", "--out", "out.png"]


def test_the_result_is_that_of_the_node(pictures, capsys):
    save_image("keep.png", np.repeat(np.uint8([255, 0]), 16)[:, None].repeat(32, 1))
    for words, options, keep in (
        ([], BlendOptions(feather=4.0), None),
        (
            [
                "--grow",
                "3",
                "--feather",
                "2",
                "--color-match",
                "mean-std",
                "--method",
                "seamless",
                "--keep",
                "keep.png",
            ],
            BlendOptions(3, 2.0, "mean-std", 1.0, "seamless"),
            load_mask("keep.png")[None],
        ),
    ):
        assert main([*WORDS, *words, "--mask-out", "share.png", "--json"]) == 0
        frames = [torch.from_numpy(load_image(f"{name}.png"))[None].float() / 255 for name in ("target", "swapped")]
        images, shares = blend_frames(*frames, load_mask("mask.png")[None], options, keep)
        assert np.abs(load_image("out.png") - images[0].numpy() * 255).max() <= 0.51
        assert (load_mask("share.png") - shares[0]).abs().max() < 0.003
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert result["changed"] and result["mask"] == "share.png"
        assert Image.open("out.png").text["styleswap"] == f"face swapped | {EDITED}"


def test_folders_of_pictures(pictures, capsys):
    target, swapped = load_image("target.png"), load_image("swapped.png")
    for folder in ("in/day 2", "new/day 2", "masks/day 2"):
        Path(folder).mkdir(parents=True)
    save_image("in/a.png", target)
    save_image("new/a.webp", swapped)
    save_image("in/day 2/b.jpg", target)
    save_image("new/day 2/b.jpg", swapped)
    save_image("in/c.png", target)
    save_image("masks/a_mask.png", np.full((16, 16), 255, np.uint8))
    save_image("masks/day 2/b.png", np.zeros((16, 16), np.uint8))
    words = ["--target", "in", "--recursive", "--swapped", "new", "--mask", "masks", "--out", "out"]
    assert main(["blend", *words, "--feather", "0"]) == 2
    printed = capsys.readouterr()
    assert "in/c.png: expected a swapped picture named c in new, found none" in printed.err.replace("\\", "/")
    assert [line.split(":")[1].split(";")[0] for line in printed.out.splitlines()] == [" blended", " unchanged"]
    assert np.array_equal(load_image("out/a.png"), load_image("new/a.webp")) and Path("out/day 2/b.jpg").is_file()


def test_what_does_not_fit_is_one_line_and_nothing_is_written(pictures, error_of):
    save_image("small.png", np.zeros((30, 40, 3), np.uint8))
    before = sorted(Path().iterdir())
    for option, value, message in (
        ("--swapped", "small.png", "expected pictures of one size, got a target of 80 x 60"),
        ("--swapped", "nowhere.png", "nowhere.png does not exist"),
        ("--mask", "nowhere.png", "nowhere.png does not exist"),
        ("--out", "swapped.png", "is an input and would be replaced"),
        ("--out", "missing/out.png", "create it first"),
        ("--method", "magic", "--method"),
    ):
        words = [*WORDS, option, value]
        assert message in error_of(*words)
    assert sorted(Path().iterdir()) == before
