"""Substitutes for unknown truths: content of each kind of row, unchanged rows, and independence of the division."""

import dataclasses

import pytest
import torch
from training_toys import ToySource, tiny_config

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.training.training_state import create_state
from styleswap_core.training.unpaired import supervise_unpaired_rows

COUNT = 24
CONFIG = tiny_config(batch=COUNT, exact_swap=False, weights=LossWeights(adversarial=0.0, identity=0.0))


def config_with(**changes):
    return dataclasses.replace(CONFIG, **changes)


BACK_TRANSLATED = config_with(back_translated_share=0.5, back_translation_start=3)
OCCLUDED = config_with(occluded_share=0.5)
CONSISTENT = config_with(consistency_share=0.5, consistency_start=3)
ALL = config_with(
    occluded_share=0.25,
    back_translated_share=0.25,
    back_translation_start=0,
    consistency_share=0.25,
    consistency_start=0,
)


def unpaired_batch():
    return ToySource(batch=COUNT, exact_swap=False).batch(0)


def rows_without_truth(first, last):
    rows = torch.zeros(COUNT, dtype=torch.bool)
    rows[first:last] = ~unpaired_batch().same_identity[first:last]
    assert 0 < rows.sum() < last - first
    return rows


def assert_others_unchanged(before, after, rows, names=("target", "truth", "id_embedding", "face_mask")):
    assert torch.equal(after.truth_known, before.truth_known | rows)
    for name in names:
        assert torch.equal(getattr(after, name)[~rows], getattr(before, name)[~rows])


@pytest.fixture(scope="module")
def generator():
    return create_state(CONFIG, torch.device("cpu")).generator


def test_back_translated_rows_have_a_swap_as_target_and_the_photograph_as_truth(generator):
    before, rows = unpaired_batch(), rows_without_truth(12, 24)
    after = supervise_unpaired_rows(BACK_TRANSLATED, 3, before, generator)
    swapped = generator(before.target, before.id_embedding).image
    assert torch.allclose(after.target[rows], swapped[rows], atol=1e-4)
    assert not after.target.requires_grad
    assert torch.equal(after.truth[rows], before.target[rows])
    assert torch.equal(after.id_embedding[rows], before.target_embedding[rows])
    assert_others_unchanged(before, after, rows)


def test_occluded_rows_have_the_photograph_as_truth(generator):
    before, rows = unpaired_batch(), rows_without_truth(12, 24)
    after = supervise_unpaired_rows(OCCLUDED, 3, before, generator)
    assert torch.equal(after.truth[rows], before.target[rows])
    assert torch.equal(after.id_embedding[rows], before.target_embedding[rows])
    inner = before.face_mask[rows].expand(-1, 3, -1, -1) > 0
    assert (after.target[rows] - before.target[rows]).abs()[inner].mean() > 0.1
    assert (after.face_mask >= before.face_mask).all()
    assert (after.face_mask > before.face_mask).any()
    assert_others_unchanged(before, after, rows)


def test_the_truth_of_consistent_rows_hardly_depends_on_the_target_face(generator):
    before, rows = unpaired_batch(), rows_without_truth(0, 12)
    after = supervise_unpaired_rows(CONSISTENT, 3, before, generator)
    assert torch.equal(after.target, before.target)
    assert torch.equal(after.id_embedding, before.id_embedding)
    assert not after.truth.requires_grad
    assert (after.truth[rows] - before.truth[rows]).abs().mean() > 0.01
    assert_others_unchanged(before, after, rows)
    # The same targets with other colors in their faces.
    other = dataclasses.replace(before, target=torch.where(before.face_mask > 0, before.target.flip(1), before.target))
    change_of_truth = (after.truth - supervise_unpaired_rows(CONSISTENT, 3, other, generator).truth)[rows].abs().mean()
    change_of_swap = (
        (generator(before.target, before.id_embedding).image - generator(other.target, other.id_embedding).image)[rows]
        .abs()
        .mean()
    )
    assert change_of_truth < 0.3 * change_of_swap


def test_consistency_and_back_translation_start_at_their_steps(generator):
    before = unpaired_batch()
    for config, step in ((BACK_TRANSLATED, 2), (CONSISTENT, 2)):
        after = supervise_unpaired_rows(config, step, before, generator)
        assert torch.equal(after.truth_known, before.truth_known)
        assert torch.equal(after.target, before.target)


def test_rows_with_known_truth_do_not_change(generator):
    paired = ToySource(batch=COUNT).batch(0)
    after = supervise_unpaired_rows(ALL, 3, paired, generator)
    assert_others_unchanged(paired, after, torch.zeros(COUNT, dtype=torch.bool))


def test_rows_of_a_process_are_treated_as_in_the_whole_batch(generator):
    whole = supervise_unpaired_rows(ALL, 7, unpaired_batch(), generator)
    for rank in range(3):
        rows = slice(rank, None, 3)
        part = supervise_unpaired_rows(ALL, 7, unpaired_batch().rows(rows), generator, rows)
        assert torch.equal(part.truth_known, whole.truth_known[rows])
        for name in ("target", "truth", "id_embedding", "face_mask"):
            assert torch.allclose(getattr(part, name), getattr(whole, name)[rows], atol=1e-4), name


def test_random_numbers_depend_on_the_step(generator):
    first, again, other = (
        supervise_unpaired_rows(OCCLUDED, step, unpaired_batch(), generator).target for step in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)


def test_coordinates_and_colors_are_float32_under_autocast(generator):
    plain = supervise_unpaired_rows(OCCLUDED, 3, unpaired_batch(), generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = supervise_unpaired_rows(OCCLUDED, 3, unpaired_batch(), generator)
    assert torch.equal(plain.target, mixed.target)
    assert plain.target.abs().max() <= 1 and 0 <= plain.face_mask.min() <= plain.face_mask.max() <= 1


@pytest.mark.parametrize("name", ["occluded_share", "consistency_share", "back_translated_share"])
def test_shares_above_1_are_refused(name):
    with pytest.raises(StyleSwapError, match=name):
        tiny_config(**{name: 1.5})


def test_shares_that_exceed_the_batch_are_refused():
    with pytest.raises(StyleSwapError, match="occluded_share"):
        tiny_config(occluded_share=0.5, consistency_share=0.4, back_translated_share=0.2)
