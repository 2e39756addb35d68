"""`styleswap detect`, with the demo pack."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from gender_age_network import write_genderage

from styleswap_core.cli import main
from styleswap_core.faces.gender_age import FILE
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.io.images import load_image, save_image


@pytest.fixture(scope="module")
def group_file(demo, tmp_path_factory):
    """Picture with the two faces of the demo side by side, the second at half its size."""
    source, target = (load_image(demo.folder / f"{name}.png") for name in ("source", "target"))
    small = target[::2, ::2]
    picture = np.full((source.shape[0], source.shape[1] + small.shape[1], 3), 128, np.uint8)
    picture[:, : source.shape[1]] = source
    picture[: small.shape[0], source.shape[1] :] = small
    save_image(path := tmp_path_factory.mktemp("group") / "group.png", picture)
    return path


@pytest.fixture
def group(group_file, folder):
    """That picture in the working directory."""
    return Path(shutil.copy(group_file, folder))


def test_json_lists_each_face(group, demo, capsys):
    reference = str(demo.folder / "target.png")
    assert main(["detect", str(group), "--order", "left-right", "--reference", reference, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    first, second = result["faces"]
    assert (first["index"], second["index"]) == (0, 1)
    assert first["box"][2] - first["box"][0] > 1.5 * (second["box"][2] - second["box"][0])
    assert np.shape(first["points"]) == (5, 2) and 0.5 < first["score"] <= 1
    assert second["likeness"] > 0.5 > first["likeness"]
    assert abs(first["angle"]) < 30 and first["doubtful"] == ""
    assert "gender" not in first


def test_text_and_numbered_picture(group, folder, capsys):
    assert main(["detect", str(group), "--picture", "numbered.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "face 0, " in lines[0] and "confidence" in lines[0]
    before, after = load_image(group), load_image(folder / "numbered.png")
    assert before.shape == after.shape and (before != after).any()


def test_several_pictures_continue_after_a_broken_one(group, folder, capsys):
    (folder / "broken.png").write_bytes(b"no picture")
    assert main(["detect", str(group), "broken.png", "--picture", "out"]) == 2
    output = capsys.readouterr()
    assert "group.png: face 1" in output.out and "broken.png" in output.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["group.png"]


def test_picture_without_a_face(folder, capsys):
    save_image(folder / "gray.png", np.full((64, 64, 3), 128, np.uint8))
    assert main(["detect", "gray.png"]) == 0
    assert "no face found" in capsys.readouterr().out


def test_the_picture_is_not_replaced(group, capsys):
    content = group.read_bytes()
    assert main(["detect", str(group), "--picture", str(group)]) == 2
    assert "choose another name" in capsys.readouterr().err and group.read_bytes() == content


def test_source_face_of_a_group(group, demo, capsys):
    words = ["swap", "--source", str(group), "--target", str(demo.folder / "target.png"), "--out", "swapped.png"]
    assert main([*words, "--json"]) == 0
    largest = capsys.readouterr()
    assert "shows 2 faces; the largest is the source" in largest.err
    assert main([*words, "--source-face", "1", "--json"]) == 0
    other = capsys.readouterr()
    assert "shows 2 faces" not in other.err
    similarity = [json.loads(run.out)["results"][0]["faces"][0]["similarity_before"] for run in (largest, other)]
    assert similarity[1] > similarity[0] + 0.3, "the second face is the target itself"


def test_several_source_people(group, demo, capsys):
    words = ["swap", "--source", str(group), "--faces", "all", "--out", "swapped.png", "--json"]

    def likeness(numbers, target, *options):
        """Likeness of each face of the target to its source before the swap."""
        assert main([*words, "--source-face", numbers, "--target", str(target), *options]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        return [face["similarity_before"] for face in result["faces"]]

    same, other = likeness("0,1", group), likeness("1,0", group)
    assert min(same) > max(other) + 0.3
    alone = demo.folder / "source.png"
    assert main([*words, "--source-face", "0,1", "--target", str(alone)]) == 2
    assert "no face for identity 1" in capsys.readouterr().err
    assert len(likeness("0,1", alone, "--in-turn")) == 1


def test_only_faces_of_a_gender_and_age(group, folder, tmp_path, capsys):
    """The network takes faces with much red for male."""
    pack = tmp_path / "pack"
    shutil.copytree(DEMO_PACK, pack)
    write_genderage(pack / FILE)
    picture = load_image(group)
    small = picture.shape[1] * 2 // 3
    picture[..., 0] = picture[..., 0] // 2
    picture[:, :small, 0] += 128
    save_image(group, picture)
    words = ["detect", str(group), "--pack", str(pack), "--json"]

    def listed(*options):
        assert main([*words, *options]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        return [(face["index"], face["gender"]) for face in result["faces"]]

    assert listed() == [(0, "male"), (1, "female")]
    assert listed("--gender", "female") == [(1, "female")]
    assert listed("--gender", "male", "--age", "0-120") == [(0, "male")]
    assert main(["detect", str(group), "--pack", str(pack), "--age", "110-120"]) == 0
    assert "no face is 110 to 120 years old, 2 faces found" in capsys.readouterr().out
    # The demo pack does not know.
    assert main(["detect", str(group), "--gender", "female"]) == 2
    assert "genderage.onnx" in capsys.readouterr().err


def test_choice_by_age_needs_a_pack_that_estimates_it(demo, folder, capsys):
    picture = str(demo.folder / "target.png")
    assert main(["swap", "--source", picture, "--target", picture, "--out", "x.png", "--age", "20-40"]) == 2
    assert "genderage.onnx" in capsys.readouterr().err and not Path("x.png").exists()
    assert main(["swap", "--source", picture, "--target", picture, "--out", "x.png", "--age", "40-20"]) == 2
    assert "expected a range of ages such as 20-40" in capsys.readouterr().err
