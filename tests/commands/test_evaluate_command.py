"""`styleswap evaluate` with tiny untrained networks."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from rendered_once import rendered_once
from tiny_networks import write_networks

from styleswap_core.checkpoints.native import load_generator, model_sha256
from styleswap_core.cli import main
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import load_image


@pytest.fixture(scope="module", autouse=True)
def _rendered_once():
    with rendered_once():
        yield


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return {
        **write_networks(tmp_path_factory.mktemp("evaluate")),
        "--identities": 2,
        "--settings": 1,
        "--seed": 3,
        "--workers": 0,
        "--device": "cpu",
    }


def words(options, *more):
    return ["evaluate", *(str(word) for pair in options.items() for word in pair), *(str(word) for word in more)]


@pytest.fixture(scope="module")
def evaluated(options, tmp_path_factory):
    """Folder with the files of an evaluation, and what it printed on stdout and stderr."""
    folder, out, err = tmp_path_factory.mktemp("evaluated"), StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main(words(options, "--out", folder / "figures.json", "--check")) == 1
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def own(evaluated):
    """Its figures."""
    return json.loads((evaluated[0] / "figures.json").read_text())


def test_figures_contact_sheet_table_and_bounds(options, evaluated, own):
    folder, out, err = evaluated
    assert "| `face_psnr` |" in out
    assert "face_psnr" in err.partition("missed: ")[2]
    figures = own
    facts = {"suite": "synthetic", "count": 2, "identities": 2, "seed": 3}
    facts |= {"model_sha256": model_sha256(options["--model"]), "judge_sha256": file_sha256(options["--judge"])}
    assert {key: figures[key] for key in facts} == facts
    with_floor = {"face_psnr", "psnr"}
    with_floor_and_ceiling = {
        "id_retrieval_top1",
        "id_cos_other_photo",
        "id_cos_source_photo",
        "id_cos_target",
        "ssim",
        "sharpness_ratio",
        "outside_l1",
        "pose_error_deg",
        "expression_error",
        "gaze_error_deg",
    }
    assert {"mask_iou", "id_cos_other_photo_ratio", *with_floor, *with_floor_and_ceiling} <= figures.keys()
    assert {f"{key}_floor" for key in with_floor | with_floor_and_ceiling} <= figures.keys()
    assert {f"{key}_ceiling" for key in with_floor_and_ceiling} <= figures.keys()
    assert "detector_recall" not in figures
    assert load_image(folder / "figures.png").shape[2] == 3
    assert sorted(path.name for path in folder.iterdir()) == ["figures.json", "figures.png"]


def test_pipeline_protocol_prints_json(options, capsys):
    assert main(words(options, "--protocol", "pipeline", "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["protocol"] == "pipeline" and 0 <= figures["detector_recall"] <= 1


def test_guest_networks(options, own, tmp_path, capsys):
    generator, _ = load_generator(options["--model"])
    figures = {}
    for form in ("hyperswap", "inswapper"):
        model = tmp_path / f"{form}.onnx"
        export_guest(model, generator.eval(), form, template_ok=True)
        assert main(words({**options, "--model": model}, "--json")) == 0
        figures[form] = json.loads(capsys.readouterr().out)
    hyperswap, inswapper = figures.values()
    assert hyperswap["model"] == "hyperswap (hyperswap)" and hyperswap["model_sha256"] != own["model_sha256"]
    for key in ("face_psnr", "ssim", "id_cos_source_photo", "mask_iou"):
        assert hyperswap[key] == pytest.approx(own[key], abs=2e-3), key
    assert inswapper["face_psnr"] == pytest.approx(own["face_psnr"], abs=2e-3)
    assert "mask_iou" not in inswapper, "it has no mask"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--model": "absent.safetensors"}, "absent.safetensors"),
        ({"--judge": "absent.onnx"}, "absent.onnx"),
        ({"--identities": 1}, "--identities"),
        ({"--batch": 0}, "--batch"),
        ({"--out": "figures.txt"}, ".json"),
    ],
)
def test_invalid_input_is_one_line(options, change, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words({**options, **change})) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1] and lines[-1].startswith("styleswap: error:")
    assert list(tmp_path.iterdir()) == []
