"""Validation metrics on held-out pictures, and sample sheets, both of the averaged generator in float32.

They show the progress of a run; the evaluation suites, which use a recognizer that training has not seen, measure the
quality of a finished model.
"""

import numpy as np
import torch
import torch.nn.functional as F

from ..faces.alignment import recognizer_crop
from ..faces.arcface import TorchRecognizer
from ..io.images import to_uint8
from ..io.sheets import labeled_sheet, mask_picture
from ..metrics import fidelity
from ..metrics.mask_overlap import mask_iou
from ..model.generator import Generator
from .batches import SAMPLE_STEP, Batch, DataSource

MIN_CELL = 128  # px


@torch.no_grad()
def sample_sheet(generator: Generator, source: DataSource, images: int, device: torch.device) -> np.ndarray:
    """Sheet of at most `images` samples, always the same ones.

    Columns: source, target, result, RGB before blending, exact swap (where known) and mask.

    Returns:
        (H, W, 3) uint8.
    """
    batch = source.batch(SAMPLE_STEP, source_crop=True).to(device)
    output = generator(batch.target, batch.id_embedding)
    columns = {
        "source": batch.source_crop,
        "target": batch.target,
        "result": output.image,
        "rgb": output.rgb,
        "exact swap": batch.truth if bool(batch.truth_known.all()) else None,
    }
    shown = {name: to_uint8(pictures[:images].cpu()) for name, pictures in columns.items() if pictures is not None}
    masks = output.mask[:images, 0].cpu().numpy()
    rows = [
        [*(np.asarray(pictures[row]) for pictures in shown.values()), mask_picture(masks[row])]
        for row in range(len(masks))
    ]
    return labeled_sheet(rows, columns=[*shown, "mask"], cell=max(MIN_CELL, generator.config.size))


@torch.no_grad()
def validate(
    generator: Generator, source: DataSource, images: int, recognizer: TorchRecognizer | None, device: torch.device
) -> dict[str, float]:
    """Mean metrics over at least `images` samples, always the same ones, of a source with exact swaps.

    The keys are those of the evaluation suite, with a prefix. `id_cos` and `id_cos_exact_swap` are cosine similarities
    to another photo of the source by the recognizer used in training; they are biased upward, so only their trend is
    meaningful.
    """
    collected: dict[str, list[torch.Tensor]] = {}
    seen = 0
    while seen < images:
        batch = source.batch(SAMPLE_STEP + seen).to(device)
        seen += len(batch.target)
        for name, values in _metrics(generator, batch, recognizer).items():
            collected.setdefault(name, []).append(values.cpu())
    return {f"validation/{name}": fidelity.mean_of(torch.cat(values)) for name, values in collected.items()}


def _metrics(generator: Generator, batch: Batch, recognizer: TorchRecognizer | None) -> dict[str, torch.Tensor]:
    output = generator(batch.target, batch.id_embedding)
    image, truth, mask = output.image.clamp(-1, 1), batch.truth, batch.face_mask
    metrics = {
        "psnr": fidelity.psnr(image, truth),
        "face_psnr": fidelity.masked_psnr(image, truth, mask),
        "face_psnr_floor": fidelity.masked_psnr(batch.target, truth, mask),
        "sharpness_ratio": fidelity.sharpness_ratio(image, truth, mask),
        "mask_iou": mask_iou(output.mask, mask),
        "outside_l1": fidelity.outside_l1(image, batch.target, mask),
    }
    if recognizer is not None:
        for name, picture in (("id_cos", image), ("id_cos_exact_swap", truth), ("id_cos_floor", batch.target)):
            embedding = recognizer(recognizer_crop(picture, batch.points))
            metrics[name] = F.cosine_similarity(embedding, batch.id_embedding, dim=1)
    return metrics
