"""A batch in parts: whole groups for the discriminator, and a refusal where parts would not add up."""

import dataclasses

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.model.discriminator import append_stddev, group_size
from styleswap_core.training.batches import Batch
from styleswap_core.training.micro_batches import check_batch_split, passes
from styleswap_core.training.process_group import ProcessGroup
from styleswap_core.training.training_config import TrainingConfig


def batch_of(rows: torch.Tensor) -> Batch:
    count = len(rows)
    pictures = rows.float()[:, None, None, None].expand(count, 3, 4, 4)
    return Batch(
        target=pictures,
        truth=pictures,
        id_embedding=torch.zeros(count, 512),
        target_embedding=torch.zeros(count, 512),
        truth_known=torch.ones(count, dtype=torch.bool),
        face_mask=pictures[:, :1],
        same_identity=torch.zeros(count, dtype=torch.bool),
        points=torch.zeros(count, 5, 2),
    )


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (1, 4), (2, 2), (3, 2)])
def test_every_row_is_computed_once_and_shares_know_their_rows(world, accumulate):
    config = TrainingConfig(batch=24, accumulate=accumulate)
    everything = torch.arange(24)
    seen = []
    for rank in range(world):
        process_group = ProcessGroup(rank, world)
        for batch, rows in passes(config, batch_of(everything[process_group.share(24)]), process_group):
            got = batch.target[:, 0, 0, 0].long()
            assert torch.equal(got, everything[rows])
            seen += got.tolist()
    assert sorted(seen) == everything.tolist()


@pytest.mark.parametrize(("count", "shares"), [(8, 2), (16, 4), (24, 3), (18, 3), (30, 5)])
def test_groups_of_a_share_are_groups_of_the_whole(count, shares):
    x = torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(count))
    whole = append_stddev(x)
    for number in range(shares):
        torch.testing.assert_close(append_stddev(x[number::shares]), whole[number::shares])


def test_group_size_is_the_largest_divisor_within_the_limit():
    assert [group_size(*case) for case in ((8, 4), (6, 4), (10, 4), (7, 4), (8, 2), (1, 4))] == [4, 3, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("settings", "world", "message"),
    [
        ({"batch": 10, "accumulate": 2}, 3, "3 processes x 2 passes can share evenly, got 10"),
        ({"batch": 8, "recognizer_rows": 3}, 2, "recognizer_rows.*got 3; take a multiple of 2"),
        ({"batch": 8}, 4, "compares 4 pictures at a time, and shares of 2.*stddev_group to a divisor of 2"),
    ],
)
def test_parts_that_do_not_add_up_are_refused(settings, world, message):
    with pytest.raises(StyleSwapError, match=message):
        check_batch_split(TrainingConfig(**settings), world)


@pytest.mark.parametrize(
    ("refused", "remedy", "world"),
    [
        ({"batch": 8}, {"stddev_group": 2}, 4),
        ({"batch": 8}, {"weights": LossWeights(adversarial=0.0)}, 8),
        ({"batch": 8, "recognizer_rows": 3}, {"recognizer_rows": 4}, 2),
        ({"batch": 8, "recognizer_rows": 3}, {"recognizer_rows": 8}, 2),
    ],
)
def test_parts_add_up_once_the_setting_is_changed(refused, remedy, world):
    config = TrainingConfig(**refused)
    with pytest.raises(StyleSwapError):
        check_shares(config, world)
    check_shares(dataclasses.replace(config, **remedy), world)
