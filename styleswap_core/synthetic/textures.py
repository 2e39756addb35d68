"""Noise textures of the face world: fixed tables, the same on every device, sampled by position."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import grid_sample

_SIZE = 256


def _smooth_noise(rng: np.random.Generator, cells_y: int, cells_x: int) -> np.ndarray:
    """Periodic value noise (256, 256) in about -1..1, interpolated between cells_y x cells_x random values."""
    lattice = torch.from_numpy(rng.uniform(-1, 1, (1, 1, cells_y, cells_x))).float()
    wrapped = F.pad(lattice, (2, 2, 2, 2), mode="circular")
    big = F.interpolate(wrapped, scale_factor=(_SIZE / cells_y, _SIZE / cells_x), mode="bicubic", align_corners=False)
    top, left = round(2 * _SIZE / cells_y), round(2 * _SIZE / cells_x)
    return big[0, 0, top : top + _SIZE, left : left + _SIZE].numpy()


# A plain dictionary, since torch.compile ignores lru_cache and would build the table again.
_tables: dict[torch.device, Tensor] = {}


def prepare(device: torch.device) -> None:
    """Build the tables of a device; must be called before a compiled function samples them."""
    if device not in _tables:
        _tables[device] = _build_table().to(device)


def _build_table() -> Tensor:
    """Tables (1, 4, 257, 257): clouds, grain, streaks along y, spots; first row and column repeated at the end."""
    rng = np.random.default_rng([4, 0])
    clouds = sum(_smooth_noise(rng, n, n) / (n / 4) ** 0.8 for n in (4, 8, 16, 32)) * 0.6
    grain = 0.6 * _smooth_noise(rng, 64, 64) + 0.4 * _smooth_noise(rng, 128, 128)
    streaks = 0.5 * _smooth_noise(rng, 4, 64) + 0.35 * _smooth_noise(rng, 8, 128) + 0.25 * _smooth_noise(rng, 2, 16)
    spots = _smooth_noise(rng, 64, 64)
    stacked = torch.from_numpy(np.stack([clouds, grain, streaks, spots])).float().unsqueeze(0)
    return F.pad(stacked, (0, 1, 0, 1), mode="circular")


CLOUDS, GRAIN, STREAKS, SPOTS = range(4)
"""Channels of the tables."""


def sample(channel: int, u: Tensor, v: Tensor) -> Tensor:
    """Noise of a channel at (u, v), tensors of one shape; it has period 1 and values in about -1..1."""
    layer = _tables[u.device][:, channel : channel + 1]
    # The center of texel i is at (i + 0.5) / 257 of the padded table.
    gx = (u - u.floor()) * (2.0 * _SIZE / (_SIZE + 1)) - 1.0 + 1.0 / (_SIZE + 1)
    gy = (v - v.floor()) * (2.0 * _SIZE / (_SIZE + 1)) - 1.0 + 1.0 / (_SIZE + 1)
    grid = torch.stack([gx.reshape(-1), gy.reshape(-1)], dim=-1).view(1, 1, -1, 2)  # (1, 1, n, 2)
    return grid_sample(layer, grid, padding_mode="border").view(u.shape)
