"""Fixtures of the training tests."""

import pytest
from training_toys import write_recognizer

from styleswap_core.faces.arcface import TorchRecognizer


@pytest.fixture(scope="session")
def recognizer(tmp_path_factory) -> TorchRecognizer:
    """Toy recognizer with random weights."""
    return TorchRecognizer(write_recognizer(tmp_path_factory.mktemp("recognizer") / "toy.onnx"))
