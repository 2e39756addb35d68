"""Paint on the head: skin, brows, eyes, mouth, make-up. Colors are linear RGB (3, B, P).

Features are painted on the front of the head (z > 0) with edges about one pixel wide, so that supersampled pictures are
neither jagged nor blurred. In the formulas, `p` are the surface points and `s` is the shape of the heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import textures
from .geometry import bump, mouth_lines, smoothstep
from .parameters import Attributes, Identities
from .shape import Shape
from .vectors import Vector

_Color = tuple[float, float, float]

_TONES: tuple[_Color, ...] = ((0.76, 0.50, 0.385), (0.60, 0.345, 0.225), (0.36, 0.185, 0.105), (0.125, 0.060, 0.036))
_IRISES: tuple[_Color, ...] = (
    (0.030, 0.012, 0.006),
    (0.12, 0.050, 0.018),
    (0.16, 0.13, 0.045),
    (0.10, 0.20, 0.09),
    (0.07, 0.19, 0.36),
    (0.20, 0.27, 0.32),
)
_BROWS: tuple[_Color, ...] = ((0.016, 0.012, 0.010), (0.05, 0.028, 0.016), (0.17, 0.085, 0.035), (0.36, 0.24, 0.11))


def _ramp(colors: tuple[_Color, ...], position: Tensor) -> Tensor:
    """Color (3, B, 1) at positions (B, 1) in 0..1 along a list of colors, by geometric interpolation."""
    table = torch.tensor(colors, device=position.device).log()
    place = position.squeeze(1).clamp(0, 1) * (len(colors) - 1)
    low = place.floor().long().clamp(max=len(colors) - 2)
    share = (place - low).unsqueeze(1)
    return (table[low] * (1 - share) + table[low + 1] * share).exp().t().unsqueeze(-1)


def skin_tone(identities: Identities) -> Tensor:
    """Base color (3, B, 1) of a person's skin."""
    tone = _ramp(_TONES, identities.field("melanin"))
    u = identities.field("undertone")
    return tone * torch.stack([1 + 0.05 * u, 1 - 0.03 * u, 1 - 0.16 * u])


@dataclass
class Surface:
    """Points (B, P) of the head that are painted, in the head frame.

    Attributes:
        x: To the right of the picture.
        y: Up.
        z: Toward the viewer.
        normal: Unit normals.
        ray: Unit directions from the camera.
        edge: Width (B, 1) of painted edges.
    """

    x: Tensor
    y: Tensor
    z: Tensor
    normal: Vector
    ray: Vector
    edge: Tensor


@dataclass
class Paint:
    """Look of the painted points.

    Attributes:
        albedo: Color (3, B, P).
        gloss: Factor (B, P) of the specular reflection.
        normal: Unit normals in the head frame, with those of the eyeballs.
        wet: 0..1 (B, P): eyeballs and teeth, with a sharp highlight and without translucency.
        shade: Factor (B, P) of the light: dark inside the mouth and under the eyelids.
    """

    albedo: Tensor
    gloss: Tensor
    normal: Vector
    wet: Tensor
    shade: Tensor


