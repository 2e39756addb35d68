"""Looking at a run: figures on held-out pictures, and sheets of samples. The averaged generator is judged, in float32.

These follow the run; what a finished model is worth is measured by the evaluation suites, with a judge of their own.
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
from .step import run_generator

CHUNK = 16


@torch.no_grad()
def sample_sheet(generator: Generator, source: DataSource, images: int, device: torch.device) -> np.ndarray:
    """Source, target, result, rgb, exact swap (where shown) and mask of the same `images` samples each time.

    Returns:
        (H, W, 3) uint8.
    """
    batch = source.batch(SAMPLE_STEP, source_crop=True).to(device)
    output = run_generator(generator, batch)
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
    return labeled_sheet(rows, columns=[*shown, "mask"], cell=max(128, generator.config.size))


@torch.no_grad()
def validate(
    generator: Generator, source: DataSource, images: int, recognizer: TorchRecognizer | None, device: torch.device
) -> dict[str, float]:
    """Means over at least `images` samples of a source that shows the exact swap, the same ones each time.

    Keys as in the evaluation suite; `id_cos` and `id_cos_exact_swap` are cosines to the source's other photo by the
    recognizer trained with, so they flatter and only their course says something.
    """
    figures: dict[str, list[torch.Tensor]] = {}
    seen = 0
    while seen < images:
        batch = source.batch(SAMPLE_STEP + seen).to(device)
        seen += len(batch.target)
        for name, values in _judge(generator, batch, recognizer).items():
            figures.setdefault(name, []).append(values.cpu())
    return {f"validation/{name}": fidelity.mean_of(torch.cat(values)) for name, values in figures.items()}


def _judge(generator: Generator, batch: Batch, recognizer: TorchRecognizer | None) -> dict[str, torch.Tensor]:
    output = run_generator(generator, batch)
    image, truth, mask = output.image.clamp(-1, 1), batch.truth, batch.face_mask
    figures = {
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
            figures[name] = F.cosine_similarity(embedding, batch.id_embedding, dim=1)
    return figures
