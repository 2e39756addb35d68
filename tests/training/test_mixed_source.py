"""Photographs and the face world in one batch."""

import sys
from pathlib import Path

import numpy as np
import torch

from styleswap_core.training.mixed_source import MixedSource, world_rows

sys.path.append(str(Path(__file__).resolve().parent))

from training_toys import ToySource


class Part:
    """Rows of a toy source."""

    def __init__(self, source, rows):
        self.source, self.rows = source, rows

    def batch(self, step, source_crop=False):
        return self.source.batch(step, source_crop)._each(lambda value: value[torch.from_numpy(self.rows)])


def mixed(share, rows=slice(None), count=24):
    places, world = np.arange(count)[rows], world_rows(count, share)[rows]
    return MixedSource(
        Part(ToySource(batch=count, exact_swap=False), places[~world]),
        Part(ToySource(batch=count), places[world]),
        world,
    )


def test_the_share_is_kept_and_evenly_spread():
    for share in (0.0, 0.25, 1 / 3, 0.5, 1.0):
        rows = world_rows(36, share)
        assert rows.sum() == round(36 * share)
        assert abs(rows[:18].sum() - rows[18:].sum()) <= 1


def test_rows_of_the_world_show_the_exact_swap_and_the_others_do_not():
    batch, world = mixed(0.25).batch(3), torch.from_numpy(world_rows(24, 0.25))
    shown, hidden = ToySource(batch=24).batch(3), ToySource(batch=24, exact_swap=False).batch(3)
    assert batch.truth_known[world].all()
    assert torch.equal(batch.truth_known[~world], hidden.same_identity[~world])
    assert torch.equal(batch.truth[world], shown.truth[world])
    assert torch.equal(batch.target[~world], hidden.target[~world])
    assert batch.source_crop is None and mixed(0.25).batch(3, source_crop=True).source_crop is not None


def test_shares_of_the_batch_are_rows_of_the_whole():
    whole = mixed(0.25).batch(5)
    for rank in range(3):
        share = mixed(0.25, slice(rank, None, 3)).batch(5)
        assert torch.equal(share.target, whole.target[rank::3])
        assert torch.equal(share.truth_known, whole.truth_known[rank::3])
