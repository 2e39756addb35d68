"""Exact landmarks of the face world: five points and 68 dense points, where rays meet the head.

The 68 points follow the order of the iBUG 300-W annotation: jaw 0..16, brows 17..26, nose 27..35, eyes 36..47,
lips 48..67. "Left" is the left of the picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .geometry import head_distance, mouth_lines
from .shape import Shape
from .skin import lid_curves

_STEPS = 18

# x and y (B, 1) of a landmark seen from the front, head frame.
_Front = tuple[Tensor, Tensor]


def head_points(s: Shape) -> tuple[Tensor, Tensor]:
    """Five points (B, 5, 3) and dense points (B, 68, 3) in the head frame.

    The five points are the centers of the eyes, the tip of the nose and the corners of the mouth.
    """
    dense = _trace(s, *_rays(s))
    zero = torch.zeros_like(s.eye_x)
    eye_z = s.eye_z + s.eye_r
    left = torch.stack([-s.eye_x, s.eye_y, eye_z], dim=-1)
    right = torch.stack([s.eye_x, s.eye_y, eye_z], dim=-1)
    tip = torch.stack([zero + 0.6 * s.nose_bend, s.tip_y + s.nose_tip_lift, s.tip_z + zero], dim=-1)
    return torch.cat([left, right, tip, dense[:, 48:49], dense[:, 54:55]], dim=1), dense


def _rays(s: Shape) -> tuple[Tensor, Tensor]:
    """Origins and unit directions (B, 68, 3) of rays, head frame: radial ones to the jaw, frontal ones to the rest."""
    front = _brow(s, -1.0) + _brow(s, 1.0) + _nose(s) + _eye(s, -1.0) + _eye(s, 1.0) + _lips(s)
    x = torch.cat([p[0].expand_as(s.eye_x) for p in front], dim=1)
    y = torch.cat([p[1].expand_as(s.eye_x) for p in front], dim=1)
    origin_front = torch.stack([x, y, torch.full_like(x, 1.5)], dim=-1)
    direction_front = torch.zeros_like(origin_front)
    direction_front[..., 2] = -1.0
    angles = torch.linspace(-math.pi + 0.02, -0.02, 17, device=x.device)
    outward = torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], dim=-1)
    outward = outward.unsqueeze(0).expand(x.shape[0], -1, -1)  # (17, 3) -> (B, 17, 3)
    center = torch.tensor([0.0, -0.15, 0.28], device=x.device)
    origin = torch.cat([center + 1.6 * outward, origin_front], dim=1)
    return origin, torch.cat([-outward, direction_front], dim=1)


def _trace(s: Shape, origin: Tensor, direction: Tensor) -> Tensor:
    """First intersections (B, L, 3) of rays with the head, by sphere tracing."""
    point = origin
    for _ in range(_STEPS):
        d = head_distance(point[..., 0], point[..., 1], point[..., 2], s)
        point = point + (0.85 * d).unsqueeze(-1) * direction
    return point


def _brow(s: Shape, side: float) -> list[_Front]:
    points = []
    for u in (-0.95, -0.45, 0.0, 0.45, 0.95):
        x = s.eye_x + 0.015 + u * s.brow_length
        y = s.brow_y + s.brow_arch * (1 - (u - 0.2) ** 2) + s.brow_slope * 0.16 * u
        points.append((side * x, y))
    return points if side > 0 else points[::-1]


def _nose(s: Shape) -> list[_Front]:
    bend = s.nose_bend
    bridge = [(bend * k * 0.5, s.eye_y + 0.02 - k * s.nose_length) for k in (0.05, 0.35, 0.65)]
    tip = (bend * 0.6, s.tip_y + s.nose_tip_lift)
    base = [(bend * 0.6 + k * s.nose_width, s.tip_y - 0.055 + 0.01 * abs(k)) for k in (-1.1, -0.5, 0.0, 0.5, 1.1)]
    return [*bridge, tip, *base]


def _eye(s: Shape, side: float) -> list[_Front]:
    """From the corner at the left of the picture, clockwise along the upper lid and back along the lower lid."""
    lid = s.lid_left if side < 0 else s.lid_right

    def edge(u: float, upper: bool) -> _Front:
        curves = lid_curves(torch.full_like(s.eye_x, u), s, lid)
        rise = curves[0] if upper else curves[1]
        return side * (s.eye_x + u * 1.16 * s.eye_r), s.eye_y + 0.32 * s.eye_r * s.eye_tilt * u + rise

    us = (1.0, 0.4, -0.4, -1.0) if side < 0 else (-1.0, -0.4, 0.4, 1.0)
    return [*(edge(u, True) for u in us), edge(us[2], False), edge(us[1], False)]


def _lips(s: Shape) -> list[_Front]:
    """Outer edge, then inner edge, each from the left corner along the upper lip and back along the lower lip."""
    edges: list[tuple[int, tuple[float, ...]]] = [
        (0, (-1.0, -0.6, -0.22, 0.0, 0.22, 0.6, 1.0)),
        (3, (0.6, 0.25, 0.0, -0.25, -0.6)),
        (1, (-0.92, -0.4, 0.0, 0.4, 0.92)),
        (2, (0.4, 0.0, -0.4)),
    ]
    return [(u * s.mouth_w, mouth_lines(u * s.mouth_w, s)[line]) for line, us in edges for u in us]
