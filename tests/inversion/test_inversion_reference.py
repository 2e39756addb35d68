"""The inversion and the plain loop of the benchmark are the same optimization."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from styleswap_core.inversion import InversionSettings, InversionWeights, InvertibleGenerator, optimize
from styleswap_core.model import Generator

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

# Unbounded: states that do not improve on the start would not be kept.
SETTINGS = InversionSettings(
    steps=6,
    check_every=6,
    guide_batch=2,
    views=2,
    precision="float32",
    trust=0.0,
    learning_rate=0.1,
    weights=InversionWeights(reconstruction=0.1, perceptual=0.05, preservation=0.1, distance=0.1),
)


@pytest.fixture(scope="module")
def benchmark():
    """The module benchmarks/inversion.py, whose own imports are modules of the same folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        specification = importlib.util.spec_from_file_location("inversion_benchmark", FOLDER / "inversion.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"attribute_injection": "every_conv", "attribute_masking": "block", "masking_start": 8},
        {"attribute_injection": "per_resolution", "mask_branch": False, "attribute_masking": "none"},
    ],
)
@pytest.mark.parametrize("low_memory", [False, True])
def test_both_reach_the_same_w_plus(benchmark, kind, low_memory, generator, recognizer, make_faces, target, person):
    torch.manual_seed(1)
    generator = Generator(generator.config.replace(**kind)).eval()
    sources, guides = make_faces(3, 2), make_faces(5, 3)
    plain = benchmark.plain_loop(generator, recognizer, sources, target, guides, SETTINGS)
    network, settings = InvertibleGenerator(generator), replace(SETTINGS, low_memory=low_memory)
    outcome = optimize(network, recognizer, sources, person, guides, settings)
    assert outcome.best_step == SETTINGS.steps, "the comparison needs the last state"
    with torch.no_grad():
        start = generator.broadcast(generator.mapping(target[None]))[0]
    moved = (plain - start).norm()
    assert moved > 0.1 and (outcome.w_plus - plain).norm() < 0.01 * moved


def test_omitting_the_gradients_of_weights_does_not_change_the_plain_loop(
    benchmark, generator, recognizer, make_faces, target
):
    sources, guides = make_faces(1, 2), make_faces(4, 3)
    settings = replace(SETTINGS, steps=2)
    trainable, frozen = (
        benchmark.plain_loop(generator, recognizer, sources, target, guides, settings, frozen=frozen)
        for frozen in (False, True)
    )
    torch.testing.assert_close(frozen, trainable, atol=1e-3, rtol=1e-3)
