"""The inversion suite end to end at tiny counts and few steps."""

import json

import pytest
import torch

from styleswap_core.checkpoints.native import save_generator
from styleswap_core.cli import main
from styleswap_core.demo_pack.detector import export_detector
from styleswap_core.demo_pack.detector.detector_network import Detector
from styleswap_core.demo_pack.recognizer import export_recognizer
from styleswap_core.demo_pack.recognizer.recognizer_network import PlainRecognizer, ResidualRecognizer
from styleswap_core.io.images import load_image
from styleswap_core.metrics.attribute_regressors import AttributeRegressor, RegressorConfig, save_regressor
from styleswap_core.metrics.bounds import INVERSION_BOUNDS
from styleswap_core.metrics.inversion_table import inversion_table
from styleswap_core.metrics.suite_inversion import METHODS
from styleswap_core.model import Generator, GeneratorConfig


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inversion")
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
    options = {
        "--model": folder / "generator.safetensors",
        "--pack": folder / "pack",
        "--judge": folder / "judge.onnx",
        "--regressors": folder / "regressors.safetensors",
        "--identities": 2,
        "--settings": 1,
        "--seed": 3,
        "--steps": 2,
        "--workers": 0,
        "--device": "cpu",
    }
    return ["evaluate", "--suite", "inversion", *(str(word) for pair in options.items() for word in pair)]


def test_every_method_is_measured(words, tmp_path, capsys):
    out = tmp_path / "inversion.json"
    assert main([*words, "--out", str(out), "--check"]) in (0, 1)
    printed = capsys.readouterr().out
    figures = json.loads(out.read_text())
    assert (figures["suite"], figures["count"], figures["steps"], figures["trust"]) == ("inversion", 2, 2, 0.5)
    for method, label in METHODS.items():
        assert f"| {label} |" in printed
        for key in ("id_cos_other_photo", "id_retrieval_top1", "face_psnr", "pose_error_deg", "expression_error"):
            assert figures[f"{method}_{key}"] is not None
    assert set(INVERSION_BOUNDS) <= figures.keys()
    assert figures["w_id_cos_other_photo_ceiling"] == figures["guided_id_cos_other_photo_ceiling"]
    assert figures["id_gain"] == pytest.approx(figures["guided_id_cos_other_photo"] - figures["w_id_cos_other_photo"])
    assert figures["guided_steps"] == 2 and "w_steps" not in figures
    sheet = load_image(tmp_path / "inversion.png")
    assert sheet.shape[1] > 4 * sheet.shape[0] / 2


def test_two_processes_find_what_one_finds(words, capsys):
    figures = []
    for workers in ("0", "2"):
        assert main([*words, "--workers", workers, "--json"]) == 0
        figures.append(
            {key: value for key, value in json.loads(capsys.readouterr().out).items() if "seconds" not in key}
        )
    assert figures[0] == pytest.approx(figures[1], abs=1e-6)


def test_a_wrong_protocol_or_range_is_one_line(words, capsys):
    for more, part in (
        (["--protocol", "pipeline"], "aligned protocol alone"),
        (["--trust", "3"], "trust from 0 to 1"),
        (["--identities", "1"], "change --identities"),
    ):
        assert main([*words, *more]) == 2
        assert part in capsys.readouterr().err


def test_the_gain_is_held_to_what_is_missing():
    figures = {
        f"{method}_{key}": 0.5 for method in METHODS for key in ("id_cos_other_photo", "id_cos_other_photo_ceiling")
    }
    figures |= {
        "two_photos_id_cos": 0.6,
        "id_gain": 0.06,
        "id_gain_wanted": 0.05,
        "id_gain_share": 1.2,
        "pose_error_ratio": 1.02,
        "expression_error_ratio": 1.2,
        "self_reconstruction_id_gain": -0.1,
    }
    text = inversion_table(figures)
    assert "| `id_gain_share` | 1.200 | >= 1.000 | yes |" in text
    assert "| `expression_error_ratio` | 1.200 | <= 1.050 | **no** |" in text
