"""Learning to swap where no exact swap is known: what the rows of a batch are made into.

Photographs show no one with another's face, so the paper's losses judge a swap by likeness and realism alone. A network
that copies the target's features through its attributes is hardly contradicted: it learns to copy, and to please the
recognizer by blotches. Three kinds of rows contradict it, each with a picture as its truth:

- *Hidden*: the target's face is covered (hiding.py), the source is the target's own person, the truth is the photograph.
  What a face looks like can come from the embedding alone.
- *Agreeing*: in its coarse colors a swap must be what the network itself makes of the covered target, without gradient:
  what face the target wore must not matter. A network that paints covered faces from the embedding and copies the others
  cannot do this. Fine detail is left to the other rows and terms: the cover hides expression and gaze.
- *Swapped back*: back-translation, as in machine translation without parallel texts (Sennrich et al. 2016; Lample et al.
  2018). The target is the network's own swap, without gradient, the source is the target's own person, the truth is the
  photograph, with its expression, pixel by pixel. Alone, this teaches a network that copies to go on copying; it begins
  when the first two have made swaps that differ from their targets.

Rows of which the truth is known stay as they are: same identity, and the face world.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from .batches import Batch
from .face_occlusion import cover_faces, draw_covers, smoothed
from .training_config import TrainingConfig

# The picture's side to the radius of the blur that keeps what rows agree upon.
_COARSE = 24

Painter = Callable[[Tensor, Tensor], Tensor]


def teach_unpaired(
    config: TrainingConfig, step: int, batch: Batch, generator: Callable, rows: slice = slice(None)
) -> Batch:
    """The batch of `step` as the network is taught by it.

    Which rows are made into what goes by their place in the whole batch, and rows come in random order: the first ones
    agree, the last ones are hidden, those before them are swapped back. The recognizer may judge the first rows alone
    (`recognizer_rows`): those are swaps.

    Args:
        generator: (aligned_crop (B, 3, S, S), id_embedding (B, 512)) -> output with `image`; run without gradient.
        rows: which ones of the step's whole batch `batch` holds.
    """
    count = config.batch
    hidden = count - round(config.hidden_share * count)
    turned = max(0, hidden - round(config.back_translated_share * count))
    agreeing = min(turned, round(config.agreeing_share * count))

    def paint(target: Tensor, id_embedding: Tensor) -> Tensor:
        with torch.no_grad():
            return generator(target, id_embedding).image.float()

    if step >= config.agreeing_start:
        batch = agree(config, step, batch, _unknown(batch, 0, agreeing, rows), paint, rows)
    if step >= config.back_translation_start:
        batch = swap_back(batch, _unknown(batch, turned, hidden, rows), paint)
    return hide(config, step, batch, _unknown(batch, hidden, count, rows), rows)


def swap_back(batch: Batch, chosen: Tensor, paint: Painter) -> Batch:
    """The rows `chosen` turned round: target = their swap, source = the target's person, truth = target."""
    if not len(chosen):
        return batch
    photographs = batch.target[chosen]
    return _replace(
        batch,
        chosen,
        target=paint(photographs, batch.id_embedding[chosen]),
        truth=photographs,
        id_embedding=batch.own_embedding[chosen],
    )


def hide(config: TrainingConfig, step: int, batch: Batch, chosen: Tensor, rows: slice = slice(None)) -> Batch:
    """The rows `chosen` with covered faces: source = the target's person, truth = target."""
    if not len(chosen):
        return batch
    photographs = batch.target[chosen]
    covered, covers = _covered(config, step, batch, chosen, rows)
    # What is painted must reach as far as the face did, and as far as what covers it.
    return _replace(
        batch,
        chosen,
        target=covered,
        truth=photographs,
        id_embedding=batch.own_embedding[chosen],
        face_mask=torch.maximum(batch.face_mask[chosen], covers),
    )


def agree(
    config: TrainingConfig, step: int, batch: Batch, chosen: Tensor, paint: Painter, rows: slice = slice(None)
) -> Batch:
    """The rows `chosen` with a truth: their swap, its coarse colors those of the swap of the covered target."""
    if not len(chosen):
        return batch
    covered, _ = _covered(config, step, batch, chosen, rows)
    id_embedding = batch.id_embedding[chosen]
    own = paint(batch.target[chosen], id_embedding)
    truth = own + smoothed(paint(covered, id_embedding) - own, own.shape[-1] // _COARSE)
    return _replace(batch, chosen, truth=truth)


def _unknown(batch: Batch, first: int, last: int, rows: slice) -> Tensor:
    # Of the rows first..last-1 of the whole batch, those held here whose truth is not known, as indices into `batch`.
    first, last = (len(range(edge)[rows]) for edge in (first, last))
    return first + (~batch.truth_known[first:last]).nonzero().flatten()


def _covered(config: TrainingConfig, step: int, batch: Batch, chosen: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    covers = draw_covers(config.batch, config.seed, step, rows).rows(chosen, batch.target.device)
    return cover_faces(batch.target[chosen], batch.face_mask[chosen], covers)


def _replace(batch: Batch, chosen: Tensor, **values: Tensor) -> Batch:
    # These rows have a known truth from now on.
    changed = {name: getattr(batch, name).index_copy(0, chosen, value) for name, value in values.items()}
    return dataclasses.replace(batch, truth_known=batch.truth_known.index_fill(0, chosen, True), **changed)
