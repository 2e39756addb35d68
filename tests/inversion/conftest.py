"""Fixtures: a tiny random generator and recognizer, and noise in place of pictures of faces."""

import pytest
import torch

from styleswap_core.demo_pack.recognizer import export_recognizer
from styleswap_core.demo_pack.recognizer.recognizer_network import PlainRecognizer
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.inversion import AlignedFaces
from styleswap_core.model import Generator, GeneratorConfig

SIZE = 16
CONFIG = GeneratorConfig(size=SIZE, w_dim=16, mapping_layers=1, mapping_lr_mul=1.0, channels={4: 8, 8: 8, 16: 8})


@pytest.fixture(scope="session")
def recognizer(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("recognizer") / "tiny.onnx"
    export_recognizer(path, PlainRecognizer())
    return TorchRecognizer(path)


@pytest.fixture
def generator():
    torch.manual_seed(1)
    return Generator(CONFIG).eval()


def _faces(count, seed):
    crops = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return AlignedFaces(crops, template_points("ffhq", SIZE).expand(count, 5, 2).contiguous())


@pytest.fixture(scope="session")
def make_faces():
    """Function (count, seed) -> AlignedFaces of noise."""
    return _faces


@pytest.fixture(scope="session")
def target():
    """An L2-normalized embedding (512,)."""
    return torch.nn.functional.normalize(torch.randn(512, generator=torch.Generator().manual_seed(5)), dim=0)


@pytest.fixture(scope="session")
def person(target):
    """The identity of that embedding."""
    return Identity(target, RecognizerId())
