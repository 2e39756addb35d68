"""Signed distances to the surfaces of the face world: head, hair, neck and torso, glasses, occluder.

Everything outside the face (skull under the hair, hair, body, glasses) depends on the attributes alone. Only then does
the exact swap equal the target outside the two face regions.

Points are given as x, y, z of shape (B, P); `s` is their `Shape`, with scalars of shape (B, 1). Distances are negative
inside, and not exact: `march.RELAXATION` allows for the overestimates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .shape import Shape
from .vectors import length

# Center y and z, and radii of the ellipsoid that is the skull.
_SKULL_Y, _SKULL_Z = 0.30, -0.12
_SKULL_RADII = (0.74, 0.80, 0.90)

# A length: one for all pictures, or one per picture (B, 1).
_Scalar = Tensor | float


class MouthLines(NamedTuple):
    """Heights (B, P) of the edges of the lips, and a factor that tapers from 1 at the middle to 0 at the corners."""

    outer_up: Tensor
    inner_up: Tensor
    inner_low: Tensor
    outer_low: Tensor
    taper: Tensor


def smooth_min(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Minimum of two distances with a fillet of width `k`."""
    overlap = (k - (a - b).abs()).relu_()
    return torch.minimum(a, b).sub_(overlap.square_().mul_(0.25 / k))


def smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Maximum of two distances with a fillet of width `k`."""
    overlap = (k - (a - b).abs()).relu_()
    return torch.maximum(a, b).add_(overlap.square_().mul_(0.25 / k))


def bump(u: Tensor) -> Tensor:
    """Smooth bump like a Gaussian, but with compact support: 1 at 0, and 0 from |u| = 1 on."""
    return (1.0 - u * u).relu_().square_()


def smoothstep(edge0: _Scalar, edge1: _Scalar, x: Tensor) -> Tensor:
    """Smooth step from 0 at `edge0` to 1 at `edge1`."""
    t = ((x - edge0) / (edge1 - edge0)).clamp_(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _ellipsoid(x: Tensor, y: Tensor, z: Tensor, rx: _Scalar, ry: _Scalar, rz: _Scalar, scale: _Scalar) -> Tensor:
    """Distance-like field of an ellipsoid with these radii; exact in directions where the radius is `scale`."""
    return length(x / rx, y / ry, z / rz).sub_(1.0).mul_(scale)


def _capsule(
    x: Tensor, y: Tensor, z: Tensor, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], ra: Tensor, rb: Tensor
) -> Tensor:
    """Distance to a capsule in the plane x = 0, from `start` (y, z) with radius ra to `end` (y, z) with radius rb."""
    (ay, az), (by, bz) = start, end
    dy, dz = by - ay, bz - az
    t = ((y - ay) * dy).addcmul_(z - az, dz.expand_as(z)).div_(dy * dy + dz * dz).clamp_(0.0, 1.0)
    return length(x, y - ay - t * dy, z - az - t * dz).sub_(ra + t * (rb - ra))


def mouth_lines(x: Tensor, s: Shape) -> MouthLines:
    """Edges of the lips above the positions `x`."""
    q = (x / s.mouth_w).square()
    taper = (1.0 - q).relu()
    middle = s.mouth_y + s.mouth_curve * q.clamp(max=1.5)
    gap = s.gap * taper.sqrt() * (0.4 + 0.6 * taper)
    inner_up = middle + 0.18 * gap
    inner_low = middle - 0.82 * gap
    bow = 1.0 - s.cupid_bow * bump(x / 0.055)
    soft = taper.sqrt()
    return MouthLines(inner_up + s.lip_up * soft * bow, inner_up, inner_low, inner_low - s.lip_low * soft, taper)


def _lips(x: Tensor, y: Tensor, s: Shape) -> Tensor:
    """Height of the lips above the skin around the mouth."""
    outer_up, inner_up, inner_low, outer_low, taper = mouth_lines(x, s)
    half_up, half_low = s.lip_up * 0.5, s.lip_low * 0.5
    upper = bump((y - 0.5 * (outer_up + inner_up)) / (half_up * 1.5))
    lower = bump((y - 0.5 * (outer_low + inner_low)) / (half_low * 1.5))
    philtrum = bump(x / 0.04) * bump((y - outer_up - 0.05) / 0.07)
    return (
        taper * (upper * (0.030 + 0.35 * s.lip_up + s.pout) + lower * (0.035 + 0.32 * s.lip_low + s.pout))
        - 0.012 * philtrum
    )


def _mirrored(x: Tensor) -> Tensor:
    """|x|, rounded near 0 so that mirrored parts meet without a crease."""
    return (x * x + 0.0025).sqrt_()


def _skull(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _ellipsoid(x, y - _SKULL_Y, z - _SKULL_Z, *_SKULL_RADII, 0.78)


def _masses(ax: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance to the large forms: skull, forehead, jaw, chin and cheeks."""
    d = _skull(ax, y, z)
    d = smooth_min(d, _ellipsoid(ax, y - 0.42, z - 0.10, 0.46, 0.40, s.forehead, 0.45), 0.2)
    d = smooth_min(d, _ellipsoid(ax, y - s.jaw_center_y, z - 0.10, s.jaw_width, s.jaw_ry, 0.66, 0.6), 0.24)
    d = smooth_min(d, length(ax - s.gonion_width, y - s.gonion_y, z - 0.10) - 0.14, 0.30)
    d = smooth_min(d, _ellipsoid(ax, y - s.chin_y, z - s.chin_z, s.chin_width, 0.12, 0.14, 0.13), 0.26)
    d = smooth_min(d, length(ax - 0.40, y - s.cheekbone_height - s.cheek_raise, z - 0.44) - s.cheekbone, 0.26)
    return smooth_min(
        d, length(ax - 0.32, y + 0.42 - s.cheek_raise + 0.3 * s.jaw_drop, z - 0.44) - s.cheek_fullness, 0.28
    )


