"""What is painted on the head: skin, brows, eyes, mouth, make-up. All colors are linear RGB, shape (3, B, P).

Positions are head-frame coordinates of the surface; painted features live on the front (z > 0) and are drawn with
edges about one pixel wide, so that supersampling leaves neither stairs nor blur.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import textures
from .geometry import Shape, bump, mouth_lines, step
from .parameters import Attributes, Identities

_TONES = ((0.76, 0.50, 0.385), (0.60, 0.345, 0.225), (0.36, 0.185, 0.105), (0.125, 0.060, 0.036))
_IRISES = (
    (0.030, 0.012, 0.006),
    (0.12, 0.050, 0.018),
    (0.16, 0.13, 0.045),
    (0.10, 0.20, 0.09),
    (0.07, 0.19, 0.36),
    (0.20, 0.27, 0.32),
)


def _ramp(colors, position: Tensor) -> Tensor:
    """Geometric interpolation along a list of colors at position (B, 1) in 0..1 -> (3, B, 1)."""
    table = torch.tensor(colors, device=position.device).log()
    at = position.squeeze(1).clamp(0, 1) * (len(colors) - 1)
    low = at.floor().long().clamp(max=len(colors) - 2)
    part = (at - low).unsqueeze(1)
    return (table[low] * (1 - part) + table[low + 1] * part).exp().t().unsqueeze(-1)


def skin_tone(identities: Identities) -> Tensor:
    """Base color of a person's skin, (3, B, 1)."""
    tone = _ramp(_TONES, identities.field("melanin"))
    u = identities.field("undertone")
    return tone * torch.stack([1 + 0.05 * u, 1 - 0.03 * u, 1 - 0.16 * u])


@dataclass
class Surface:
    """Points of the head: position and normal (three (B, P) each) and the ray direction, all in the head frame."""

    x: Tensor
    y: Tensor
    z: Tensor
    normal: tuple[Tensor, Tensor, Tensor]
    ray: tuple[Tensor, Tensor, Tensor]
    edge: Tensor  # (B, 1), width of a drawn edge


@dataclass
class Paint:
    """Result of painting: albedo (3, B, P), gloss (B, P) as a factor of the specular, normal, and what is not skin."""

    albedo: Tensor
    gloss: Tensor
    normal: tuple[Tensor, Tensor, Tensor]
    wet: Tensor  # (B, P) 0..1: eyeball and teeth, sharp highlight, no translucency
    shade: Tensor  # (B, P) factor on the light: inside of the mouth, under the lid


