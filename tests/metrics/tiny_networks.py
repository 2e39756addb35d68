"""Files of tiny untrained networks that `styleswap evaluate` accepts."""

from pathlib import Path

import torch

from styleswap_core.checkpoints import save_generator
from styleswap_core.demo_pack.detector import export_detector
from styleswap_core.demo_pack.detector.detector_network import Detector
from styleswap_core.demo_pack.recognizer import export_recognizer
from styleswap_core.demo_pack.recognizer.recognizer_network import PlainRecognizer, ResidualRecognizer
from styleswap_core.metrics.attribute_regressors import AttributeRegressor, RegressorConfig, save_regressor
from styleswap_core.model import Generator, GeneratorConfig


def write_networks(folder: Path) -> dict[str, Path]:
    """Write a model, a pack, a recognizer for evaluation, and regressors; return them by option."""
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
    }
