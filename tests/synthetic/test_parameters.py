"""Parameters drawn from seeds: stable numbers, stated ranges, disjoint splits."""

import pytest
import torch
from pretend_card import CARD, PretendCard

from styleswap_core.synthetic.parameters import (
    ATTRIBUTE_SEEDS,
    EXPRESSION_NAMES,
    IDENTITY_FIELDS,
    IDENTITY_SEEDS,
    Attributes,
    Identities,
    pick_seeds,
)


@pytest.mark.parametrize("table", [IDENTITY_SEEDS, ATTRIBUTE_SEEDS])
def test_splits_are_disjoint(table):
    ranges = list(table.values())
    assert set(table) == {"train", "validation", "test"}
    for first in ranges:
        for second in ranges:
            assert first is second or first.stop <= second.start or second.stop <= first.start


def test_person_of_a_seed_does_not_depend_on_the_batch():
    batch = Identities.from_seeds([3, 7, 11])
    assert torch.equal(batch[1:2].values, Identities.from_seeds([7]).values)
    assert batch.values.abs().max() <= 1


def test_fields_stay_in_their_stated_range():
    people = Identities.from_seeds(range(200))
    for name, (low, high) in IDENTITY_FIELDS.items():
        value = people.field(name)
        assert low - 1e-6 <= value.min() and value.max() <= high + 1e-6
        assert value.max() - value.min() > 0.9 * (high - low)  # the range is used


def test_attributes_can_be_fixed_and_unknown_names_are_refused():
    fixed = Attributes.from_seeds([1, 2], yaw=12.0)
    assert torch.equal(fixed.yaw, torch.full((2, 1), 12.0))
    assert torch.equal(fixed.pitch, Attributes.from_seeds([1, 2]).pitch)
    with pytest.raises(KeyError, match="yawn"):
        Attributes.from_seeds([1], yawn=3.0)


def test_ground_truth_vectors_have_their_documented_shape():
    a = Attributes.from_seeds(range(5))
    assert a.pose.shape == (5, 3) and a.gaze.shape == (5, 2)
    assert a.expression.shape == (5, len(EXPRESSION_NAMES))


def test_numbers_of_a_seed_never_change():
    # A change that shifts the random numbers would change every picture and every model trained on them.
    assert Identities.from_seeds([0]).values[0, :3].tolist() == pytest.approx(EXPECTED_IDENTITY, abs=1e-6)
    a = Attributes.from_seeds([0])
    assert [a.yaw.item(), a.frame_scale.item(), a.sensor_noise.item()] == pytest.approx(EXPECTED_ATTRIBUTES, abs=1e-5)


def test_picked_seeds_are_distinct_and_reproducible():
    pool = IDENTITY_SEEDS["test"]
    picked = pick_seeds(pool, 50, 9)
    assert len(set(picked)) == 50 and all(seed in pool for seed in picked)
    assert picked == pick_seeds(pool, 50, 9) != pick_seeds(pool, 50, 10)


EXPECTED_IDENTITY = [0.0236432, 0.9009274, -0.7116808]
EXPECTED_ATTRIBUTES = [3.2139075, 0.2898136, 0.0007562]


def test_attributes_on_a_card_are_indexed_there():
    """The seeds of the noise stay on the CPU, where it is drawn; an index on the card chooses from them, too."""
    attributes, index = Attributes.from_seeds([3, 4, 5]), torch.tensor([2, 0])
    with PretendCard():
        picked = attributes.to(CARD)[index.to(CARD)]
    assert picked.noise_seeds.tolist() == [5, 3]
    assert torch.equal(picked.yaw.held, attributes.yaw[index])
