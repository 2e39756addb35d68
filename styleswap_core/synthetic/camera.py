"""The camera of the face world: framing, windows, head rotation, projection.

Convention: picture coordinates are continuous pixels, x to the right and y down, the first pixel's center at (0.5, 0.5).
The camera stands at (0, 0, DISTANCE) of the world frame and looks along -z; the plane z = 0 is mapped to the picture
by `frame_scale` (picture widths per head unit) and the center (`frame_x`, `frame_y`), all from the attributes alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .parameters import Attributes

DISTANCE = 8.0


def head_rotation(attributes: Attributes) -> Tensor:
    """(N, 3, 3) matrices head frame -> world frame: roll about z after yaw about y after pitch about x.

    Positive yaw turns the face to the right of the picture, positive pitch lifts it, positive roll tilts it
    counter-clockwise.
    """
    yaw, pitch, roll = (attributes.fields[name].squeeze(1) * (math.pi / 180) for name in ("yaw", "pitch", "roll"))
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, dim=1).view(-1, 3, 3)  # (N, 9) -> (N, 3, 3)

    about_x = matrix(one, zero, zero, zero, pitch.cos(), pitch.sin(), zero, -pitch.sin(), pitch.cos())
    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return about_z @ about_y @ about_x


def project(points: Tensor, attributes: Attributes, size: int) -> Tensor:
    """World points (N, L, 3) -> full-frame picture coordinates (N, L, 2) of a size x size picture."""
    shrink = DISTANCE / (DISTANCE - points[..., 2])
    scale = attributes.frame_scale * size
    x = attributes.frame_x * size + points[..., 0] * shrink * scale
    y = attributes.frame_y * size - points[..., 1] * shrink * scale
    return torch.stack([x, y], dim=-1)


@dataclass
class View:
    """What a grid of pixels sees: unit ray directions in the world frame and where each pixel lies in the full frame.

    direction: three (B, P) tensors; picture: (B, P, 2) full-frame position as a fraction of the picture;
    footprint: (B, 1) width of a pixel at the head, in head units.
    """

    direction: tuple[Tensor, Tensor, Tensor]
    picture: Tensor
    footprint: Tensor


def view_pixels(attributes: Attributes, window: Tensor, frame_size: int, size: int, grid: int) -> View:
    """Rays through a `grid` x `grid` raster that covers a size x size crop.

    window: (B, 2, 3), full-frame pixels of a frame_size x frame_size picture -> crop pixels.
    """
    device = window.device
    centers = (torch.arange(grid, device=device, dtype=torch.float32) + 0.5) * (size / grid)
    crop_y, crop_x = torch.meshgrid(centers, centers, indexing="ij")
    crop = torch.stack([crop_x, crop_y], dim=-1).view(1, -1, 2)  # (g, g, 2) -> (1, g*g, 2)
    inverse = torch.linalg.inv(window[:, :, :2])
    full = (crop - window[:, :, 2].unsqueeze(1)) @ inverse.transpose(1, 2)
    picture = full / frame_size
    dx = (picture[..., 0] - attributes.frame_x) / attributes.frame_scale
    dy = (attributes.frame_y - picture[..., 1]) / attributes.frame_scale
    norm = (dx * dx + dy * dy + DISTANCE**2).sqrt()
    zoom = torch.linalg.det(window[:, :, :2]).abs().sqrt().unsqueeze(1)
    footprint = (size / grid) / (zoom * frame_size * attributes.frame_scale)
    return View((dx / norm, dy / norm, -DISTANCE / norm), picture, footprint)


def turn(rotation: Tensor, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Applies (B, 3, 3) rotations to vectors given as three (B, P) tensors."""
    r = rotation.unsqueeze(-1)  # (B, 3, 3, 1): r[:, i, j] is (B, 1)
    return tuple(r[:, i, 0] * x + r[:, i, 1] * y + r[:, i, 2] * z for i in range(3))
