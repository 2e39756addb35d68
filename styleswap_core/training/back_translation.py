"""Learning to swap where no exact swap is known: the network's own swaps, swapped back.

Photographs show no one with another's face, so the paper's losses judge a swap by likeness and realism alone, and a
network that copies the target's features through its attributes is hardly contradicted. Machine translation without
parallel texts has the same trouble and an answer: back-translation (Sennrich et al., 2016; Lample et al., 2018). A
swap made by the network, without gradient, is the next target; given back the target's own identity, the result
must be the photograph that it began with. The truth is a real picture, pixel by pixel, and the target carries someone
else's features, which copying would keep.
"""

import dataclasses
from collections.abc import Callable

import torch

from .config import TrainingConfig
from .data import Batch


def back_translate(config: TrainingConfig, step: int, batch: Batch, generator: Callable, rows: slice = slice(None)) -> Batch:
    """The batch with some rows turned round: target = swap by `generator`, source = the target's person, truth = target.

    Of the rows whose truth is not known, the first `config.back_translated_share` of the batch's rows are turned; rows
    come in random order. Nothing happens before `config.back_translation_start`.

    Args:
        generator: (aligned_crop (B, 3, S, S), id_embedding (B, 512)) -> output with `image`; run without gradient.
        rows: which ones of the step's whole batch `batch` holds.
    """
    if not config.back_translated_share or step < config.back_translation_start:
        return batch
    first = len(range(round(config.back_translated_share * config.batch))[rows])
    turned = (~batch.truth_known[:first]).nonzero().flatten()
    if not len(turned):
        return batch
    with torch.no_grad():
        swapped = generator(batch.target[turned], batch.id_embedding[turned]).image.float()
    return dataclasses.replace(
        batch,
        target=batch.target.index_copy(0, turned, swapped),
        id_embedding=batch.id_embedding.index_copy(0, turned, batch.own_embedding[turned]),
        truth=batch.truth.index_copy(0, turned, batch.target[turned]),
        truth_known=batch.truth_known.index_fill(0, turned, True),
    )
