"""Signed distances of the face world: head, hair, neck and torso, glasses, occluder.

Head frame: x to the right of the picture, y up, z to the viewer, origin between the ears; eyes near y = 0.04, chin near
y = -1.0, crown near y = 1.1. World frame: the same axes, not turned with the head; the body lives there.

Everything that is seen outside the face (cranium under the hair, hair, body, glasses) depends on attributes alone;
only then is the exact swap equal to the target outside the two face regions.

Points come as x, y, z of shape (B, P); scalars of a `Shape` have shape (B, 1).
Distances are lower bounds up to a factor that `march.RELAXATION` allows for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .parameters import HAIR_STYLES, Attributes, Identities

CRANIUM = (0.0, 0.30, -0.12, 0.74, 0.80, 0.90)


class Shape(dict):
    """Named scalars of a batch of pictures, each (B, 1); attribute access, and `rows` for a part of the batch."""

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def rows(self, index: slice) -> Shape:
        """The same scalars of a part of the batch, (b, 1) each."""
        return Shape({name: value[index] for name, value in self.items()})


def smooth_min(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Minimum of two distances with a fillet of width `k`."""
    overlap = (k - (a - b).abs()).relu_()
    return torch.minimum(a, b).sub_(overlap.square_().mul_(0.25 / k))


def smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Maximum of two distances with a fillet of width `k`."""
    overlap = (k - (a - b).abs()).relu_()
    return torch.maximum(a, b).add_(overlap.square_().mul_(0.25 / k))


def bump(u: Tensor) -> Tensor:
    """1 at 0, 0 from |u| = 1 on, smooth: the compact replacement of a Gaussian."""
    return (1.0 - u * u).relu_().square_()


def step(edge0, edge1, x: Tensor) -> Tensor:
    """Smooth step from 0 at `edge0` to 1 at `edge1`."""
    t = ((x - edge0) / (edge1 - edge0)).clamp_(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def length(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Euclidean length of vectors whose coordinates x, y, z share a shape; head units."""
    return (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_()


def ellipsoid(x: Tensor, y: Tensor, z: Tensor, rx, ry, rz, scale) -> Tensor:
    """Distance-like field of an ellipsoid; `scale` is the radius at which it is true to length."""
    return length(x / rx, y / ry, z / rz).sub_(1.0).mul_(scale)


def capsule(x: Tensor, y: Tensor, z: Tensor, ay, az, by, bz, ra, rb) -> Tensor:
    """Capsule in the plane x = 0 from (ay, az) with radius ra to (by, bz) with radius rb."""
    dy, dz = by - ay, bz - az
    t = ((y - ay) * dy).addcmul_(z - az, dz.expand_as(z)).div_(dy * dy + dz * dz).clamp_(0.0, 1.0)
    return length(x, y - ay - t * dy, z - az - t * dz).sub_(ra + t * (rb - ra))


def build_shape(identities: Identities, attributes: Attributes) -> Shape:
    """Scalars that the distances and the shading need, expression applied to the identity's rest shape."""
    s = Shape({name: identities.field(name) for name in _IDENTITY_SHAPE})
    a = attributes
    opening, smile, rounding = a.mouth_open, a.smile, a.lip_round
    drop = 0.20 * opening
    s["jaw_drop"] = drop
    s["jaw_center_y"] = -0.26 - 0.5 * drop
    s["jaw_ry"] = 0.62 + (s.jaw_length.abs() - 0.82) * 0.6 + 0.45 * drop
    s["chin_y"] = s.jaw_length + 0.10 - 0.9 * drop
    s["chin_z"] = s.chin_forward - 0.10 * drop
    s["gonion_y"] = s.gonion_height - 0.35 * drop
    s["cheek_raise"] = smile.relu() * 0.05
    s["eye_x"], s["eye_y"], s["eye_z"] = s.eye_spacing, s.eye_height, s.eye_depth
    s["eye_r"] = s.eye_size
    s["brow_y"] = s.eye_y + s.brow_height + 0.045 * a.brow_raise
    s["tip_y"] = s.eye_y - s.nose_length
    s["tip_z"] = s.nose_projection
    s["mouth_y"] = s.mouth_height - 0.04 * drop
    s["mouth_w"] = s.mouth_width * (1.0 + 0.16 * smile - 0.36 * rounding)
    s["mouth_curve"] = 0.075 * smile
    s["gap"] = 0.235 * opening * (1.0 - 0.15 * rounding) + 0.05 * rounding
    s["pout"] = 0.05 * rounding
    s["lip_up"] = s.upper_lip * (1.0 - 0.22 * smile.relu() - 0.15 * opening)
    s["lip_low"] = s.lower_lip * (1.0 - 0.15 * smile.relu())
    s["lid_left"], s["lid_right"] = a.lid_left, a.lid_right
    s["smile"] = smile
    ear = s.ear_angle
    s["ear_cos"], s["ear_sin"] = ear.cos(), ear.sin()
    _add_hair(s, a)
    _add_accessories(s, a)
    return s


_IDENTITY_SHAPE = (
    "jaw_width",
    "gonion_width",
    "gonion_height",
    "jaw_length",
    "chin_width",
    "chin_forward",
    "cheekbone",
    "cheekbone_height",
    "cheek_fullness",
    "brow_ridge",
    "forehead",
    "eye_spacing",
    "eye_size",
    "eye_height",
    "eye_tilt",
    "eye_depth",
    "eye_roundness",
    "lid_fold",
    "nose_length",
    "nose_width",
    "nose_bridge",
    "nose_bridge_width",
    "nose_tip",
    "nose_projection",
    "nose_tip_lift",
    "nose_bend",
    "mouth_width",
    "mouth_height",
    "upper_lip",
    "lower_lip",
    "cupid_bow",
    "mouth_forward",
    "ear_size",
    "ear_angle",
    "brow_height",
    "brow_thickness",
    "brow_arch",
    "brow_slope",
    "brow_length",
)


def _add_hair(s: Shape, a: Attributes) -> None:
    style = a.hair_style
    names = [HAIR_STYLES[int(v)] for v in style.flatten().tolist()]

    def per_style(table: dict[str, float], default: float) -> Tensor:
        values = [[table.get(name, default)] for name in names]
        return torch.tensor(values, dtype=style.dtype, device=style.device)

    s["hair"] = per_style({"bald": 0.0}, 1.0)
    volume = per_style({"crew": 0.012, "short": 0.05, "curly": 0.19, "bun": 0.03, "long": 0.07}, 0.08)
    s["hair_thickness"] = volume + a.hair_volume * per_style({"crew": 0.012, "curly": 0.12}, 0.05)
    s["hair_lump"] = per_style({"curly": 0.030, "crew": 0.0, "bun": 0.004}, 0.010)
    s["hair_front"] = per_style({"fringe": 0.10, "long_fringe": 0.08, "crew": 0.27}, 0.20) - 0.035 * a.hairline
    s["hair_slope"] = per_style({"fringe": 0.35, "long_fringe": 0.30}, 0.62)
    s["hair_tilt"] = a.hair_part * per_style({"parted": 0.30, "long": 0.18, "short": 0.10}, 0.02)
    s["hair_long"] = per_style({"long": 1.0, "long_fringe": 1.0}, 0.0)
    s["hair_end"] = -0.85 - 0.5 * a.hair_volume
    s["hair_bun"] = per_style({"bun": 0.30}, 0.0) * (0.8 + 0.4 * a.hair_volume)


def _add_accessories(s: Shape, a: Attributes) -> None:
    s["glasses"] = (a.glasses > 0).float()
    s["rim_w"] = 0.185 + 0.03 * a.glasses_shape
    s["rim_h"] = 0.11 + 0.05 * (1.0 - a.glasses_shape)
    s["rim_round"] = 0.04 + 0.09 * (1.0 - a.glasses_shape)
    s["rim_r"] = 0.014 + 0.012 * a.glasses
    s["occluder"] = (a.occluder > 0).float()
    angle = a.occluder_angle * (math.pi / 180)
    s["bar_dx"], s["bar_dy"] = a.occluder_side * angle.cos().abs(), -angle.sin().abs() - 0.35
    s["bar_x"], s["bar_y"], s["bar_r"] = a.occluder_x, a.occluder_y, a.occluder_width
    s["shoulders"] = a.shoulders


def mouth_lines(x: Tensor, s: Shape) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Curves of the mouth over x: outer upper, inner upper, inner lower, outer lower height, and the taper 0..1."""
    q = (x / s.mouth_w).square()
    taper = (1.0 - q).relu()
    middle = s.mouth_y + s.mouth_curve * q.clamp(max=1.5)
    gap = s.gap * taper.sqrt() * (0.4 + 0.6 * taper)
    inner_up = middle + 0.18 * gap
    inner_low = middle - 0.82 * gap
    bow = 1.0 - s.cupid_bow * bump(x / 0.055)
    soft = taper.sqrt()
    return inner_up + s.lip_up * soft * bow, inner_up, inner_low, inner_low - s.lip_low * soft, taper


def _lips(x: Tensor, y: Tensor, s: Shape) -> Tensor:
    """Height by which the lips stand out of the muzzle."""
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
    """|x|, rounded at the middle so that mirrored parts meet without a crease."""
    return (x * x + 0.0025).sqrt_()


def _skull(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    _cx, cy, cz, rx, ry, rz = CRANIUM
    return ellipsoid(x, y - cy, z - cz, rx, ry, rz, 0.78)


def _masses(ax: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Skull, forehead, jaw, chin and cheeks: the large forms."""
    d = _skull(ax, y, z)
    d = smooth_min(d, ellipsoid(ax, y - 0.42, z - 0.10, 0.46, 0.40, s.forehead, 0.45), 0.2)
    d = smooth_min(d, ellipsoid(ax, y - s.jaw_center_y, z - 0.10, s.jaw_width, s.jaw_ry, 0.66, 0.6), 0.24)
    d = smooth_min(d, length(ax - s.gonion_width, y - s.gonion_y, z - 0.10) - 0.14, 0.30)
    d = smooth_min(d, ellipsoid(ax, y - s.chin_y, z - s.chin_z, s.chin_width, 0.12, 0.14, 0.13), 0.26)
    d = smooth_min(d, length(ax - 0.40, y - s.cheekbone_height - s.cheek_raise, z - 0.44) - s.cheekbone, 0.26)
    return smooth_min(
        d, length(ax - 0.32, y + 0.42 - s.cheek_raise + 0.3 * s.jaw_drop, z - 0.44) - s.cheek_fullness, 0.28
    )


def _nose(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    along = ((s.eye_y - y) / s.nose_length).clamp_(-0.2, 1.0)
    xn = x - s.nose_bend * along * (1.0 - 0.4 * along)
    top_y, top_z = s.eye_y + 0.06, s.nose_bridge
    d = capsule(
        xn,
        y,
        z,
        top_y,
        top_z,
        s.tip_y + 0.03,
        s.tip_z - 0.05 - 0.3 * s.nose_tip,
        s.nose_bridge_width,
        0.055 + 0.25 * s.nose_bridge_width,
    )
    d = smooth_min(d, length(xn, y - s.tip_y - s.nose_tip_lift, z - s.tip_z + s.nose_tip) - s.nose_tip, 0.07)
    wing = length(xn.abs() - s.nose_width, y - s.tip_y + 0.035, z - s.tip_z + 0.19) - (0.045 + 0.25 * s.nose_width)
    return smooth_min(d, wing, 0.06)


def _ear(ax: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    dx, dz = ax - 0.735, z + 0.06
    u = dx * s.ear_cos + dz * s.ear_sin  # across the ear's plate
    v = dz * s.ear_cos - dx * s.ear_sin  # along it, to the front
    size = s.ear_size
    yy = (y - 0.0) / size
    vv = v / size + 0.09
    d = ellipsoid(u, yy, vv - 0.15 * yy, 0.055, 0.235, 0.145, 0.07)
    hollow = ellipsoid(u - 0.055, yy - 0.02, vv - 0.02 - 0.15 * yy, 0.05, 0.155, 0.085, 0.06)
    return smooth_max(d, -hollow, 0.03)


def _upper_face(ax: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """The large forms with brow ridge and eye sockets."""
    d = _masses(ax, y, z, s)
    d = smooth_min(
        d, ellipsoid(ax - 0.9 * s.eye_x, y - s.eye_y - 0.17, z - 0.60, 0.24, 0.075, 0.08 + s.brow_ridge, 0.10), 0.16
    )
    socket = length(ax - s.eye_x, y - s.eye_y - 0.005, z - s.eye_z - 0.27) - 0.165
    return smooth_max(d, -socket, 0.14)


def head_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Distance to the bare head with the lids closed over the eyeballs, head frame; (B, P)."""
    ax = _mirrored(x)
    d = _upper_face(ax, y, z, s)
    d = smooth_min(d, length(ax - s.eye_x, y - s.eye_y, z - s.eye_z) - 1.07 * s.eye_r, 0.05)
    d = smooth_min(d, _nose(x, y, z, s), 0.09)
    d = smooth_min(
        d, ellipsoid(ax, y - s.mouth_y + 0.3 * s.gap, z - s.mouth_forward, 0.27, 0.19 + 0.4 * s.gap, 0.22, 0.2), 0.2
    )
    d = d - _lips(x, y, s) * step(0.3, 0.5, z)
    return smooth_min(d, _ear(ax, y, z, s), 0.05)


def shadow_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """The head's large forms and nose only: what casts a visible shadow."""
    return smooth_min(_upper_face(_mirrored(x), y, z, s), _nose(x, y, z, s), 0.09)


def hair_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape, long: bool = True, fine: bool = True) -> Tensor:
    """Distance to the hair, head frame; far away where the style has none.

    long: some picture has long hair. fine: with locks and a ragged hairline; without, it only casts soft shadows.
    """
    line, lump = s.hair_front, 0.0
    if fine:
        wave = torch.sin(x * 21.0 + y * 9.0).mul_(torch.sin(z * 19.0 - y * 11.0 + x * 5.0))
        lump = wave * s.hair_lump
        line = line + 0.009 * torch.sin(x * 47.0) + 0.008 * torch.sin(x * 83.0 + 1.0)
    # Thins out toward the hairline, so that the edge lies on the skin instead of standing as a step.
    height = y * 0.80 - z * s.hair_slope + x * s.hair_tilt
    inside = height - line
    rise = (inside * 2.6).clamp_(-1.0, 1.0)
    shell = _skull(x, y, z) - s.hair_thickness * rise + lump
    d = smooth_max(shell, -inside * 0.8, 0.02)
    if long:
        d = torch.where(s.hair_long > 0, smooth_min(d, _curtain(x, y, z, s, lump), 0.16), d)
    bun = length(x, y - 1.12, z + 0.42) - s.hair_bun + lump
    d = torch.where(s.hair_bun > 0, torch.minimum(d, bun), d)
    return torch.where(s.hair > 0, d, torch.full_like(d, 9.0))


def _curtain(x: Tensor, y: Tensor, z: Tensor, s: Shape, lump) -> Tensor:
    """Hair that falls beside and behind the head, from the skull's widest line down."""
    flare = 1.0 + 0.08 * (0.2 - y).clamp(0.0, 1.0)
    round_x, round_z = x / (0.76 * flare), (z + 0.12) / (0.88 * flare)
    side = (round_x * round_x).addcmul_(round_z, round_z).sqrt_().sub_(1.0).mul_(0.78)
    shell = (side - 0.3 * s.hair_thickness).abs() - (0.035 + s.hair_thickness * 0.55) + lump
    opening = z - 0.30 - 0.22 * (y - 0.1).clamp(-1.2, 0.6)
    ragged = s.hair_end + 0.05 * torch.sin(x * 29.0 + z * 23.0)
    return smooth_max(smooth_max(shell, opening, 0.10), torch.maximum(ragged - y, y - 0.42), 0.05)


def body_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Neck and torso, world frame."""
    lean = (z + 0.20 - 0.10 * (y + 0.6)) / 0.95
    neck = (x * x).addcmul_(lean, lean).sqrt_() - (0.345 + 0.10 * (-0.95 - y).relu().square())
    neck = torch.maximum(neck, y + 0.42)
    torso = ellipsoid(x, y + 2.25, z + 0.28, s.shoulders, 0.82, 0.62, 0.75)
    return smooth_min(neck, torso, 0.28)


def glasses_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape) -> Tensor:
    """Rims, bridge and temples of a pair of glasses at a place that no identity moves."""
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
    """A bar or forearm with a rounded end before the face, world frame."""
    norm = (s.bar_dx.square() + s.bar_dy.square()).sqrt()
    dx, dy = s.bar_dx / norm, s.bar_dy / norm
    px, py, pz = x - s.bar_x, y - s.bar_y, z - 1.32
    along = (px * dx + py * dy).clamp(0.0, 4.0)
    return length(px - along * dx, py - along * dy, pz) - s.bar_r * (1.0 + 0.10 * along) + 9.0 * (1.0 - s.occluder)
