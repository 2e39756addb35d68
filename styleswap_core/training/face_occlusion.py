"""Faces hidden behind a cover: pictures from which a face cannot be copied.

Inside the face a cover leaves the course of the light, blurred and gray, about a random color, and bends the outline:
features and skin are gone. Bending faces is how autoencoders learn the swaps of two people (the open face-swapping programs);
painting a face anew from its identity is what diffusion models are asked for (Zhao et al. 2023, DiffSwap). Here it is a
step on the way, see unpaired.py.

All random numbers are a function of the seed, the step and the row in the whole batch, as those of augmentation.py.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import random_of_step

# Stream of random numbers, beyond those of augmentation.Purpose.
_COVERS = 16

_SIZES = 0.1  # standard deviation of the logarithm of the face's width and height
_BENDS = ((3, 0.03), (6, 0.015))  # points of a grid's side, standard deviation as a share of the picture's side
_BLUR = 10  # the picture's side to the radius of the blur
_LEVEL = 0.3  # standard deviation of a cover's mean brightness, RGB -1..1
_TINTS = ((1, 0.08), (4, 0.08))  # as bends, for color added smoothly, RGB -1..1


class Covers(NamedTuple):
    """Of n pictures. float32."""

    sizes: Tensor  # (n, 2) factors of width and height about the face's center
    bends: list[Tensor]  # (n, 2, k, k) grids of displacement x, y as a share of the side
    level: Tensor  # (n, 1, 1, 1) mean brightness
    tints: list[Tensor]  # (n, 3, k, k) grids of added color

    def rows(self, chosen: Tensor, device: torch.device) -> "Covers":
        """Some of them, on a device."""
        return Covers(
            *(
                [grid[chosen.cpu()].to(device) for grid in entry]
                if isinstance(entry, list)
                else entry[chosen.cpu()].to(device)
                for entry in self
            )
        )


def draw_covers(count: int, seed: int, step: int, rows: slice = slice(None)) -> Covers:
    """Random covers of `rows` of a batch of `count`."""
    random = random_of_step(seed, step, _COVERS)

    def normal(deviation: float, *shape: int) -> Tensor:
        return torch.from_numpy((deviation * random.standard_normal((count, *shape))).astype(np.float32)[rows])

    return Covers(
        sizes=normal(_SIZES, 2).exp(),
        bends=[normal(deviation, 2, points, points) for points, deviation in _BENDS],
        level=normal(_LEVEL, 1, 1, 1),
        tints=[normal(deviation, 3, points, points) for points, deviation in _TINTS],
    )


def cover_faces(pictures: Tensor, masks: Tensor, covers: Covers) -> tuple[Tensor, Tensor]:
    """Hide faces; far from the face nothing changes.

    Args:
        pictures: (n, 3, S, S) RGB -1..1.
        masks: (n, 1, S, S) 0..1, the faces.

    Returns:
        The covered pictures, and the masks of the covers.
    """
    side = pictures.shape[-1]
    # float32 for coordinates and colors, whatever precision the networks run in.
    with torch.autocast(pictures.device.type, enabled=False):
        pictures, mask = _bent(pictures.float(), masks.float(), covers)
        # The mean over the face alone: what surrounds it must not shine through.
        radius, inside = max(1, side // _BLUR), smoothed(mask, 1) + 1e-3
        light = smoothed(pictures.mean(dim=1, keepdim=True) * inside, radius) / smoothed(inside, radius)
        # Nor must its mean, which is the skin's.
        light = light - (light * mask).sum(dim=(2, 3), keepdim=True) / mask.sum(dim=(2, 3), keepdim=True).clamp_min(
            1e-6
        )
        cover = (light + covers.level + sum(_smooth(grid, side) for grid in covers.tints)).clamp(-1, 1)
        covered = torch.lerp(pictures, cover, smoothed(mask, _edge(side)))
    return covered.contiguous(memory_format=torch.channels_last), mask


def _bent(pictures: Tensor, masks: Tensor, covers: Covers) -> tuple[Tensor, Tensor]:
    # The face moves and what is near follows; far away nothing does.
    side = pictures.shape[-1]
    reach = max(1, side // 12)
    near = smoothed(F.max_pool2d(masks, 2 * reach + 1, 1, reach), reach)
    place = _coordinates(side, pictures.device)
    center = (masks * place).sum(dim=(2, 3), keepdim=True) / masks.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    moved = (place - center) * (1 / covers.sizes[:, :, None, None] - 1)
    # Coordinates count in halves of the side.
    moved = moved + sum(2 * _smooth(grid, side) for grid in covers.bends)
    where = (place + near * moved).permute(0, 2, 3, 1)
    together = torch.cat([pictures, masks], dim=1)
    bent = F.grid_sample(together, where, padding_mode="reflection", align_corners=False)
    return bent[:, :3], bent[:, 3:]


def _coordinates(side: int, device: torch.device) -> Tensor:
    # (1, 2, S, S), x and y of pixel centers in -1..1
    line = (torch.arange(side, device=device) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y])[None]


def _smooth(grid: Tensor, side: int) -> Tensor:
    if grid.shape[-1] == 1:
        return grid
    return F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=True)


def _edge(side: int) -> int:
    return max(1, side // 64)


def smoothed(pictures: Tensor, radius: int) -> Tensor:
    """Blurred by a box of `2 * radius + 1` px, twice; (n, C, S, S) -> the same shape."""
    for _ in range(2):
        pictures = F.avg_pool2d(pictures, 2 * radius + 1, 1, radius, count_include_pad=False)
    return pictures