def _nose(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    along = ((s.eye_y - y) / s.nose_length).clamp_(-0.2, 1.0)
    xn = x - s.nose_bend * along * (1.0 - 0.4 * along)
    top_y, top_z = s.eye_y + 0.06, s.nose_bridge
    tip = s.tip_y + 0.03, s.tip_z - 0.05 - 0.3 * s.nose_tip
    d = _capsule(xn, y, z, (top_y, top_z), tip, s.nose_bridge_width, 0.055 + 0.25 * s.nose_bridge_width)
    d = smooth_min(d, length(xn, y - s.tip_y - s.nose_tip_lift, z - s.tip_z + s.nose_tip) - s.nose_tip, 0.07)
    wing = length(xn.abs() - s.nose_width, y - s.tip_y + 0.035, z - s.tip_z + 0.19) - (0.045 + 0.25 * s.nose_width)
    return smooth_min(d, wing, 0.06)


def _ear(ax: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    dx, dz = ax - 0.735, z + 0.06
    across = dx * s.ear_cos + dz * s.ear_sin  # perpendicular to the plate of the ear
    forward = dz * s.ear_cos - dx * s.ear_sin  # along the plate, toward the face
    up, forward = y / s.ear_size, forward / s.ear_size + 0.09
    d = _ellipsoid(across, up, forward - 0.15 * up, 0.055, 0.235, 0.145, 0.07)
    hollow = _ellipsoid(across - 0.055, up - 0.02, forward - 0.02 - 0.15 * up, 0.05, 0.155, 0.085, 0.06)
    return smooth_max(d, -hollow, 0.03)


def _upper_face(ax: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance to the large forms with brow ridges and eye sockets."""
    d = _masses(ax, y, z, s)
    d = smooth_min(
        d, _ellipsoid(ax - 0.9 * s.eye_x, y - s.eye_y - 0.17, z - 0.60, 0.24, 0.075, 0.08 + s.brow_ridge, 0.10), 0.16
    )
    socket = length(ax - s.eye_x, y - s.eye_y - 0.005, z - s.eye_z - 0.27) - 0.165
    return smooth_max(d, -socket, 0.14)


def head_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance (B, P) from points of the head frame to the bare head, with the eyelids closed.

    The openings of eyes and mouth are painted, not modeled.
    """
    ax = _mirrored(x)
    d = _upper_face(ax, y, z, s)
    d = smooth_min(d, length(ax - s.eye_x, y - s.eye_y, z - s.eye_z) - 1.07 * s.eye_r, 0.05)
    d = smooth_min(d, _nose(x, y, z, s), 0.09)
    d = smooth_min(
        d, _ellipsoid(ax, y - s.mouth_y + 0.3 * s.gap, z - s.mouth_forward, 0.27, 0.19 + 0.4 * s.gap, 0.22, 0.2), 0.2
    )
    d = d - _lips(x, y, s) * smoothstep(0.3, 0.5, z)
    return smooth_min(d, _ear(ax, y, z, s), 0.05)


def shadow_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance (B, P) to the parts of the head that cast visible shadows: its large forms and the nose; head frame."""
    return smooth_min(_upper_face(_mirrored(x), y, z, s), _nose(x, y, z, s), 0.09)


def hair_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape, long: bool = True, fine: bool = True) -> Tensor:
    """Distance (B, P) from points of the head frame to the hair; 9 for styles without hair.

    `long` says whether any picture has long hair, `fine` whether to model locks and a ragged hairline, which soft
    shadows do not need.
    """
    line = s.hair_front
    lump: _Scalar = 0.0
    if fine:
        wave = torch.sin(x * 21.0 + y * 9.0).mul_(torch.sin(z * 19.0 - y * 11.0 + x * 5.0))
        lump = wave * s.hair_lump
        line = line + 0.009 * torch.sin(x * 47.0) + 0.008 * torch.sin(x * 83.0 + 1.0)
    # Thinner toward the hairline, so that the hair ends on the skin and not in a step.
    height = y * 0.80 - z * s.hair_slope + x * s.hair_tilt
    inside = height - line
    rise = (inside * 2.6).clamp_(-1.0, 1.0)
    shell = _skull(x, y, z) - s.hair_thickness * rise + lump
    d = smooth_max(shell, -inside * 0.8, 0.02)
    if long:
        d = torch.where(s.hair_long > 0, smooth_min(d, _long_hair(x, y, z, s, lump), 0.16), d)
    bun = length(x, y - 1.12, z + 0.42) - s.hair_bun + lump
    d = torch.where(s.hair_bun > 0, torch.minimum(d, bun), d)
    return torch.where(s.hair > 0, d, torch.full_like(d, 9.0))


def _long_hair(x: Tensor, y: Tensor, z: Tensor, s: Shape, lump: _Scalar) -> Tensor:
    """Distance to hair that falls beside and behind the head, from the widest part of the skull down."""
    flare = 1.0 + 0.08 * (0.2 - y).clamp(0.0, 1.0)
    round_x, round_z = x / (0.76 * flare), (z + 0.12) / (0.88 * flare)
    side = (round_x * round_x).addcmul_(round_z, round_z).sqrt_().sub_(1.0).mul_(0.78)
    shell = (side - 0.3 * s.hair_thickness).abs() - (0.035 + s.hair_thickness * 0.55) + lump
    opening = z - 0.30 - 0.22 * (y - 0.1).clamp(-1.2, 0.6)
    ragged = s.hair_end + 0.05 * torch.sin(x * 29.0 + z * 23.0)
    return smooth_max(smooth_max(shell, opening, 0.10), torch.maximum(ragged - y, y - 0.42), 0.05)


def body_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance (B, P) from points of the world frame to neck and torso."""
    lean = (z + 0.20 - 0.10 * (y + 0.6)) / 0.95
    neck = (x * x).addcmul_(lean, lean).sqrt_() - (0.345 + 0.10 * (-0.95 - y).relu().square())
    neck = torch.maximum(neck, y + 0.42)
    torso = _ellipsoid(x, y + 2.25, z + 0.28, s.shoulders, 0.82, 0.62, 0.75)
    return smooth_min(neck, torso, 0.28)


def glasses_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance (B, P) from points of the head frame to a pair of glasses, whose position no identity changes."""
    ax = x.abs()
    front = z - 0.93 + 0.28 * ax * ax
    qx = (ax - 0.315).abs() - s.rim_w + s.rim_round
    qy = (y - 0.02).abs() - s.rim_h + s.rim_round
    outline = (
        qx.relu().square().addcmul_(qy.relu(), qy.relu()).sqrt_() + torch.maximum(qx, qy).clamp(max=0.0) - s.rim_round
    )
    rim = (outline.square() + front.square()).sqrt_() - s.rim_r
    bridge = torch.maximum((front.square() + (y - 0.05 + 0.3 * ax * ax).square()).sqrt_() - s.rim_r, ax - 0.14)
    temple_z = (z - 0.78).relu() + (-z - 0.10).relu()
    reach = 0.315 + s.rim_w
    bend = reach + 0.20 * ((0.78 - z) / 0.88).clamp(0.0, 1.0)
    temple = ((ax - bend).square() + (y - 0.05).square() + temple_z.square()).sqrt_() - s.rim_r * 0.9
    return torch.minimum(torch.minimum(rim, bridge), temple) + 9.0 * (1.0 - s.glasses)


def occluder_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance (B, P) from points of the world frame to a bar or forearm with a round end in front of the face."""
    norm = (s.bar_dx.square() + s.bar_dy.square()).sqrt()
    dx, dy = s.bar_dx / norm, s.bar_dy / norm
    px, py, pz = x - s.bar_x, y - s.bar_y, z - 1.32
    along = (px * dx + py * dy).clamp(0.0, 4.0)
    return length(px - along * dx, py - along * dy, pz) - s.bar_r * (1.0 + 0.10 * along) + 9.0 * (1.0 - s.occluder)
