"""Networks of other programs in the commands: listed, found by name, swapped with, refused."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from styleswap_core.checkpoints import DEMO_MODEL
from styleswap_core.cli import main
from styleswap_core.commands import doctor_command
from styleswap_core.commands.arguments import FAMILIES
from styleswap_core.installation.needed_packages import NEEDED
from styleswap_core.installation.part_trials import Ended, Trial
from styleswap_core.swappers.guest_families import FAMILY_NAMES

sys.path.append(str(Path(__file__).resolve().parents[1] / "swappers"))

import guest_forms as forms

INSWAPPER = "insightface/inswapper_128.onnx"


@pytest.fixture
def models(folder, monkeypatch):
    """A ComfyUI in the working directory with networks in its folders, found through COMFYUI_PATH."""
    (folder / "comfyui").mkdir()
    (folder / "comfyui" / "main.py").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(folder / "comfyui"))
    models = folder / "comfyui" / "models"
    for name in ("insightface", "hyperswap", "styleswap"):
        (models / name).mkdir(parents=True)
    forms.write_inswapper(models / INSWAPPER)
    forms.write_hyperswap(models / "hyperswap" / "hyperswap_1a_256.onnx")
    forms.write_ghost(models / "styleswap" / "renamed.onnx")
    forms.write_converter(models / "styleswap" / "crossface_ghost.onnx")
    (models / "styleswap" / "demo.safetensors").write_bytes(DEMO_MODEL.read_bytes())
    (models / "styleswap" / "damaged.safetensors").write_bytes(b"damaged")
    return models


@pytest.fixture
def swap(demo):
    """Words of `styleswap swap` for the pictures of the demo."""
    source, target = (str(demo.folder / name) for name in ("source.png", "target.png"))
    return ["swap", "--source", source, "--target", target, "--out", "result.png", "--device", "cpu"]


def test_families_are_those_of_the_core():
    assert FAMILIES == FAMILY_NAMES


def test_models_lists_file_family_size_and_license(models, capsys, monkeypatch):
    assert main(["models", "--json"]) == 0
    rows = {Path(row["file"]).name: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert {name: (row["family"], row["size"]) for name, row in rows.items()} == {
        "inswapper_128.onnx": ("inswapper", 128),
        "hyperswap_1a_256.onnx": ("hyperswap", 256),
        "renamed.onnx": ("reswapper or ghost or simswap or hififace", 256),
        "demo.safetensors": ("StyleSwap", 128),
    }
    assert rows["inswapper_128.onnx"]["license"] == "non-commercial"
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert f"{models / 'insightface'}:\n  inswapper_128.onnx " in text and "128 px  license: non-commercial" in text
    assert main(["models", str(models / "hyperswap")]) == 0
    assert capsys.readouterr().out.count("license:") == 1
    assert main(["models", "empty"]) == 0
    assert capsys.readouterr().out == "no swapping networks in empty\n"
    capsys.readouterr()
    main(["models", "--json"])
    listed = Ended(0, capsys.readouterr().out, "")
    monkeypatch.setattr(doctor_command, "try_packages", lambda: [Trial(one.package) for one in NEEDED])
    monkeypatch.setattr(doctor_command, "run_module", lambda *words: {("cli", "models", "--json"): listed}[words])
    assert main(["doctor"]) == 0
    assert f"{models / INSWAPPER}: inswapper, 128 px, license: non-commercial" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["inswapper_128", "inswapper_128.onnx"])
def test_a_network_is_found_by_name_swaps_and_is_named_in_the_result(models, swap, name, capsys):
    assert main([*swap, "--model", name, "--any-recognizer", "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    card = report["model"]
    assert card["file"] == str(models / INSWAPPER) and len(card["sha256"]) == 64
    assert (card["family"], card["license"], card["provider"]) == (
        "inswapper",
        "non-commercial",
        "CPUExecutionProvider",
    )
    assert report["results"][0]["faces"][0]["resolution"] >= 1
    assert "inswapper_128 (inswapper) by InsightFace; license: non-commercial" in printed.err
    mark = Image.open("result.png").text["styleswap"]
    assert mark.startswith(f"face swapped; model inswapper_128 (inswapper) {card['sha256'][:16]}; identity ")


def test_many_targets_are_swapped_without_baking(models, swap, demo, folder):
    (folder / "frames").mkdir()
    for number in range(4):
        (folder / "frames" / f"{number}.png").write_bytes((demo.folder / "target.png").read_bytes())
    words = [*swap, "--model", "inswapper_128", "--any-recognizer"]
    words[words.index("--target") + 1], words[words.index("--out") + 1] = "frames", "results"
    assert main(words) == 0
    assert len({path.read_bytes() for path in (folder / "results").iterdir()}) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "inswapper_128"], "w600k_r50"),
        (["--model", "renamed"], "choose the family"),
        (["--model", "renamed", "--family", "uniface"], "no network of the family uniface"),
        (["--model", "renamed", "--family", "simswap"], "crossface_simswap.onnx; put it into"),
        (["--model", "crossface_ghost"], "expected a swapping network"),
        (["--model", "demo", "--family", "ghost"], "a family belongs to an .onnx file"),
        (["--model", "missing"], "missing"),
    ],
)
def test_what_cannot_be_used_is_one_line(models, swap, words, message, error_of, folder):
    assert message in error_of(*swap, *words)
    assert not (folder / "result.png").exists()


def test_a_family_can_be_named(models, swap):
    assert main([*swap, "--model", "renamed", "--family", "ghost", "--any-recognizer"]) == 0


def test_an_inverted_identity_belongs_to_the_network_that_it_was_inverted_for(models, swap, demo, error_of, capsys):
    words = ["--source", str(demo.folder / "source.png"), "--out", "identity.safetensors", "--device", "cpu"]
    words += ["--guides", str(demo.folder / "source.png"), str(demo.folder / "target.png")]
    network = ["--any-recognizer", "--model"]
    assert main(["invert", *words, "--steps", "1", *network, "inswapper_128"]) == 0
    source = swap.index("--source")
    identity = [*swap[:source], "--identity", "identity.safetensors", *swap[source + 2 :]]
    assert main([*identity, *network, "inswapper_128"]) == 0
    capsys.readouterr()
    assert "inverted for another model" in error_of(*identity, *network, "hyperswap_1a_256")
