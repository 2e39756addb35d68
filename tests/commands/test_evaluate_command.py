"""`styleswap evaluate` from the command line, with tiny untrained networks of the true kinds."""

import json

import pytest
import torch

from styleswap_core.checkpoints.native import model_sha256, save_generator
from styleswap_core.cli import main
from styleswap_core.demo_pack.detector import export_detector
from styleswap_core.demo_pack.detector.detector_network import Detector
from styleswap_core.demo_pack.recognizer import export_recognizer
from styleswap_core.demo_pack.recognizer.recognizer_network import PlainRecognizer, ResidualRecognizer
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import load_image
from styleswap_core.metrics.attribute_regressors import AttributeRegressor, RegressorConfig, save_regressor
from styleswap_core.model import Generator, GeneratorConfig


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    torch.manual_seed(0)
    config = GeneratorConfig(
        size=32, w_dim=16, mapping_layers=1, channels={4: 8, 8: 8, 16: 8, 32: 8}, recognizer="recognizer"
    )
    save_generator(folder / "generator.safetensors", Generator(config), {"domain": "synthetic"})
    (folder / "pack").mkdir()
    export_detector(folder / "pack" / "det.onnx", Detector())
    export_recognizer(folder / "pack" / "recognizer.onnx", ResidualRecognizer())
    export_recognizer(folder / "judge.onnx", PlainRecognizer())
    save_regressor(folder / "regressors.safetensors", AttributeRegressor(RegressorConfig(size=32)))
    return {
        "--model": folder / "generator.safetensors",
        "--pack": folder / "pack",
        "--judge": folder / "judge.onnx",
        "--regressors": folder / "regressors.safetensors",
        "--identities": 2,
        "--settings": 1,
        "--seed": 3,
        "--workers": 0,
        "--device": "cpu",
    }


def words(options, *more):
    return ["evaluate", *(str(word) for pair in options.items() for word in pair), *(str(word) for word in more)]


def test_figures_sheet_table_and_check(options, tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert main(words(options, "--out", out, "--check")) == 1
    printed = capsys.readouterr()
    assert (
        "| `face_psnr` |" in printed.out
        and "missed: " in printed.err
        and "face_psnr" in printed.err.partition("missed: ")[2]
    )
    figures = json.loads(out.read_text())
    assert (
        figures["count"] == 2
        and figures["identities"] == 2
        and figures["seed"] == 3
        and figures["suite"] == "synthetic"
    )
    assert figures["model_sha256"] == model_sha256(options["--model"])
    assert figures["judge_sha256"] == file_sha256(options["--judge"])
    for key in (
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
    ):
        assert {key, f"{key}_floor", f"{key}_ceiling"} <= figures.keys()
    assert {
        "face_psnr",
        "face_psnr_floor",
        "psnr",
        "psnr_floor",
        "mask_iou",
        "id_cos_other_photo_ratio",
    } <= figures.keys()
    assert "detector_recall" not in figures
    assert load_image(tmp_path / "figures.png").shape[2] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "figures.png"]


def test_pipeline_protocol_prints_json(options, capsys):
    assert main(words(options, "--protocol", "pipeline", "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["protocol"] == "pipeline" and 0 <= figures["detector_recall"] <= 1


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
def test_bad_input_is_one_line(options, change, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words({**options, **change})) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1] and lines[-1].startswith("styleswap: error:")
    assert list(tmp_path.iterdir()) == []
