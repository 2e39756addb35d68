"""Camera of the face world: framing, crop windows, head rotation, projection.

Convention: picture coordinates are continuous pixels, x to the right and y down, with the center of the first pixel at
(0.5, 0.5). The camera is at (0, 0, DISTANCE) of the world frame and looks along -z. It maps the plane z = 0 to the
picture by `frame_scale` (picture widths per head unit) and the center (`frame_x`, `frame_y`), all three attributes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .parameters import Attributes
from .vectors import Vector, select

DISTANCE = 8.0


def head_rotation(attributes: Attributes) -> Tensor:
    """Rotations (N, 3, 3) from the head frame to the world frame: pitch about x, then yaw about y, then roll about z.

    Positive yaw turns the face to the right of the picture, positive pitch raises it, positive roll tilts it
    counterclockwise.
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
    """Picture coordinates (N, L, 2) of world points (N, L, 3) in a full frame of size x size pixels."""
    shrink = DISTANCE / (DISTANCE - points[..., 2])
    scale = attributes.frame_scale * size
    x = attributes.frame_x * size + points[..., 0] * shrink * scale
    y = attributes.frame_y * size - points[..., 1] * shrink * scale
    return torch.stack([x, y], dim=-1)


@dataclass
class View:
    """Rays through the P pixels of each of B pictures.

    Attributes:
        direction: Unit directions (B, P) in the world frame.
        picture: Positions (B, P, 2) in the full frame, as fractions of its side.
        footprint: Width (B, 1) of a pixel at the distance of the head, in head units.
    """

    direction: Vector
    picture: Tensor
    footprint: Tensor

    def rows(self, index: slice) -> View:
        """The rays of a part of the batch."""
        return View(select(self.direction, index), self.picture[index], self.footprint[index])


def view_pixels(attributes: Attributes, window: Tensor, frame_size: int, size: int, grid: int) -> View:
    """Rays through a grid x grid raster that covers a crop of size x size pixels.

    Args:
        attributes: Framing of each picture.
        window: Affine maps (B, 2, 3) from pixels of the full frame to pixels of the crop.
        frame_size: Side of the full frame in pixels.
        size: Side of the crop in pixels.
        grid: Rays per side.
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
