"""Division of a batch: whole groups for the discriminator, and refusal of parts that would not add up."""

import dataclasses

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.model.discriminator import append_stddev, group_size
from styleswap_core.training.batches import Batch
from styleswap_core.training.micro_batches import check_division, split_batch
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


@pytest.mark.parametrize(("processes", "micro_batches"), [(1, 1), (2, 1), (1, 4), (2, 2), (3, 2)])
def test_every_row_is_computed_once_at_its_stated_position(processes, micro_batches):
    config = TrainingConfig(batch=24, gradient_accumulation=micro_batches)
    all_rows = torch.arange(24)
    computed = []
    for rank in range(processes):
        process_group = ProcessGroup(rank, processes)
        for batch, rows in split_batch(config, batch_of(all_rows[process_group.rows(24)]), process_group):
            contents = batch.target[:, 0, 0, 0].long()
            assert torch.equal(contents, all_rows[rows])
            computed += contents.tolist()
    assert sorted(computed) == all_rows.tolist()


@pytest.mark.parametrize(("count", "parts"), [(8, 2), (16, 4), (24, 3), (18, 3), (30, 5)])
def test_groups_of_a_part_are_groups_of_the_whole(count, parts):
    x = torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(count))
    whole = append_stddev(x)
    for number in range(parts):
        torch.testing.assert_close(append_stddev(x[number::parts]), whole[number::parts])


def test_group_size_is_the_largest_divisor_within_the_limit():
    assert [group_size(*case) for case in ((8, 4), (6, 4), (10, 4), (7, 4), (8, 2), (1, 4))] == [4, 3, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("settings", "processes", "message"),
    [
        ({"batch": 10, "gradient_accumulation": 2}, 3, "divisible by 3 processes x 2 micro-batches, got 10"),
        ({"batch": 8, "recognizer_rows": 3}, 2, "recognizer_rows.*got 3; use a multiple of 2"),
        ({"batch": 8}, 4, "groups of 4 pictures, got 2.*stddev_group to a divisor of 2"),
    ],
)
def test_parts_that_do_not_add_up_are_refused(settings, processes, message):
    with pytest.raises(StyleSwapError, match=message):
        check_division(TrainingConfig(**settings), processes)


@pytest.mark.parametrize(
    ("refused", "remedy", "processes"),
    [
        ({"batch": 8}, {"stddev_group": 2}, 4),
        ({"batch": 8}, {"weights": LossWeights(adversarial=0.0)}, 8),
        ({"batch": 8, "recognizer_rows": 3}, {"recognizer_rows": 4}, 2),
        ({"batch": 8, "recognizer_rows": 3}, {"recognizer_rows": 8}, 2),
    ],
)
def test_parts_add_up_once_the_setting_is_changed(refused, remedy, processes):
    config = TrainingConfig(**refused)
    with pytest.raises(StyleSwapError):
        check_division(config, processes)
    check_division(dataclasses.replace(config, **remedy), processes)
