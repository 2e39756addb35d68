"""Photographs and the face world in one batch."""

import numpy as np
import torch
from training_toys import ToySource

from styleswap_core.training.batches import spaced_rows
from styleswap_core.training.mixed_source import MixedSource


class Part:
    """Rows of a toy source."""

    def __init__(self, source, rows):
        self.source, self.rows = source, rows

    def batch(self, step, source_crop=False):
        return self.source.batch(step, source_crop).map(lambda value: value[torch.from_numpy(self.rows)])


def mixed(share, rows=slice(None), count=24):
    positions, world = np.arange(count)[rows], spaced_rows(count, share)[rows]
    return MixedSource(
        Part(ToySource(batch=count, exact_swap=False), positions[~world]),
        Part(ToySource(batch=count), positions[world]),
        world,
    )


def test_rows_of_a_share_are_evenly_spaced():
    for share in (0.0, 0.25, 1 / 3, 0.5, 1.0):
        rows = spaced_rows(36, share)
        assert rows.sum() == round(36 * share)
        assert abs(rows[:18].sum() - rows[18:].sum()) <= 1


def test_only_rows_of_the_world_have_the_exact_swap():
    batch, world = mixed(0.25).batch(3), torch.from_numpy(spaced_rows(24, 0.25))
    rendered, photographs = ToySource(batch=24).batch(3), ToySource(batch=24, exact_swap=False).batch(3)
    assert batch.truth_known[world].all()
    assert torch.equal(batch.truth_known[~world], photographs.same_identity[~world])
    assert torch.equal(batch.truth[world], rendered.truth[world])
    assert torch.equal(batch.target[~world], photographs.target[~world])
    assert batch.source_crop is None and mixed(0.25).batch(3, source_crop=True).source_crop is not None


def test_rows_of_a_process_are_rows_of_the_whole_batch():
    whole = mixed(0.25).batch(5)
    for rank in range(3):
        part = mixed(0.25, slice(rank, None, 3)).batch(5)
        assert torch.equal(part.target, whole.target[rank::3])
        assert torch.equal(part.truth_known, whole.truth_known[rank::3])
