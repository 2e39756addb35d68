"""Training on pairs whose exact swap is not known, by giving some rows of a batch a substitute for the truth.

No photograph shows a person with someone else's face, so the paper's losses can assess a swap only by likeness and
realism. They hardly penalize a network that copies the target's features through its attributes: it keeps copying, and
satisfies the recognizer with patches of color. Three kinds of rows counteract this, each with a picture as its truth:

- *Occluded*: the target's face is occluded (face_occlusion.py), the source is the person in the target, and the truth
  is the photograph. What the face looks like must then come from the embedding.
- *Consistent*: the coarse colors of a swap must equal those of the network's own swap of the occluded target, computed
  without gradient, so that the result cannot depend on the target's face. A network that paints occluded faces from the
  embedding but copies the others cannot satisfy this. Fine detail is left to the other rows and terms, since the
  occluder hides expression and gaze.
- *Back-translated*: the target is the network's own swap of a photograph, computed without gradient, the source is the
  person in the photograph, and the truth is the photograph, including its expression. This is back-translation as in
  machine translation without parallel corpora (Sennrich et al. 2016; Lample et al. 2018). Alone it teaches a copying
  network to go on copying, so it starts after the first two have produced swaps that differ from their targets.

Rows whose truth is known are not changed: those of the same identity, and those from the face world.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from ..model.generator_output import GeneratorOutput
from .batches import Batch
from .face_occlusion import box_blur, draw_occluders, occlude_faces
from .training_config import TrainingConfig

# Side of the picture relative to the radius of the blur that extracts coarse colors.
_COARSE = 24

GeneratorFunction = Callable[[Tensor, Tensor], GeneratorOutput]
"""Forward function of a generator: aligned crops (B, 3, S, S) and id_embedding (B, D) -> output."""
SwapFunction = Callable[[Tensor, Tensor], Tensor]
"""The same without gradient, and with the swapped crops (B, 3, S, S) alone as output."""


def supervise_unpaired_rows(
    config: TrainingConfig,
    step: int,
    batch: Batch,
    generator: GeneratorFunction,
    rows: slice = slice(None),
) -> Batch:
    """Batch of `step` with substitutes for unknown truths.

    The treatment of a row depends on its position in the whole batch (rows are in random order): consistent rows come
    first, occluded ones last, and back-translated ones before those. If the recognizer evaluates only the first rows
    (`recognizer_rows`), these are swaps.

    Args:
        config: Configuration of the run.
        step: Number of the step, from 0.
        batch: Rows of the step's batch.
        generator: Forward function of the network, called without gradient.
        rows: Position of the rows in the whole batch.
    """
    count = config.batch
    occluded_start = count - round(config.occluded_share * count)
    translated_start = max(0, occluded_start - round(config.back_translated_share * count))
    consistent_end = min(translated_start, round(config.consistency_share * count))

    def swap(target: Tensor, id_embedding: Tensor) -> Tensor:
        with torch.no_grad():
            return generator(target, id_embedding).image

    if step >= config.consistency_start:
        selected = _rows_without_truth(batch, 0, consistent_end, rows)
        batch = _add_consistency(config, step, batch, selected, swap, rows)
    if step >= config.back_translation_start:
        selected = _rows_without_truth(batch, translated_start, occluded_start, rows)
        batch = _back_translate(batch, selected, swap)
    selected = _rows_without_truth(batch, occluded_start, count, rows)
    return _occlude(config, step, batch, selected, rows)


def _back_translate(batch: Batch, selected: Tensor, swap: SwapFunction) -> Batch:
    if not len(selected):
        return batch
    photographs = batch.target[selected]
    return _with_truth(
        batch,
        selected,
        target=swap(photographs, batch.id_embedding[selected]),
        truth=photographs,
        id_embedding=batch.target_embedding[selected],
    )


def _occlude(config: TrainingConfig, step: int, batch: Batch, selected: Tensor, rows: slice) -> Batch:
    if not len(selected):
        return batch
    photographs = batch.target[selected]
    occluded, masks = _occluded_targets(config, step, batch, selected, rows)
    # The generated face must cover the photograph's face as well as the occluder.
    return _with_truth(
        batch,
        selected,
        target=occluded,
        truth=photographs,
        id_embedding=batch.target_embedding[selected],
        face_mask=torch.maximum(batch.face_mask[selected], masks),
    )


def _add_consistency(
    config: TrainingConfig, step: int, batch: Batch, selected: Tensor, swap: SwapFunction, rows: slice
) -> Batch:
    if not len(selected):
        return batch
    occluded, _ = _occluded_targets(config, step, batch, selected, rows)
    id_embedding = batch.id_embedding[selected]
    swapped = swap(batch.target[selected], id_embedding)
    truth = swapped + box_blur(swap(occluded, id_embedding) - swapped, swapped.shape[-1] // _COARSE)
    return _with_truth(batch, selected, truth=truth)


def _rows_without_truth(batch: Batch, first: int, last: int, rows: slice) -> Tensor:
    """Indices into `batch` of those rows first..last-1 of the whole batch whose truth is not known."""
    first, last = (len(range(edge)[rows]) for edge in (first, last))
    return first + (~batch.truth_known[first:last]).nonzero().flatten()


def _occluded_targets(
    config: TrainingConfig, step: int, batch: Batch, selected: Tensor, rows: slice
) -> tuple[Tensor, Tensor]:
    occluders = draw_occluders(config.batch, config.seed, step, rows).rows(selected, batch.target.device)
    return occlude_faces(batch.target[selected], batch.face_mask[selected], occluders)


def _with_truth(batch: Batch, selected: Tensor, **values: Tensor) -> Batch:
    changed = {name: getattr(batch, name).index_copy(0, selected, value) for name, value in values.items()}
    return dataclasses.replace(batch, truth_known=batch.truth_known.index_fill(0, selected, True), **changed)
