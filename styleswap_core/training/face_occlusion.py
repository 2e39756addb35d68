"""Occlusion of faces, so that no face can be copied from the picture.

An occluder replaces the face by its shading, blurred and gray, around a random color, and warps its outline: features
and skin color are lost. Warped faces are how autoencoders learn to swap two people (as in the open-source face-swapping
programs); painting a face from its identity alone is the task of diffusion-based swapping (DiffSwap, Zhao et al. 2023).
Here occlusion makes one of several kinds of training rows, see unpaired.py.

All random numbers are a function of the seed, the step and the row within the batch, as in augmentation.py.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import Stream, step_rng

_SCALE_DEVIATION = 0.1  # standard deviation of the logarithm of the face's width and height
_WARPS = ((3, 0.03), (6, 0.015))  # side of the grid of displacements, their standard deviation relative to the side
_BLUR = 10  # side of the picture relative to the radius of the blur
_BRIGHTNESS_DEVIATION = 0.3  # standard deviation of the mean brightness, RGB -1..1
_TINTS = ((1, 0.08), (4, 0.08))  # side of the grid of added colors, their standard deviation, RGB -1..1


class Occluders(NamedTuple):
    """Random parameters of n occluders, float32."""

    scales: Tensor  # (n, 2) factors of width and height about the center of the face
    warps: list[Tensor]  # (n, 2, k, k) grids of displacements in x and y, relative to the side
    brightness: Tensor  # (n, 1, 1, 1) mean brightness
    tints: list[Tensor]  # (n, 3, k, k) grids of added colors

    def rows(self, rows: Tensor, device: torch.device) -> "Occluders":
        """Some of the occluders, on a device."""
        rows = rows.cpu()
        return Occluders(
            scales=self.scales[rows].to(device),
            warps=[grid[rows].to(device) for grid in self.warps],
            brightness=self.brightness[rows].to(device),
            tints=[grid[rows].to(device) for grid in self.tints],
        )


def draw_occluders(count: int, seed: int, step: int, rows: slice = slice(None)) -> Occluders:
    """Random occluders for some rows of a batch of `count`."""
    rng = step_rng(seed, step, Stream.OCCLUSION)

    def normal(deviation: float, *shape: int) -> Tensor:
        return torch.from_numpy((deviation * rng.standard_normal((count, *shape))).astype(np.float32)[rows])

    return Occluders(
        scales=normal(_SCALE_DEVIATION, 2).exp(),
        warps=[normal(deviation, 2, points, points) for points, deviation in _WARPS],
        brightness=normal(_BRIGHTNESS_DEVIATION, 1, 1, 1),
        tints=[normal(deviation, 3, points, points) for points, deviation in _TINTS],
    )


def occlude_faces(pictures: Tensor, masks: Tensor, occluders: Occluders) -> tuple[Tensor, Tensor]:
    """Occlude faces; pixels far from the face do not change.

    Args:
        pictures: (n, 3, S, S) RGB -1..1.
        masks: (n, 1, S, S) 0..1, the faces.
        occluders: n occluders, on the device of the pictures.

    Returns:
        The pictures with occluded faces, and the masks of the occluders.
    """
    side = pictures.shape[-1]
    # Coordinates and colors need float32 whatever precision the networks run in.
    with torch.autocast(pictures.device.type, enabled=False):
        pictures, mask = _warp(pictures.float(), masks.float(), occluders)
        # The blur is normalized by the mask, so that the surroundings do not bleed into the face.
        radius, weight = max(1, side // _BLUR), box_blur(mask, 1) + 1e-3
        shading = box_blur(pictures.mean(dim=1, keepdim=True) * weight, radius) / box_blur(weight, radius)
        # Its mean, which is the brightness of the skin, is removed.
        area = mask.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        shading = shading - (shading * mask).sum(dim=(2, 3), keepdim=True) / area
        tint = sum(_upsample(grid, side) for grid in occluders.tints)
        cover = (shading + occluders.brightness + tint).clamp(-1, 1)
        occluded = torch.lerp(pictures, cover, box_blur(mask, max(1, side // 64)))
    return occluded.contiguous(memory_format=torch.channels_last), mask


def box_blur(pictures: Tensor, radius: int) -> Tensor:
    """Two passes of a box filter of `2 * radius + 1` px, (n, C, S, S) -> (n, C, S, S)."""
    for _ in range(2):
        pictures = F.avg_pool2d(pictures, 2 * radius + 1, 1, radius, count_include_pad=False)
    return pictures


def _warp(pictures: Tensor, masks: Tensor, occluders: Occluders) -> tuple[Tensor, Tensor]:
    # The displacement is that of the face inside its mask and falls off to 0 around it.
    side = pictures.shape[-1]
    reach = max(1, side // 12)
    falloff = box_blur(F.max_pool2d(masks, 2 * reach + 1, 1, reach), reach)
    position = _pixel_centers(side, pictures.device)
    center = (masks * position).sum(dim=(2, 3), keepdim=True) / masks.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    displacement = (position - center) * (1 / occluders.scales[:, :, None, None] - 1)
    # Positions in -1..1 are in units of half the side.
    displacement = displacement + sum(2 * _upsample(grid, side) for grid in occluders.warps)
    grid = (position + falloff * displacement).permute(0, 2, 3, 1)
    warped = F.grid_sample(torch.cat([pictures, masks], dim=1), grid, padding_mode="reflection", align_corners=False)
    return warped[:, :3], warped[:, 3:]


def _pixel_centers(side: int, device: torch.device) -> Tensor:
    # (1, 2, S, S): x and y in -1..1
    line = (torch.arange(side, device=device) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y])[None]


def _upsample(grid: Tensor, side: int) -> Tensor:
    if grid.shape[-1] == 1:
        return grid
    return F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=True)
