"""Swapping back: what a turned row asks of the network, and what it leaves alone."""

import sys
from pathlib import Path

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.training.back_translation import back_translate
from styleswap_core.training.state import create_state
from styleswap_core.training.step import run_generator

sys.path.append(str(Path(__file__).resolve().parent))

from training_toys import ToySource, tiny_config  # noqa: E402

CONFIG = tiny_config(batch=24, exact_swap=False, back_translated_share=0.5, back_translation_start=3,
                     weights=LossWeights(adversarial=0.0, identity=0.0))


def hidden_batch():
    return ToySource(batch=24, exact_swap=False).batch(0)


@pytest.fixture(scope="module")
def generator():
    return create_state(CONFIG, torch.device("cpu")).generator


def test_a_turned_row_has_a_swap_as_target_and_a_real_picture_as_truth(generator):
    before = hidden_batch()
    after = back_translate(CONFIG, 3, before, generator)
    turned = torch.zeros(24, dtype=torch.bool)
    turned[:12] = ~before.same_identity[:12]
    assert 0 < turned.sum() < 12
    swapped = run_generator(generator, before).image
    assert torch.allclose(after.target[turned], swapped[turned], atol=1e-4)
    assert torch.equal(after.truth[turned], before.target[turned])
    assert torch.equal(after.id_embedding[turned], before.own_embedding[turned])
    assert torch.equal(after.truth_known, before.truth_known | turned)
    for name in ("target", "truth", "id_embedding"):
        assert torch.equal(getattr(after, name)[~turned], getattr(before, name)[~turned])


def test_the_swap_carries_no_gradient(generator):
    after = back_translate(CONFIG, 3, hidden_batch(), generator)
    assert not after.target.requires_grad


def test_nothing_is_turned_before_its_start_or_where_all_truth_is_known(generator):
    hidden, exact = hidden_batch(), ToySource(batch=24).batch(0)
    assert back_translate(CONFIG, 2, hidden, generator) is hidden
    assert back_translate(CONFIG, 3, exact, generator) is exact


def test_the_share_is_a_share():
    with pytest.raises(StyleSwapError, match="back_translated_share"):
        tiny_config(back_translated_share=1.5)