def mix(base: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """`base` with `other` laid over it by weight (B, P); colors (3, B, P) or (3, B, 1)."""
    return base + (other - base) * weight


def paint_head(ids: Identities, a: Attributes, s: Shape, p: Surface) -> Paint:
    """Skin, beard, lips, make-up and brows laid over each other, then mouth and eyes drawn in."""
    front = step(0.05, 0.25, p.z)
    ax = p.x.abs()
    grain = textures.sample(textures.GRAIN, p.x * 1.3 + 0.5, p.y * 1.3 + 0.3)
    albedo = _bare_skin(ids, s, p, ax, front, grain)
    lip_weight = _lips(ids, a, s, p, front)
    albedo = _beard(a, s, p, ax, front, lip_weight, grain, albedo)
    lips = _lip_color(ids, a)
    albedo = mix(albedo, lips * (1.0 + 0.10 * grain), lip_weight)
    albedo = _make_up(a, s, p, ax, front, albedo)
    albedo = _brows(ids, s, p, ax, front, albedo)
    gloss = 1.0 + 1.2 * lip_weight
    paint = Paint(albedo, gloss, p.normal, torch.zeros_like(p.x), torch.ones_like(p.x))
    _draw_mouth(s, p, front, paint)
    _draw_eyes(ids, a, s, p, ax, front, paint)
    return paint


def _bare_skin(ids: Identities, s: Shape, p: Surface, ax: Tensor, front: Tensor, grain: Tensor) -> Tensor:
    f = ids.field
    tone = skin_tone(ids)
    blotch = textures.sample(textures.CLOUDS, p.x * 0.35 + 0.1, p.y * 0.35 + p.z * 0.2)
    albedo = tone * (1.0 + 0.045 * grain + 0.06 * blotch)
    tip = bump((p.y - s.tip_y) / 0.2) * bump(p.x / 0.22) * step(0.75, 0.9, p.z)
    flush = bump((ax - 0.38) / 0.30) * bump((p.y + 0.22) / 0.28) * front + 0.7 * tip + step(0.70, 0.78, ax) * 0.8
    red = (0.10 + 0.45 * f("ruddiness")) * flush.clamp(max=1.0) * (1.0 - 0.55 * f("melanin"))
    albedo = albedo * torch.stack([1.0 + 0.12 * red, 1.0 - 0.40 * red, 1.0 - 0.34 * red])
    tired = f("under_eye") * bump((ax - s.eye_x + 0.02) / 0.16) * bump((p.y - s.eye_y + 0.115) / 0.07) * front
    dark = 0.17 * tired + _age_lines(f("age").relu(), s, p, ax, front) + _nostrils(s, p)
    spots = textures.sample(textures.SPOTS, p.x * 0.62 + 0.37, p.y * 0.62 + 0.11)
    region = bump(p.x / 0.62) * bump((p.y + 0.10) / 0.36) * front
    freckle = f("freckles").relu() * region * step(0.30, 0.52, spots)
    dark = dark + 0.50 * freckle
    for mole in ("mole1", "mole2"):
        size = f(mole + "_size").relu()
        away = ((p.x - f(mole + "_x")).square() + (p.y - f(mole + "_y")).square()).sqrt()
        dark = dark + 0.80 * step(size + 0.008, size - 0.006, away) * step(0.004, 0.012, size) * front
    brown = torch.tensor([0.55, 0.85, 1.0], device=dark.device).view(3, 1, 1)
    return albedo * (1.0 - dark.clamp(max=0.92) * brown)


def _age_lines(age: Tensor, s: Shape, p: Surface, ax: Tensor, front: Tensor) -> Tensor:
    warp = 0.02 * textures.sample(textures.CLOUDS, p.x * 0.5, p.y * 0.2 + 0.4)
    forehead = bump(p.x / 0.50) * bump((p.y - 0.50) / 0.22)
    lines = torch.cos((p.y + warp + 0.05 * p.x * p.x) * 68.0).clamp(min=0.0).square().square() * forehead
    x0, y0 = s.nose_width + 0.055, s.tip_y + 0.02
    x1, y1 = s.mouth_w + 0.075, s.mouth_y - 0.02 + s.mouth_curve
    dx, dy = x1 - x0, y1 - y0
    t = ((ax - x0) * dx + (p.y - y0) * dy) / (dx * dx + dy * dy)
    tc = t.clamp(0.0, 1.0)
    off = ((ax - x0 - tc * dx - 0.03 * tc * (1 - tc) * 4).square() + (p.y - y0 - tc * dy).square()).sqrt()
    fold = bump(off / 0.035) * (0.5 + 0.5 * (1.0 - tc))
    crow = bump((ax - s.eye_x - 1.55 * s.eye_r) / 0.09) * bump((p.y - s.eye_y) / 0.09)
    crow = crow * torch.cos((p.y - s.eye_y) * 150.0 / (1.0 + 3.0 * (ax - s.eye_x))).clamp(min=0.0)
    return front * (0.20 * age * lines + (0.06 + 0.28 * age + 0.12 * s.smile.relu()) * fold + 0.22 * age * crow)


def _nostrils(s: Shape, p: Surface) -> Tensor:
    nx = (p.x - s.nose_bend * 0.6).abs() - 0.48 * s.nose_width
    hole = bump(nx / (0.30 * s.nose_width)) * bump((p.y - s.tip_y + 0.052) / 0.030)
    return 0.95 * hole * step(0.60, 0.72, p.z) * step(0.10, -0.35, p.normal[1])


def _lips(ids: Identities, a: Attributes, s: Shape, p: Surface, front: Tensor) -> Tensor:
    outer_up, _, _, outer_low, taper = mouth_lines(p.x, s)
    e = p.edge
    inside = step(-e, e, outer_up - p.y) * step(-e, e, p.y - outer_low)
    return inside * step(0.0, 0.06, taper) * front


def _lip_color(ids: Identities, a: Attributes) -> Tensor:
    tone = skin_tone(ids)
    red = ids.field("lip_redness")
    natural = tone * torch.stack([0.92 - 0.10 * red, 0.66 - 0.24 * red, 0.70 - 0.20 * red])
    return mix(natural, a.lipstick_color.t().unsqueeze(-1), a.lipstick)


def _beard(a, s, p, ax, front, lip_weight, grain, albedo) -> Tensor:
    jaw = step(s.tip_y - 0.02, s.mouth_y - 0.02, p.y + 0.35 * (0.62 - ax).clamp(max=0.0))
    cheek = step(0.50, 0.34, ax) * step(s.tip_y - 0.06, s.tip_y - 0.14, p.y)
    side = step(0.36, 0.50, ax) * step(-0.10, -0.30, p.y)
    region = torch.maximum(jaw * step(-0.30, -0.45, p.y), torch.maximum(cheek * jaw, side)) * step(-0.1, 0.1, p.z)
    density = a.beard * region * (1.0 - lip_weight) * (0.72 + 0.5 * grain).clamp(0.0, 1.0)
    return mix(albedo, a.hair_color.t().unsqueeze(-1) * 0.8, 0.85 * density)


def _make_up(a, s, p, ax, front, albedo) -> Tensor:
    lid = bump((ax - s.eye_x - 0.02) / (1.5 * s.eye_r)) * bump((p.y - s.eye_y - 0.075) / 0.09) * front
    return mix(albedo, a.eye_shadow_color.t().unsqueeze(-1), a.eye_shadow * lid * 0.8)


def _brows(ids: Identities, s: Shape, p: Surface, ax: Tensor, front: Tensor, albedo: Tensor) -> Tensor:
    u = (ax - s.eye_x - 0.015) / s.brow_length
    middle = s.brow_y + s.brow_arch * (1.0 - (u - 0.2).square()) + s.brow_slope * 0.16 * u
    half = s.brow_thickness * (1.0 - 0.45 * (u + 0.2).relu()) + 0.004
    hairs = textures.sample(textures.STREAKS, p.x * 2.2 + p.y * 0.9, p.y * 0.5)
    soft = 0.010 + p.edge
    across = step(half + soft, half - soft, (p.y - middle).abs() + 0.006 * hairs)
    ends = step(1.08, 0.88, u) * step(-1.06, -0.90, u)
    weight = across * ends * front * ids.field("brow_darkness") * (0.86 + 0.22 * hairs).clamp(0.0, 1.0)
    tones = ((0.016, 0.012, 0.010), (0.05, 0.028, 0.016), (0.17, 0.085, 0.035), (0.36, 0.24, 0.11))
    hue = ids.field("brow_hue") * (1.0 - 0.75 * ids.field("melanin"))
    return mix(albedo, _ramp(tones, hue), weight)


def _draw_mouth(s: Shape, p: Surface, front: Tensor, paint: Paint) -> None:
    """Teeth, tongue and cavity between the lips; the line where closed lips meet."""
    _, inner_up, inner_low, _, taper = mouth_lines(p.x, s)
    opening = inner_up - inner_low
    e = p.edge
    hole = step(-e, e, inner_up - p.y) * step(-e, e, p.y - inner_low) * step(0.012, 0.03, opening) * front
    depth = 0.07 / (-p.ray[2]).clamp(min=0.3)
    tx, ty = p.x + p.ray[0] * depth, p.y + p.ray[1] * depth
    wide = (tx / (s.mouth_w * 1.02)).square()
    cavity = torch.tensor([0.045, 0.010, 0.009], device=tx.device).view(3, 1, 1)
    tongue = torch.tensor([0.36, 0.085, 0.075], device=tx.device).view(3, 1, 1)
    enamel = torch.tensor([0.72, 0.665, 0.56], device=tx.device).view(3, 1, 1)
    low_edge = s.mouth_y - 0.82 * s.gap
    inner = mix(
        cavity.expand(3, *tx.shape), tongue, bump(tx / (0.62 * s.mouth_w)) * step(low_edge + 0.10, low_edge + 0.02, ty)
    )
    across = tx / 0.047
    near_gap = (across - across.round()).abs()
    tooth = 1.0 - 0.55 * step(0.10, 0.02, near_gap)
    upper_end = (
        s.mouth_y + 0.18 * s.gap + s.mouth_curve * wide - 0.085 + 0.018 * (1.0 - 4.0 * (0.5 - near_gap).square())
    )
    upper = step(-e, e, ty - upper_end - 0.010 * wide) * step(1.0, 0.80, wide)
    lower_end = low_edge + 0.055 * step(0.07, 0.16, s.gap)
    lower = step(e, -e, ty - lower_end) * step(0.8, 0.6, wide) * step(0.09, 0.15, s.gap)
    inner = mix(inner, enamel * tooth * (1.0 - 0.45 * wide), upper)
    inner = mix(inner, enamel * 0.82 * tooth * (1.0 - 0.5 * wide), lower * (1.0 - upper))
    paint.albedo = mix(paint.albedo, inner, hole)
    under_lip = 0.42 + 0.58 * step(0.0, 0.075, inner_up - p.y)
    paint.shade = paint.shade * (1.0 - hole * (1.0 - under_lip * (0.9 - 0.35 * wide.clamp(max=1.0))))
    paint.wet = torch.maximum(paint.wet, hole * (0.25 + 0.6 * torch.maximum(upper, lower)))
    seam = (
        bump((p.y - 0.5 * (inner_up + inner_low)) / (0.010 + e))
        * step(0.03, 0.0, opening)
        * step(0.0, 0.1, taper)
        * front
    )
    corner = bump((p.x.abs() - s.mouth_w) / 0.03) * bump((p.y - s.mouth_y - s.mouth_curve) / 0.025) * front
    paint.shade = paint.shade * (1.0 - 0.62 * seam) * (1.0 - 0.4 * corner)


def lid_curves(u: Tensor, s: Shape, lid: Tensor) -> tuple[Tensor, Tensor]:
    """Upper and lower edge of the eye opening at u in -1..1 (inner to outer corner), relative to the eye's center."""
    arch = (1.0 - u * u).relu()
    high = s.eye_r * 0.60 * s.eye_roundness * arch * (1.0 - 0.20 * u)
    low = -s.eye_r * 0.36 * s.eye_roundness * arch * (1.0 + 0.25 * u)
    return high + (low * 0.9 - high) * lid, low * (1.0 - 0.12 * lid)


def _draw_eyes(ids, a, s: Shape, p: Surface, ax: Tensor, front: Tensor, paint: Paint) -> None:
    left = p.x < 0
    lid = torch.where(left, s.lid_left, s.lid_right)
    u = (ax - s.eye_x) / (1.16 * s.eye_r)
    rise = p.y - s.eye_y - 0.16 * s.eye_r * s.eye_tilt * 2.0 * u
    high, low = lid_curves(u, s, lid)
    e = p.edge * 0.8
    inside = step(-e, e, high - rise) * step(-e, e, rise - low) * step(1.02, 0.97, u.abs()) * front
    _ball, direction = _eyeball(s, p, left)
    paint.normal = tuple(n + (b - n) * inside for n, b in zip(paint.normal, direction, strict=False))
    color = _eye_color(ids, a, s, direction)
    paint.albedo = mix(paint.albedo, color, inside)
    lid_shadow = 0.45 + 0.55 * step(0.0, 0.05, high - rise)
    corners = 1.0 - 0.35 * step(0.6, 1.0, u.abs())
    paint.shade = paint.shade * (1.0 - inside * (1.0 - lid_shadow * corners))
    paint.wet = torch.maximum(paint.wet, inside)
    over = 1.06 + 0.12 * (u > 0)
    within = step(over, over - 0.12, u.abs()) * front
    lash = bump((rise - high - 0.004) / (0.017 + e)) * within * (0.62 + 0.38 * step(-0.8, 0.6, u))
    lower_lash = bump((rise - low) / (0.010 + e)) * within * 0.40
    crease_at = high + 0.034 + 0.022 * s.lid_fold + 0.02 * (1.0 - lid)
    crease = bump((rise - crease_at) / 0.016) * step(1.15, 0.8, u.abs()) * front * (0.10 + 0.38 * s.lid_fold)
    lash_color = torch.tensor([0.012, 0.009, 0.008], device=ax.device).view(3, 1, 1)
    paint.albedo = mix(paint.albedo, lash_color, torch.maximum(0.88 * lash, lower_lash))
    paint.albedo = paint.albedo * (1.0 - crease * (1.0 - inside))


def _eyeball(s: Shape, p: Surface, left: Tensor):
    """Where the ray meets the eyeball: the point's direction from the ball's center, three (B, P)."""
    side = torch.where(left, -torch.ones_like(p.x), torch.ones_like(p.x))
    ox, oy, oz = p.x - side * s.eye_x, p.y - s.eye_y, p.z - s.eye_z
    rx, ry, rz = p.ray
    b = ox * rx + oy * ry + oz * rz
    c = ox * ox + oy * oy + oz * oz - s.eye_r.square()
    t = -b - (b * b - c).clamp(min=0.0).sqrt()
    hit = (ox + t * rx, oy + t * ry, oz + t * rz)
    norm = (hit[0].square() + hit[1].square() + hit[2].square()).sqrt().clamp(min=1e-6)
    return hit, tuple(h / norm for h in hit)


def _eye_color(ids: Identities, a: Attributes, s: Shape, direction) -> Tensor:
    yaw, pitch = a.gaze_yaw * (torch.pi / 180), a.gaze_pitch * (torch.pi / 180)
    gx, gy, gz = yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()
    nx, ny, nz = direction
    away = (2.0 - 2.0 * (nx * gx + ny * gy + nz * gz)).clamp(min=0.0).sqrt()  # chord, about the angle in radians
    reach = 0.072 / s.eye_r  # the iris has one size for everybody, as people do
    iris = _ramp(_IRISES, ids.field("iris_hue")) * (0.65 + 0.9 * ids.field("iris_lightness"))
    spokes = textures.sample(textures.STREAKS, (nx - gx) * 2.0 + 0.2, (ny - gy) * 2.0)
    ring = away / reach
    iris = iris * (1.12 + 0.35 * spokes - 0.75 * step(0.72, 1.0, ring))
    sclera = torch.tensor([0.66, 0.615, 0.585], device=nx.device).view(3, 1, 1)
    color = mix(sclera.expand(3, *nx.shape), iris, step(1.07, 0.95, ring))
    return mix(color, torch.full_like(color, 0.004), step(0.50, 0.42, ring))
