"""The benchmark's yardstick computes the same function as the generator, so that only the work differs."""

import importlib.util
from pathlib import Path

import pytest
import torch

from styleswap_core.model import Generator, preset

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "grouped_reference.py"
SPECIFICATION = importlib.util.spec_from_file_location("grouped_reference", FILE)
grouped_reference = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(grouped_reference)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attribute_injection": "every_conv", "attribute_masking": "mean", "mask_accumulation": "sigmoid"},
        {"attribute_masking": "none", "mask_branch": False, "rgb_bound": "tanh", "encoder_blocks": 1},
    ],
    ids=range(3),
)
def test_the_reference_is_the_generator(changes):
    torch.manual_seed(2)
    generator = Generator(preset("tiny", **changes)).eval().requires_grad_(False)
    for parameter in generator.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    crop, embedding = torch.rand(3, 3, 32, 32) * 2 - 1, torch.nn.functional.normalize(torch.randn(3, 512), dim=1)
    expected, found = generator(crop, embedding), grouped_reference.GroupedReference(generator)(crop, embedding)
    for one, other in zip(expected[:3], found[:3], strict=True):
        torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)
