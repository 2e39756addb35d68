"""`styleswap face-mask`, and `styleswap swap --only-in`, with the demo pack."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from styleswap_core.cli import main
from styleswap_core.io.images import load_image, save_image


@pytest.fixture(scope="module")
def group_file(demo, tmp_path_factory):
    """Picture with the two faces of the demo side by side."""
    pictures = [load_image(demo.folder / f"{name}.png") for name in ("source", "target")]
    save_image(path := tmp_path_factory.mktemp("group") / "group.png", np.concatenate(pictures, 1))
    return path


@pytest.fixture
def group(group_file, folder):
    """That picture in the working directory."""
    return Path(shutil.copy(group_file, folder))


def halves(path):
    """Whether the left and the right half of a gray picture show anything."""
    mask = load_image(path)[..., 0]
    middle = mask.shape[1] // 2
    return bool(mask[:, :middle].max() > 127), bool(mask[:, middle:].max() > 127)


def test_one_mask_for_each_picture_or_face(group, folder, capsys):
    assert main(["face-mask", str(group), "--out", "mask.png", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["out"] == ["mask.png"] and len(result["boxes"]) == 2 and result["problems"] == []
    assert halves("mask.png") == (True, True) and load_image("mask.png").shape == load_image(group).shape
    words = ["--one-mask-per", "face", "--order", "left-right", "--regions", "eyes", "--feather", "0.02"]
    assert main(["face-mask", str(group), "--out", "masks", *words]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{group}: 2 faces masked"
    assert [halves(f"masks/group_face{row}.png") for row in (0, 1)] == [(True, False), (False, True)]
    assert load_image("masks/group_face0.png").mean() < 0.2 * load_image("mask.png").mean()


def test_pictures_without_a_face_and_broken_ones(group, folder, capsys):
    save_image(folder / "gray.png", np.full((64, 48), 128, np.uint8))
    (folder / "broken.png").write_bytes(b"no picture")
    assert main(["face-mask", str(group), "gray.png", "broken.png", "--out", "out"]) == 2
    printed = capsys.readouterr()
    assert "gray.png: 0 faces masked; no face found" in printed.out and "broken.png" in printed.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["gray.png", "group.png"]
    assert load_image("out/gray.png").shape[:2] == (64, 48) and load_image("out/gray.png").max() == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--regions", "hair"], "the region hair needs a face parsing network"),
        (["--regions", "teeth"], "expected regions out of face, upper"),
        (["--grow", "0.5"], "--grow"),
        (["--parsing", "group.png"], "group.png"),
        (["--out", "group.png"], "is an input and would be replaced"),
    ],
)
def test_what_does_not_fit_is_one_line(group, error_of, words, message):
    assert message in error_of("face-mask", str(group), "--out", "mask.png", *words)
    assert [path.name for path in Path().iterdir()] == ["group.png"]


def test_only_faces_in_the_mask_are_swapped(group, demo, folder, error_of, capsys):
    assert main(["face-mask", str(group), "--out", "mask.png", "--faces", "1", "--order", "left-right"]) == 0
    swap = ["swap", "--source", demo.folder / "target.png", "--target", group, "--out", "result.png"]
    assert main([*map(str, swap), "--faces", "all", "--only-in", "mask.png"]) == 0
    before, after = load_image(group).astype(int), load_image(folder / "result.png").astype(int)
    middle = before.shape[1] // 2
    assert np.array_equal(before[:, :middle], after[:, :middle]) and np.abs(before - after).max() > 50
    capsys.readouterr()
    save_image(folder / "black.png", np.zeros((16, 16), np.uint8))
    assert "no face is in the mask, 2 faces found" in error_of(*swap, "--only-in", "black.png")
    assert "nowhere.png" in error_of(*swap, "--only-in", "nowhere.png")
    assert "is an input and would be replaced" in error_of(*swap, "--only-in", "result.png")
