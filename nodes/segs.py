"""Segments in the form of Impact Pack's SEGS, without importing it. Does not import ComfyUI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ..styleswap_core.compositing.mask_shaping import resize_mask
from ..styleswap_core.compositing.pixel_access import Box
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.io.images import repair
from .values import resolve_mask

if TYPE_CHECKING:
    from ..styleswap_core.pipeline.masked_faces import FaceMask

LABEL = "face"
"""Label of the segments of faces."""


class SEG(NamedTuple):
    """One segment, with the fields of Impact Pack's namedtuple of this name.

    Attributes:
        cropped_image: (1, h, w, 3) float32, 0..1: the image within `crop_region`.
        cropped_mask: (h, w) float32, 0..1: the mask within it.
        confidence: 0..1.
        crop_region: x0, y0, x1, y1 in the image: the segment with what is around it.
        bbox: x0, y0, x1, y1 in the image: the segment.
        label: What it shows.
        control_net_wrapper: Set by nodes of Impact Pack.
    """

    cropped_image: np.ndarray | None
    cropped_mask: np.ndarray
    confidence: float
    crop_region: list[int]
    bbox: tuple[int, int, int, int]
    label: str
    control_net_wrapper: object = None


Segs = tuple[tuple[int, int], list[SEG]]
"""(height, width) of an image, and its segments."""


def segs_of(image: torch.Tensor, faces: Sequence[FaceMask], crop_factor: float) -> Segs:
    """Segments of the faces of one image; a face of which nothing lies in it gives none.

    Args:
        image: (H, W, 3 or 4), 0..1.
        faces: Masks of its faces.
        crop_factor: Side of a segment's region, in multiples of the box around its mask.
    """
    size = (int(image.shape[0]), int(image.shape[1]))
    segs = []
    for face in faces:
        if face.box is None:
            continue
        x0, y0, x1, y1 = region = _region(face.box, size, crop_factor)
        mask = np.zeros((y1 - y0, x1 - x0), np.float32)
        left, top, right, bottom = face.box
        mask[top - y0 : bottom - y0, left - x0 : right - x0] = face.values.numpy()
        crop = image[None, y0:y1, x0:x1, :3].detach().float().cpu().numpy().copy()
        segs.append(SEG(crop, mask, face.score, list(region), face.box, LABEL))
    return size, segs


def segs_mask(segs: Any) -> torch.Tensor:
    """One mask (H, W), 0..1, with all segments of SEGS; (1, 1) and black for none of an image without a size.

    Impact Pack has these for nothing found, such as *SEGS Concat* of nothing.

    Raises:
        StyleSwapError: Something else than SEGS.
    """
    problem = StyleSwapError(
        "expected SEGS, a size and a list of segments as Face Mask and Impact Pack make them, got a value of type"
        f" {type(segs).__name__}; connect the SEGS of a detector"
    )
    try:
        (height, width), items = segs
        if not (items or height or width):
            return torch.zeros(1, 1)
        mask = np.zeros((int(height), int(width)), np.float32)
        for item in items:
            x0, y0, x1, y1 = (int(value) for value in item.crop_region)
            values = np.asarray(torch.as_tensor(item.cropped_mask).detach().float().cpu())
            # Segments of several frames have a mask for each.
            values = values.reshape(-1, *values.shape[-2:]).max(0)
            if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
                raise ValueError("a region beyond the image")
            part = mask[y0:y1, x0:x1]
            np.maximum(part, values, out=part)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise problem from error
    if 0 in mask.shape:
        raise problem
    return torch.from_numpy(mask)


def chosen_mask(only_in: torch.Tensor | None, segs: object, size: tuple[int, int]) -> torch.Tensor | None:
    """Mask (h, w) or (B, h, w) of the faces that are swapped; None if neither a mask nor segments say so.

    Args:
        only_in: Socket value (B, h, w). The placeholder that Load Image returns for an image without transparency
            counts as none.
        segs: Socket value; with a mask, a face has to lie in both.
        size: Height and width of the images; 0 if they are not known.

    Raises:
        StyleSwapError: Something else than SEGS.
    """
    if only_in is not None and resolve_mask(only_in, size) is not only_in:
        only_in = None
    if segs is None:
        return only_in
    mask = segs_mask(segs)
    if only_in is None:
        return mask
    if only_in.ndim != 3 or 0 in only_in.shape:
        # Refused where it is used.
        return only_in
    own = resize_mask(repair(only_in[:, None])[0].float().cpu(), tuple(mask.shape))
    return torch.minimum(own[:, 0], mask)


def _region(box: Box, size: tuple[int, int], factor: float) -> Box:
    """A larger box with the same middle, moved into an image of a size."""
    sides = []
    for low, high, limit in ((box[0], box[2], size[1]), (box[1], box[3], size[0])):
        length = min(max(math.ceil((high - low) * factor), high - low), limit)
        start = min(max((low + high - length) // 2, 0), limit - length)
        # Rounding must not cut the box.
        start = min(start, low)
        sides.append((start, max(start + length, high)))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1