def mix(base: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Interpolation from `base` to `other` by weight (B, P); colors (3, B, P) or (3, B, 1)."""
    return base + (other - base) * weight


def paint_head(identities: Identities, attributes: Attributes, s: Shape, p: Surface) -> Paint:
    """Paint skin, beard, lips, make-up and brows in this order, then draw mouth and eyes."""
    front = smoothstep(0.05, 0.25, p.z)
    ax = p.x.abs()
    grain = textures.sample(textures.GRAIN, p.x * 1.3 + 0.5, p.y * 1.3 + 0.3)
    albedo = _bare_skin(identities, s, p, ax, front, grain)
    lip_weight = _lips(s, p, front)
    beard_weight = 0.85 * _beard(attributes, s, p, ax, lip_weight, grain)
    albedo = mix(albedo, attributes.color("hair_color") * 0.8, beard_weight)
    lips = _lip_color(identities, attributes)
    albedo = mix(albedo, lips * (1.0 + 0.10 * grain), lip_weight)
    lid = bump((ax - s.eye_x - 0.02) / (1.5 * s.eye_r)) * bump((p.y - s.eye_y - 0.075) / 0.09) * front
    albedo = mix(albedo, attributes.color("eye_shadow_color"), attributes.eye_shadow * lid * 0.8)
    albedo = _brows(identities, s, p, ax, front, albedo)
    gloss = 1.0 + 1.2 * lip_weight
    paint = Paint(albedo, gloss, p.normal, torch.zeros_like(p.x), torch.ones_like(p.x))
    _draw_mouth(s, p, front, paint)
    _draw_eyes(identities, attributes, s, p, ax, front, paint)
    return paint


def _bare_skin(identities: Identities, s: Shape, p: Surface, ax: Tensor, front: Tensor, grain: Tensor) -> Tensor:
    """Skin with redness, freckles, moles, lines and nostrils."""
    field = identities.field
    tone = skin_tone(identities)
    blotch = textures.sample(textures.CLOUDS, p.x * 0.35 + 0.1, p.y * 0.35 + p.z * 0.2)
    albedo = tone * (1.0 + 0.045 * grain + 0.06 * blotch)
    tip = bump((p.y - s.tip_y) / 0.2) * bump(p.x / 0.22) * smoothstep(0.75, 0.9, p.z)
    flush = bump((ax - 0.38) / 0.30) * bump((p.y + 0.22) / 0.28) * front + 0.7 * tip + smoothstep(0.70, 0.78, ax) * 0.8
    red = (0.10 + 0.45 * field("ruddiness")) * flush.clamp(max=1.0) * (1.0 - 0.55 * field("melanin"))
    albedo = albedo * torch.stack([1.0 + 0.12 * red, 1.0 - 0.40 * red, 1.0 - 0.34 * red])
    tired = field("under_eye") * bump((ax - s.eye_x + 0.02) / 0.16) * bump((p.y - s.eye_y + 0.115) / 0.07) * front
    dark = 0.17 * tired + _age_lines(field("age").relu(), s, p, ax, front) + _nostrils(s, p)
    spots = textures.sample(textures.SPOTS, p.x * 0.62 + 0.37, p.y * 0.62 + 0.11)
    region = bump(p.x / 0.62) * bump((p.y + 0.10) / 0.36) * front
    freckle = field("freckles").relu() * region * smoothstep(0.30, 0.52, spots)
    dark = dark + 0.50 * freckle
    for mole in ("mole1", "mole2"):
        size = field(mole + "_size").relu()
        distance = ((p.x - field(mole + "_x")).square() + (p.y - field(mole + "_y")).square()).sqrt()
        dark = dark + 0.80 * smoothstep(size + 0.008, size - 0.006, distance) * smoothstep(0.004, 0.012, size) * front
    brown = torch.tensor([0.55, 0.85, 1.0], device=dark.device).view(3, 1, 1)
    return albedo * (1.0 - dark.clamp(max=0.92) * brown)


def _age_lines(age: Tensor, s: Shape, p: Surface, ax: Tensor, front: Tensor) -> Tensor:
    """Darkness (B, P) of lines on the forehead, beside the nose and beside the eyes; age (B, 1) in 0..1."""
    warp = 0.02 * textures.sample(textures.CLOUDS, p.x * 0.5, p.y * 0.2 + 0.4)
    forehead = bump(p.x / 0.50) * bump((p.y - 0.50) / 0.22)
    lines = torch.cos((p.y + warp + 0.05 * p.x * p.x) * 68.0).clamp(min=0.0).square().square() * forehead
    x0, y0 = s.nose_width + 0.055, s.tip_y + 0.02
    x1, y1 = s.mouth_w + 0.075, s.mouth_y - 0.02 + s.mouth_curve
    dx, dy = x1 - x0, y1 - y0
    along = (((ax - x0) * dx + (p.y - y0) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0)
    off_x = ax - x0 - along * dx - 0.03 * along * (1 - along) * 4
    off = (off_x.square() + (p.y - y0 - along * dy).square()).sqrt()
    fold = bump(off / 0.035) * (0.5 + 0.5 * (1.0 - along))
    crow = bump((ax - s.eye_x - 1.55 * s.eye_r) / 0.09) * bump((p.y - s.eye_y) / 0.09)
    crow = crow * torch.cos((p.y - s.eye_y) * 150.0 / (1.0 + 3.0 * (ax - s.eye_x))).clamp(min=0.0)
    return front * (0.20 * age * lines + (0.06 + 0.28 * age + 0.12 * s.smile.relu()) * fold + 0.22 * age * crow)


def _nostrils(s: Shape, p: Surface) -> Tensor:
    """Darkness (B, P) of the nostrils."""
    nx = (p.x - s.nose_bend * 0.6).abs() - 0.48 * s.nose_width
    hole = bump(nx / (0.30 * s.nose_width)) * bump((p.y - s.tip_y + 0.052) / 0.030)
    return 0.95 * hole * smoothstep(0.60, 0.72, p.z) * smoothstep(0.10, -0.35, p.normal[1])


def _lips(s: Shape, p: Surface, front: Tensor) -> Tensor:
    """Share (B, P) of each point that is lips."""
    outer_up, _, _, outer_low, taper = mouth_lines(p.x, s)
    e = p.edge
    inside = smoothstep(-e, e, outer_up - p.y) * smoothstep(-e, e, p.y - outer_low)
    return inside * smoothstep(0.0, 0.06, taper) * front


def _lip_color(identities: Identities, attributes: Attributes) -> Tensor:
    """Color (3, B, 1) of the lips, with lipstick."""
    tone = skin_tone(identities)
    red = identities.field("lip_redness")
    natural = tone * torch.stack([0.92 - 0.10 * red, 0.66 - 0.24 * red, 0.70 - 0.20 * red])
    return mix(natural, attributes.color("lipstick_color"), attributes.lipstick)


def _beard(attributes: Attributes, s: Shape, p: Surface, ax: Tensor, lip_weight: Tensor, grain: Tensor) -> Tensor:
    """Density (B, P) of the beard, 0..1."""
    jaw = smoothstep(s.tip_y - 0.02, s.mouth_y - 0.02, p.y + 0.35 * (0.62 - ax).clamp(max=0.0))
    cheek = smoothstep(0.50, 0.34, ax) * smoothstep(s.tip_y - 0.06, s.tip_y - 0.14, p.y)
    side = smoothstep(0.36, 0.50, ax) * smoothstep(-0.10, -0.30, p.y)
    region = torch.maximum(jaw * smoothstep(-0.30, -0.45, p.y), torch.maximum(cheek * jaw, side))
    region = region * smoothstep(-0.1, 0.1, p.z)
    return attributes.beard * region * (1.0 - lip_weight) * (0.72 + 0.5 * grain).clamp(0.0, 1.0)


def _brows(identities: Identities, s: Shape, p: Surface, ax: Tensor, front: Tensor, albedo: Tensor) -> Tensor:
    """`albedo` with the brows laid over it."""
    u = (ax - s.eye_x - 0.015) / s.brow_length
    middle = s.brow_y + s.brow_arch * (1.0 - (u - 0.2).square()) + s.brow_slope * 0.16 * u
    half = s.brow_thickness * (1.0 - 0.45 * (u + 0.2).relu()) + 0.004
    hairs = textures.sample(textures.STREAKS, p.x * 2.2 + p.y * 0.9, p.y * 0.5)
    soft = 0.010 + p.edge
    across = smoothstep(half + soft, half - soft, (p.y - middle).abs() + 0.006 * hairs)
    ends = smoothstep(1.08, 0.88, u) * smoothstep(-1.06, -0.90, u)
    weight = across * ends * front * identities.field("brow_darkness") * (0.86 + 0.22 * hairs).clamp(0.0, 1.0)
    hue = identities.field("brow_hue") * (1.0 - 0.75 * identities.field("melanin"))
    return mix(albedo, _ramp(_BROWS, hue), weight)


def _draw_mouth(s: Shape, p: Surface, front: Tensor, paint: Paint) -> None:
    """Draw teeth, tongue and cavity between open lips, and the seam of closed ones."""
    _, inner_up, inner_low, _, taper = mouth_lines(p.x, s)
    opening = inner_up - inner_low
    e = p.edge
    hole = smoothstep(-e, e, inner_up - p.y) * smoothstep(-e, e, p.y - inner_low)
    hole = hole * smoothstep(0.012, 0.03, opening) * front
    depth = 0.07 / (-p.ray[2]).clamp(min=0.3)
    tx, ty = p.x + p.ray[0] * depth, p.y + p.ray[1] * depth
    wide = (tx / (s.mouth_w * 1.02)).square()
    cavity = torch.tensor([0.045, 0.010, 0.009], device=tx.device).view(3, 1, 1)
    tongue = torch.tensor([0.36, 0.085, 0.075], device=tx.device).view(3, 1, 1)
    enamel = torch.tensor([0.72, 0.665, 0.56], device=tx.device).view(3, 1, 1)
    low_edge = s.mouth_y - 0.82 * s.gap
    tongue_weight = bump(tx / (0.62 * s.mouth_w)) * smoothstep(low_edge + 0.10, low_edge + 0.02, ty)
    inner = mix(cavity.expand(3, *tx.shape), tongue, tongue_weight)
    across = tx / 0.047
    near_gap = (across - across.round()).abs()
    tooth = 1.0 - 0.55 * smoothstep(0.10, 0.02, near_gap)
    upper_end = s.mouth_y + 0.18 * s.gap + s.mouth_curve * wide - 0.085
    upper_end = upper_end + 0.018 * (1.0 - 4.0 * (0.5 - near_gap).square())
    upper = smoothstep(-e, e, ty - upper_end - 0.010 * wide) * smoothstep(1.0, 0.80, wide)
    lower_end = low_edge + 0.055 * smoothstep(0.07, 0.16, s.gap)
    lower = smoothstep(e, -e, ty - lower_end) * smoothstep(0.8, 0.6, wide) * smoothstep(0.09, 0.15, s.gap)
    inner = mix(inner, enamel * tooth * (1.0 - 0.45 * wide), upper)
    inner = mix(inner, enamel * 0.82 * tooth * (1.0 - 0.5 * wide), lower * (1.0 - upper))
    paint.albedo = mix(paint.albedo, inner, hole)
    under_lip = 0.42 + 0.58 * smoothstep(0.0, 0.075, inner_up - p.y)
    paint.shade = paint.shade * (1.0 - hole * (1.0 - under_lip * (0.9 - 0.35 * wide.clamp(max=1.0))))
    paint.wet = torch.maximum(paint.wet, hole * (0.25 + 0.6 * torch.maximum(upper, lower)))
    seam = bump((p.y - 0.5 * (inner_up + inner_low)) / (0.010 + e)) * smoothstep(0.03, 0.0, opening)
    seam = seam * smoothstep(0.0, 0.1, taper) * front
    corner = bump((p.x.abs() - s.mouth_w) / 0.03) * bump((p.y - s.mouth_y - s.mouth_curve) / 0.025) * front
    paint.shade = paint.shade * (1.0 - 0.62 * seam) * (1.0 - 0.4 * corner)


def lid_curves(u: Tensor, s: Shape, lid: Tensor) -> tuple[Tensor, Tensor]:
    """Heights of the upper and lower eyelid above the center of the eye.

    Args:
        u: Position from the inner corner (-1) to the outer corner (1).
        s: Shape of the heads.
        lid: How far the eye is closed, 0..1.
    """
    arch = (1.0 - u * u).relu()
    high = s.eye_r * 0.60 * s.eye_roundness * arch * (1.0 - 0.20 * u)
    low = -s.eye_r * 0.36 * s.eye_roundness * arch * (1.0 + 0.25 * u)
    return high + (low * 0.9 - high) * lid, low * (1.0 - 0.12 * lid)


def _draw_eyes(
    identities: Identities, attributes: Attributes, s: Shape, p: Surface, ax: Tensor, front: Tensor, paint: Paint
) -> None:
    """Draw eyeballs, shadows of the lids, lashes and creases."""
    left = p.x < 0
    lid = torch.where(left, s.lid_left, s.lid_right)
    u = (ax - s.eye_x) / (1.16 * s.eye_r)
    rise = p.y - s.eye_y - 0.16 * s.eye_r * s.eye_tilt * 2.0 * u
    high, low = lid_curves(u, s, lid)
    e = p.edge * 0.8
    inside = smoothstep(-e, e, high - rise) * smoothstep(-e, e, rise - low) * smoothstep(1.02, 0.97, u.abs()) * front
    ball = _eyeball_normal(s, p, left)
    nx, ny, nz = paint.normal
    paint.normal = nx + (ball[0] - nx) * inside, ny + (ball[1] - ny) * inside, nz + (ball[2] - nz) * inside
    color = _eye_color(identities, attributes, s, ball)
    paint.albedo = mix(paint.albedo, color, inside)
    lid_shadow = 0.45 + 0.55 * smoothstep(0.0, 0.05, high - rise)
    corners = 1.0 - 0.35 * smoothstep(0.6, 1.0, u.abs())
    paint.shade = paint.shade * (1.0 - inside * (1.0 - lid_shadow * corners))
    paint.wet = torch.maximum(paint.wet, inside)
    over = 1.06 + 0.12 * (u > 0)
    within = smoothstep(over, over - 0.12, u.abs()) * front
    lash = bump((rise - high - 0.004) / (0.017 + e)) * within * (0.62 + 0.38 * smoothstep(-0.8, 0.6, u))
    lower_lash = bump((rise - low) / (0.010 + e)) * within * 0.40
    crease_at = high + 0.034 + 0.022 * s.lid_fold + 0.02 * (1.0 - lid)
    crease = bump((rise - crease_at) / 0.016) * smoothstep(1.15, 0.8, u.abs()) * front * (0.10 + 0.38 * s.lid_fold)
    lash_color = torch.tensor([0.012, 0.009, 0.008], device=ax.device).view(3, 1, 1)
    paint.albedo = mix(paint.albedo, lash_color, torch.maximum(0.88 * lash, lower_lash))
    paint.albedo = paint.albedo * (1.0 - crease * (1.0 - inside))


def _eyeball_normal(s: Shape, p: Surface, left: Tensor) -> Vector:
    """Unit normals of the eyeballs where the rays meet them, or where they pass closest."""
    side = torch.where(left, -torch.ones_like(p.x), torch.ones_like(p.x))
    ox, oy, oz = p.x - side * s.eye_x, p.y - s.eye_y, p.z - s.eye_z
    rx, ry, rz = p.ray
    b = ox * rx + oy * ry + oz * rz
    c = ox * ox + oy * oy + oz * oz - s.eye_r.square()
    t = -b - (b * b - c).clamp(min=0.0).sqrt()
    hx, hy, hz = ox + t * rx, oy + t * ry, oz + t * rz
    norm = (hx.square() + hy.square() + hz.square()).sqrt().clamp(min=1e-6)
    return hx / norm, hy / norm, hz / norm


def _eye_color(identities: Identities, attributes: Attributes, s: Shape, normal: Vector) -> Tensor:
    """Color of iris, pupil and sclera on eyeballs with these normals."""
    yaw, pitch = attributes.gaze_yaw * (torch.pi / 180), attributes.gaze_pitch * (torch.pi / 180)
    gx, gy, gz = yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()
    nx, ny, nz = normal
    chord = (2.0 - 2.0 * (nx * gx + ny * gy + nz * gz)).clamp(min=0.0).sqrt()  # about the angle in radians
    reach = 0.072 / s.eye_r  # irises have the same size in everybody
    iris = _ramp(_IRISES, identities.field("iris_hue")) * (0.65 + 0.9 * identities.field("iris_lightness"))
    spokes = textures.sample(textures.STREAKS, (nx - gx) * 2.0 + 0.2, (ny - gy) * 2.0)
    ring = chord / reach
    iris = iris * (1.12 + 0.35 * spokes - 0.75 * smoothstep(0.72, 1.0, ring))
    sclera = torch.tensor([0.66, 0.615, 0.585], device=nx.device).view(3, 1, 1)
    color = mix(sclera.expand(3, *nx.shape), iris, smoothstep(1.07, 0.95, ring))
    return mix(color, torch.full_like(color, 0.004), smoothstep(0.50, 0.42, ring))
