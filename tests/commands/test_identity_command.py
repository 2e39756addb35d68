"""`styleswap identity`, with the demo pack and with identities of random numbers."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from styleswap_core.cli import main
from styleswap_core.commands.identity_arguments import EXISTING, FORMATS
from styleswap_core.commands.identity_extraction import AVERAGE, ONE_PER_FACE
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities import extraction, saving
from styleswap_core.identities.averaging import blend_identities, cosine_similarity
from styleswap_core.identities.extraction import extract_identities
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.identity_format import load_identity, save_identity
from styleswap_core.identities.reactor_files import is_face_model, load_any_identity
from styleswap_core.io.images import load_image, save_image

REACTOR_RECOGNIZER = RecognizerId("w600k_r50", "a" * 64)


@pytest.fixture(scope="module")
def pictures(demo, tmp_path_factory):
    """Folder with three pictures of one person, one of another, one of both, and one of nobody."""
    made = tmp_path_factory.mktemp("pictures")
    anna, bert = (load_image(demo.folder / f"{name}.png") for name in ("source", "target"))
    for name, picture in {
        "anna1.png": anna,
        "anna2.png": (anna * 0.85).astype(np.uint8),
        "anna3.png": anna[:, ::-1],
        "bert.png": bert,
        "both.png": np.concatenate([bert, anna], axis=1),
        "nobody.png": np.full((64, 64, 3), 128, np.uint8),
    }.items():
        save_image(made / name, picture)
    return made


@pytest.fixture
def people(pictures, folder):
    """These pictures in the working directory."""
    shutil.copytree(pictures, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def saved(folder):
    """Writes an identity of random numbers; returns its file's name."""

    def make(name, seed, recognizer=REACTOR_RECOGNIZER, **more):
        numbers = torch.randn(512, generator=torch.Generator().manual_seed(seed))
        save_identity(folder / name, Identity(numbers, recognizer, **more))
        return name

    return make


