"""Rows without known truth: what each kind asks of the network, what it leaves alone, and that shares do not matter."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.training.training_state import create_state
from styleswap_core.training.training_step import run_generator
from styleswap_core.training.unpaired import supervise_unpaired_rows

sys.path.append(str(Path(__file__).resolve().parent))

from training_toys import ToySource, tiny_config

COUNT = 24
CONFIG = tiny_config(batch=COUNT, exact_swap=False, weights=LossWeights(adversarial=0.0, identity=0.0))


def with_rows(**changes):
    return dataclasses.replace(CONFIG, **changes)


SWAPPED_BACK = with_rows(back_translated_share=0.5, back_translation_start=3)
HIDDEN = with_rows(occluded_share=0.5)
AGREEING = with_rows(consistency_share=0.5, consistency_start=3)
ALL = with_rows(
    occluded_share=0.25,
    back_translated_share=0.25,
    back_translation_start=0,
    consistency_share=0.25,
    consistency_start=0,
)


def hidden_batch():
    return ToySource(batch=COUNT, exact_swap=False).batch(0)


def unknown_rows(first, last):
    rows = torch.zeros(COUNT, dtype=torch.bool)
    rows[first:last] = ~hidden_batch().same_identity[first:last]
    assert 0 < rows.sum() < last - first
    return rows


def assert_others_unchanged(before, after, rows, names=("target", "truth", "id_embedding", "face_mask")):
    assert torch.equal(after.truth_known, before.truth_known | rows)
    for name in names:
        assert torch.equal(getattr(after, name)[~rows], getattr(before, name)[~rows])


@pytest.fixture(scope="module")
def generator():
    return create_state(CONFIG, torch.device("cpu")).generator


def test_a_row_swapped_back_has_a_swap_as_target_and_a_real_picture_as_truth(generator):
    before, rows = hidden_batch(), unknown_rows(12, 24)
    after = supervise_unpaired_rows(SWAPPED_BACK, 3, before, generator)
    swapped = run_generator(generator, before).image
    assert torch.allclose(after.target[rows], swapped[rows], atol=1e-4)
    assert not after.target.requires_grad
    assert torch.equal(after.truth[rows], before.target[rows])
    assert torch.equal(after.id_embedding[rows], before.target_embedding[rows])
    assert_others_unchanged(before, after, rows)


def test_a_hidden_row_asks_for_the_picture_behind_the_cover(generator):
    before, rows = hidden_batch(), unknown_rows(12, 24)
    after = supervise_unpaired_rows(HIDDEN, 3, before, generator)
    assert torch.equal(after.truth[rows], before.target[rows])
    assert torch.equal(after.id_embedding[rows], before.target_embedding[rows])
    inner = before.face_mask[rows].expand(-1, 3, -1, -1) > 0
    assert (after.target[rows] - before.target[rows]).abs()[inner].mean() > 0.1
    assert (after.face_mask >= before.face_mask).all()
    assert (after.face_mask > before.face_mask).any()
    assert_others_unchanged(before, after, rows)


def test_an_agreeing_row_asks_for_what_is_painted_whatever_face_the_target_wore(generator):
    before, rows = hidden_batch(), unknown_rows(0, 12)
    after = supervise_unpaired_rows(AGREEING, 3, before, generator)
    assert torch.equal(after.target, before.target)
    assert torch.equal(after.id_embedding, before.id_embedding)
    assert not after.truth.requires_grad
    assert (after.truth[rows] - before.truth[rows]).abs().mean() > 0.01
    assert_others_unchanged(before, after, rows)
    # The same people as targets, with other colors in their faces.
    other = dataclasses.replace(before, target=torch.where(before.face_mask > 0, before.target.flip(1), before.target))
    behind = (after.truth - supervise_unpaired_rows(AGREEING, 3, other, generator).truth)[rows].abs().mean()
    plain = (run_generator(generator, before).image - run_generator(generator, other).image)[rows].abs().mean()
    assert behind < 0.3 * plain


def test_agreeing_and_swapping_back_have_their_time(generator):
    before = hidden_batch()
    for config, step in ((SWAPPED_BACK, 2), (AGREEING, 2)):
        after = supervise_unpaired_rows(config, step, before, generator)
        assert torch.equal(after.truth_known, before.truth_known)
        assert torch.equal(after.target, before.target)


def test_where_all_truth_is_known_nothing_changes(generator):
    exact = ToySource(batch=COUNT).batch(0)
    after = supervise_unpaired_rows(ALL, 3, exact, generator)
    assert_others_unchanged(exact, after, torch.zeros(COUNT, dtype=torch.bool))


def test_shares_of_a_batch_are_taught_as_the_whole(generator):
    whole = supervise_unpaired_rows(ALL, 7, hidden_batch(), generator)
    for rank in range(3):
        rows = slice(rank, None, 3)
        share = supervise_unpaired_rows(ALL, 7, hidden_batch().rows(rows), generator, rows)
        assert torch.equal(share.truth_known, whole.truth_known[rows])
        for name in ("target", "truth", "id_embedding", "face_mask"):
            assert torch.allclose(getattr(share, name), getattr(whole, name)[rows], atol=1e-4), name


def test_steps_have_random_numbers_of_their_own(generator):
    first, again, other = (supervise_unpaired_rows(HIDDEN, step, hidden_batch(), generator).target for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)


def test_half_precision_does_not_reach_coordinates_and_colors(generator):
    plain = supervise_unpaired_rows(HIDDEN, 3, hidden_batch(), generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = supervise_unpaired_rows(HIDDEN, 3, hidden_batch(), generator)
    assert torch.equal(plain.target, mixed.target)
    assert plain.target.abs().max() <= 1 and 0 <= plain.face_mask.min() <= plain.face_mask.max() <= 1


@pytest.mark.parametrize("name", ["occluded_share", "consistency_share", "back_translated_share"])
def test_a_share_is_a_share(name):
    with pytest.raises(StyleSwapError, match=name):
        tiny_config(**{name: 1.5})


def test_shares_must_fit_into_a_batch():
    with pytest.raises(StyleSwapError, match="occluded_share"):
        tiny_config(occluded_share=0.5, consistency_share=0.4, back_translated_share=0.2)
