"""Portraits: aligned pictures of the source face, for swapping networks that take a picture instead of an embedding."""

from typing import NamedTuple

import numpy as np
import torch

from ..faces.alignment import (
    crop_box,
    estimate_similarity,
    matrix_scale,
    shift_origin,
    template_points,
    transform_points,
    warp,
)
from ..io.images import from_uint8, to_uint8
from .identity import PORTRAIT_SIZE

TEMPLATE = "ffhq"
"""Crop template of portraits; that of the recognizers lies within it."""

# Interpolation reaches this many picture pixels beyond the crop.
_MARGIN = 4


class Portrait(NamedTuple):
    """A portrait and how good it is."""

    picture: torch.Tensor  # (3, PORTRAIT_SIZE, PORTRAIT_SIZE) uint8 RGB
    points: torch.Tensor  # (5, 2) float32, continuous pixels of the portrait
    detail: float  # pixels of the source picture per pixel of the portrait, at most 1


def cut_portrait(picture: np.ndarray, points: np.ndarray) -> Portrait:
    """Portrait of a face; beyond the picture, its edge is repeated.

    Args:
        picture: (H, W, 3) uint8 RGB.
        points: (5, 2), continuous picture pixels.
    """
    five = torch.from_numpy(np.asarray(points, dtype=np.float32))[None]
    matrix = estimate_similarity(five, template_points(TEMPLATE, PORTRAIT_SIZE))
    scale = float(matrix_scale(matrix))
    # Antialiasing averages over as many picture pixels as fall on one of the portrait.
    margin = _MARGIN + round(2.0 / scale)
    x0, y0, x1, y1 = crop_box(matrix, PORTRAIT_SIZE, picture.shape[:2], margin)[0].tolist()
    shifted = shift_origin(matrix, torch.tensor([[x0, y0]]))
    cut = warp(from_uint8(picture[y0:y1, x0:x1]), shifted, PORTRAIT_SIZE, padding="border")
    portrait = torch.from_numpy(to_uint8(cut))[0].permute(2, 0, 1).contiguous()
    return Portrait(portrait, transform_points(matrix, five)[0], min(1.0, 1.0 / scale))