def run(capsys, *words):
    """Standard output of a command that succeeds."""
    assert main(["identity", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_words_of_options_stand_for_the_choices_of_the_nodes():
    assert set(FORMATS.values()) == set(saving.FILE_FORMATS) and set(EXISTING.values()) == set(saving.EXISTING)
    assert (AVERAGE, ONE_PER_FACE.replace("-", " ")) == extraction.COMBINATIONS


def test_an_average_is_that_of_the_node(people, demo, capsys):
    pictures = ["anna1.png", "anna2.png", "anna3.png", "bert.png", "nobody.png"]
    out = run(capsys, "extract", *pictures, "--out", "anna.safetensors", "--outliers", "leave-out", "--crops", "c.png")
    lines = out.splitlines()
    assert lines[0] == "anna.safetensors: 1 identity from 3 faces" and len(lines) == 6
    assert lines[4].startswith("  bert.png: face 0, likeness to the others ") and lines[4].endswith("left out")
    assert lines[5] == "  nobody.png: no face found, skipped"
    made = load_identity("anna.safetensors")
    assert len(made.sources) == 3 and made.portrait is None and made.embedding_norm > 0
    from styleswap_core import load_face_analysis

    # What the node calls, with pictures in memory.
    expected = extract_identities(map(load_image, pictures), load_face_analysis(), outliers="leave out")
    assert torch.equal(made.id_embedding, expected.identities[0].id_embedding)
    sheet = load_image("c.png")
    assert 5 * extraction.CROP_SIZE > sheet.shape[1] > 4 * extraction.CROP_SIZE, "one tile for each face"


def test_one_file_per_face(people, capsys):
    words = ("extract", "both.png", "--faces", "all", "--order", "right-left", "--combine", "one-per-face", "--json")
    report = json.loads(run(capsys, *words, "--out", "new/faces", "--portrait"))
    assert [Path(row["file"]).name for row in report["files"]] == ["both_face0.safetensors", "both_face1.safetensors"]
    assert [(row["face"], row["faces_found"], row["likeness"]) for row in report["faces"]] == [
        (0, 2, None),
        (1, 2, None),
    ]
    assert all(row["portrait"] for row in report["files"])
    run(capsys, *words, "--out", "new/faces", "--if-exists", "add-number")
    assert len(list(Path("new/faces").iterdir())) == 4
    likeness = [
        json.loads(run(capsys, "compare", f"new/faces/both_face{face}.safetensors", "anna1.png", "--json"))[
            "similarity"
        ]
        for face in (0, 1)
    ]
    assert likeness[0] > likeness[1] + 0.3, "the right face is numbered first"


def test_pictures_that_cannot_be_read_are_left_out(people, capsys):
    (people / "broken.png").write_bytes(b"no picture")
    assert main(["identity", "extract", "anna1.png", "broken.png", "--out", "anna.safetensors", "--json"]) == 2
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert [row["picture"] for row in report["failed"]] == ["broken.png"] and "broken.png" in printed.err
    assert len(load_identity("anna.safetensors").sources) == 1
    assert main(["identity", "extract", "broken.png", "missing.png", "--out", "none.safetensors"]) == 2
    assert "none of 2 files can be read" in capsys.readouterr().err and not Path("none.safetensors").exists()


def test_a_blend_is_that_of_the_node(saved, capsys):
    names = [saved(f"{seed}.safetensors", seed) for seed in range(3)]
    lines = run(capsys, "blend", *names, "--weights", "2,1,0.5", "--out", "mixed.safetensors").splitlines()
    assert lines[0] == f"mixed.safetensors: blend of 3 identities, recognizer {REACTOR_RECOGNIZER}"
    assert lines[1].startswith("  0.safetensors: weight 2, likeness to the blend 0.")
    parts, made = [load_identity(name) for name in names], load_identity("mixed.safetensors")
    assert torch.equal(made.id_embedding, blend_identities(parts, [2.0, 1.0, 0.5]).id_embedding)
    report = json.loads(run(capsys, "blend", *names, "--out", "even.safetensors", "--json"))
    assert [part["weight"] for part in report["parts"]] == [1.0] * 3
    assert report["parts"][0]["likeness"] == pytest.approx(
        cosine_similarity(load_identity("even.safetensors"), parts[0]), abs=1e-4
    )


def test_pictures_and_folders_are_people_too(people, capsys):
    Path("anna").mkdir()
    for number in (1, 2):
        os.replace(f"anna{number}.png", f"anna/{number}.png")
    report = json.loads(run(capsys, "compare", "anna", "anna3.png", "--json"))
    assert report["similarity"] > 0.5 and report["recognizer"] and report["report"].startswith("likeness 0.")
    assert main(["identity", "blend", "both.png", "bert.png", "--out", "mixed.safetensors"]) == 0
    assert "both.png shows 2 faces; the largest counts" in capsys.readouterr().err
    assert main(["identity", "compare", "nobody.png", "bert.png"]) == 2
    assert "nobody.png: no face found" in capsys.readouterr().err


def test_comparison(saved, capsys):
    a, b = saved("a.safetensors", 1), saved("b.safetensors", 2)
    assert run(capsys, "compare", a, a).startswith("likeness 1.000 by the recognizer w600k_r50")
    assert abs(json.loads(run(capsys, "compare", a, b, "--json"))["similarity"]) < 0.2


def test_what_files_hold(saved, capsys):
    picture = torch.zeros(3, 512, 512, dtype=torch.uint8)
    name = saved("a.safetensors", 1, sources=("s",), embedding_norm=20.0, portrait=picture)
    run(capsys, "convert", name, "--out", "model.safetensors", "--file-format", "reactor")
    lines = run(capsys, "show", name, "model.safetensors").splitlines()
    assert (
        lines[0] == "a.safetensors: StyleSwap identity" and "  portrait of 512 px" in lines and "  sources: 1" in lines
    )
    assert lines[6] == "model.safetensors: ReActor face model" and lines[-1] == "  no portrait"
    Path("folder").mkdir()
    os.replace("model.safetensors", "folder/model.safetensors")
    assert run(capsys, "show", name, "folder").splitlines()[6] == "folder/model.safetensors: ReActor face model"
    Path("other.safetensors").write_bytes(b"\0" * 100)
    assert main(["identity", "show", name, "other.safetensors", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in report["files"]] == [name] and report["files"][0]["embedding_norm"] == 20.0
    assert [row["file"] for row in report["failed"]] == ["other.safetensors"]


def test_formats_are_converted(saved, capsys):
    w_plus = {"w_plus": torch.ones(6, 32), "generator_sha256": "c" * 64}
    name = saved("a.safetensors", 1, embedding_norm=20.0, **w_plus)
    assert main(["identity", "convert", name, "--out", "model.safetensors", "--file-format", "reactor"]) == 0
    assert "no room for the result of an inversion" in capsys.readouterr().err
    assert run(capsys, "convert", "model.safetensors", "--out", "back.safetensors") == (
        "back.safetensors: StyleSwap identity\n"
    )
    back = load_identity("back.safetensors")
    assert is_face_model("model.safetensors") and not is_face_model("back.safetensors")
    assert torch.allclose(back.id_embedding, load_identity(name).id_embedding, atol=1e-6)
    assert back.embedding_norm == pytest.approx(20.0, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required"),
        (["fly"], "invalid choice: 'fly'"),
        (["extract", "missing.png"], "missing.png does not exist"),
        (["extract", "nobody.png"], "expected a face in at least one picture, but nobody.png: no face found"),
        (["extract", "a.safetensors"], "a.safetensors"),
        (["extract", "nobody.png", "--combine", "one-per-face"], "expected a folder for --out"),
        (["extract", "nobody.png", "--outliers", "drop"], "--outliers"),
        (["extract", "nobody.png", "--crops", "nobody.png"], "is an input and would be replaced"),
        (["blend", "a.safetensors"], "at least two identities"),
        (["blend", "a.safetensors", "b.safetensors", "--weights", "1"], "a weight for each of 2 identities, got 1"),
        (["blend", "a.safetensors", "b.safetensors", "--weights", "0,0"], "not all 0"),
        (["blend", "a.safetensors", "b.safetensors", "--weights", "1,x"], "--weights"),
        (["blend", "a.safetensors", "b.safetensors", "--weights", "1,11"], "from 0 to 10"),
        (["blend", "a.safetensors", "c.safetensors"], "identities of different recognizers do not mix"),
        (["blend", "a.safetensors", "b.safetensors", "--portrait"], "no portrait to save"),
        (["convert", "c.safetensors", "--file-format", "reactor"], "needs an embedding of w600k_r50"),
        (["convert", "nobody.png"], "nobody.png"),
        (["convert", "a.safetensors", "--out", "a.safetensors"], "is an input and would be replaced"),
        (["convert", "a.safetensors", "--out", "x.png"], "expected --out to name a .safetensors file"),
        (["convert", "a.safetensors", "--out", "none/x.safetensors"], "does not exist; create it first"),
        (["convert", "a.safetensors", "--out", "b.safetensors", "--if-exists", "stop"], "b.safetensors already exists"),
    ],
)
def test_what_does_not_fit_is_one_line_and_writes_nothing(saved, error_of, words, message):
    saved("a.safetensors", 1), saved("b.safetensors", 2), saved("c.safetensors", 3, RecognizerId("other", "b" * 64))
    save_image("nobody.png", np.full((64, 64, 3), 128, np.uint8))
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    out = [] if "--out" in words or len(words) < 2 else ["--out", "x.safetensors"]
    assert message in error_of("identity", *words, *out)
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "a.safetensors", "c.safetensors"], "identities of different recognizers do not mix"),
        (["compare", "a.safetensors", "missing.png"], "missing.png does not exist"),
        (["show", "notes.txt"], "notes.txt is not a safetensors file"),
        (["show", "empty"], "expected identity files (.safetensors) in empty, found none"),
    ],
)
def test_nothing_to_compare_or_show(saved, error_of, words, message):
    saved("a.safetensors", 1), saved("c.safetensors", 3, RecognizerId("other", "b" * 64))
    Path("notes.txt").write_text("no identity", encoding="utf-8")
    Path("empty").mkdir()
    assert message in error_of("identity", *words)


def test_one_per_face_writes_nothing_if_a_format_does_not_fit(people, error_of):
    words = ("extract", "both.png", "--faces", "all", "--combine", "one-per-face", "--file-format", "reactor")
    assert "needs an embedding of w600k_r50" in error_of("identity", *words, "--out", "faces")
    assert not Path("faces").exists()


def test_two_pictures_of_one_name_are_refused(people, error_of):
    Path("more").mkdir()
    save_image("more/both.jpg", load_image("both.png"))
    words = ("extract", "both.png", "more/both.jpg", "--combine", "one-per-face", "--out", "faces")
    assert "would both be written to faces/both; rename one" in error_of("identity", *words)


def test_swap_takes_face_models(saved, people, demo, error_of, capsys):
    run(capsys, "convert", saved("a.safetensors", 1), "--out", "model.safetensors", "--file-format", "reactor")
    # The demo model wants identities of the demo recognizer.
    message = error_of("swap", "--identity", "model.safetensors", "--target", "bert.png", "--out", "x.png")
    assert "trained with the recognizer" in message and "w600k_r50" in message


def test_choices_of_a_single_face(people, capsys):
    made = {}
    for order in ("left-right", "right-left"):
        run(capsys, "extract", "both.png", "--faces", "0", "--order", order, "--out", f"{order}.safetensors")
        made[order] = load_any_identity(f"{order}.safetensors")
    from styleswap_core import extract_identity, load_face_analysis

    expected, _ = extract_identity(["both.png"], load_face_analysis(), FaceChoice("by index", "right-left", (0,)))
    assert torch.equal(made["right-left"].id_embedding, expected.id_embedding)
    assert cosine_similarity(made["left-right"], made["right-left"]) < 0.6
