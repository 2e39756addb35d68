"""Light and the look of everything that is not painted skin: hair, clothes, glasses, occluder, background, camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import textures
from .geometry import Shape, bump, step
from .parameters import BACKGROUNDS, Attributes
from .skin import Paint, mix


@dataclass
class Light:
    """Key light and ambient of a batch. direction: (B, 3), world frame; colors (3, B, 1), linear RGB."""

    direction: Tensor
    key: Tensor
    sky: Tensor
    ground: Tensor


def _warm(amount: Tensor, strength: float) -> Tensor:
    """Tint from cool (-1) to warm (1), (B, 1) -> (3, B, 1); kept mild so that it is not mistaken for skin tone."""
    return torch.stack([1.0 + strength * amount, torch.ones_like(amount), 1.0 - 1.4 * strength * amount])


def build_light(a: Attributes) -> Light:
    """Light of each setting of a batch; directions lead to the light and have length 1."""
    azimuth, elevation = a.light_azimuth * (math.pi / 180), a.light_elevation * (math.pi / 180)
    direction = torch.cat([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], dim=1)
    key = _warm(a.light_warmth, 0.07) * a.light_strength
    sky = _warm(a.ambient_warmth, 0.06) * a.ambient_strength
    return Light(direction, key, sky, sky * torch.tensor([0.60, 0.52, 0.46], device=sky.device).view(3, 1, 1))


def _facing(normal, vector) -> Tensor:
    return normal[0] * vector[0] + normal[1] * vector[1] + normal[2] * vector[2]


def _columns(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return v[:, 0:1], v[:, 1:2], v[:, 2:3]


def _half_vector(light: Light, view):
    """Unit vector between light and viewer; view: three (B, P), from the surface to the camera."""
    lx, ly, lz = _columns(light.direction)
    hx, hy, hz = lx + view[0], ly + view[1], lz + view[2]
    norm = (hx * hx + hy * hy + hz * hz).sqrt().clamp(min=1e-6)
    return hx / norm, hy / norm, hz / norm


def light_skin(paint: Paint, normal, view, light: Light, reach: Tensor, open_sky: Tensor, a: Attributes) -> Tensor:
    """Color of the painted head, (3, B, P). normal, view: world frame; reach: key light 0..1; open_sky 0..1.

    Red light travels further under the skin, so its shadow edge is wider (wrapped diffuse per channel).
    """
    nl = _facing(normal, _columns(light.direction))
    shadow = 1.0 - a.shadow * (1.0 - reach)
    soft = 1.0 - paint.wet
    diffuse = torch.stack([((nl + w * soft) / (1.0 + w * soft)).clamp(min=0.0) for w in (0.34, 0.17, 0.11)])
    bleed = torch.stack([shadow**0.8, shadow, shadow**1.1])
    up = 0.5 + 0.5 * normal[1]
    ambient = (light.ground + (light.sky - light.ground) * up) * open_sky
    color = paint.albedo * (light.key * diffuse * bleed + ambient) * paint.shade
    h = _half_vector(light, view)
    nh, nv = _facing(normal, h).clamp(min=0.0), _facing(normal, view).clamp(0.0, 1.0)
    fresnel = 0.05 + 0.5 * (1.0 - nv).square().square()
    lobe = 0.55 * _power(nh, 4) + 0.75 * _power(nh, 6)
    spec = lobe * fresnel * (0.35 + a.gloss * paint.gloss) * shadow * nl.clamp(0.0, 0.25) * 4.0
    glint = _power(nh, 9) * 3.5 * paint.wet * (0.3 + 0.7 * shadow)
    sheen = 0.35 * fresnel * open_sky * soft
    return color + light.key * (0.55 * spec * soft + glint * paint.shade) + light.sky * sheen * 0.35


def _power(value: Tensor, doublings: int) -> Tensor:
    """Value ** (2 ** doublings), by squaring."""
    for _ in range(doublings):
        value = value * value
    return value


def light_hair(point, normal, view, light: Light, a: Attributes) -> Tensor:
    """Color of hair, (3, B, P). point: head frame; normal, view: world frame. Depends on attributes alone."""
    x, y, z = point
    angle = torch.atan2(x, z + 0.2)
    bend = 0.25 * textures.sample(textures.CLOUDS, angle * 0.25, y * 0.15)
    strand = textures.sample(textures.STREAKS, angle * 0.72 + bend * 0.12 + 0.31 * a.hair_part, y * 0.22 + z * 0.10)
    fine = textures.sample(textures.STREAKS, angle * 2.3 + bend * 0.2, y * 0.35)
    base = a.hair_color.t().unsqueeze(-1) * (1.0 + 0.55 * strand + 0.35 * fine).clamp(min=0.15)
    nl = _facing(normal, _columns(light.direction))
    deep = 0.55 + 0.45 * step(-1.1, 0.6, y)
    diffuse = ((nl + 0.35) / 1.35).clamp(min=0.0)
    up = 0.5 + 0.5 * normal[1]
    color = base * (light.key * diffuse + (light.ground + (light.sky - light.ground) * up)) * deep
    h = _half_vector(light, view)
    tilt = h[1] + 0.18 * strand - 0.15
    band = _power((1.0 - tilt * tilt).clamp(min=0.0), 4) * nl.clamp(min=0.0)
    shine = 0.05 + 0.28 * a.hair_color.t().unsqueeze(-1)
    return color + light.key * band * shine * (0.8 + 0.6 * fine)


def light_body(point, normal, light: Light, tone: Tensor, a: Attributes, s: Shape) -> Tensor:
    """Color of neck and clothes, (3, B, P); world frame. `tone` (3, B, 1) is the skin of the body."""
    x, y, _z = point
    cut = -1.28 - 0.30 * a.neckline + 0.35 * x.abs() * (1.0 - 0.5 * a.neckline)
    cloth = step(0.012, -0.012, y - cut)
    weave = 0.08 * textures.sample(textures.GRAIN, x * 2.0, y * 2.0) + 0.10 * textures.sample(
        textures.CLOUDS, x * 0.3, y * 0.3
    )
    stripes = 0.35 * step(-0.1, 0.1, torch.sin(y * 40.0)) * (a.clothes_pattern > 0.75)
    fabric = a.clothes_color.t().unsqueeze(-1) * (1.0 + weave - stripes)
    hem = 1.0 - 0.35 * bump((y - cut) / 0.03)
    albedo = mix(tone.expand(3, *x.shape), fabric, cloth) * hem
    # A chin of fixed size shades the neck: the shadow must not tell whose head it is.
    under_chin = 0.34 + 0.66 * step(-0.80, -1.30, y + 0.25 * x.abs())
    nl = _facing(normal, _columns(light.direction))
    up = 0.5 + 0.5 * normal[1]
    shade = mix(under_chin, torch.ones_like(under_chin), cloth)
    return (
        albedo
        * (light.key * ((nl + 0.2) / 1.2).clamp(min=0.0) + light.ground + (light.sky - light.ground) * up)
        * shade
    )


def light_plain(albedo: Tensor, normal, view, light: Light, shine: float) -> Tensor:
    """Color of glasses' rims and of the occluder, (3, B, P)."""
    nl = _facing(normal, _columns(light.direction)).clamp(min=0.0)
    up = 0.5 + 0.5 * normal[1]
    nh = _facing(normal, _half_vector(light, view)).clamp(min=0.0)
    ambient = light.ground + (light.sky - light.ground) * up
    return albedo * (light.key * nl + ambient) + light.key * shine * _power(nh, 5)


def background(a: Attributes, picture: Tensor) -> Tensor:
    """Color behind everything, (3, B, P), by full-frame position (B, P, 2)."""
    u = picture[..., 0] + a.background_offset[:, 0:1]
    v = picture[..., 1] + a.background_offset[:, 1:2]
    scale = a.background_scale
    first, second = a.background_a.t().unsqueeze(-1), a.background_b.t().unsqueeze(-1)
    clouds = textures.sample(textures.CLOUDS, u * 0.35 * scale, v * 0.35 * scale)
    small = textures.sample(textures.CLOUDS, u * 0.9 * scale + 0.5, v * 0.9 * scale)
    kind = a.background
    tilt = (picture[..., 1] * 0.9 + picture[..., 0] * 0.3 * (scale - 1.0)).clamp(0.0, 1.0)
    blobs = step(0.05, 0.45, clouds + 0.5 * small)
    grain = textures.sample(textures.STREAKS, u * 0.5, v * 2.0 * scale)
    stripes = step(-0.12, 0.12, torch.sin((u * scale + v * 0.6) * 26.0))
    horizon = step(-0.02, 0.02, picture[..., 1] - 0.55 - 0.08 * clouds) + 0.12 * small
    weights = {
        "gradient": tilt,
        "bokeh": blobs,
        "wall": 0.5 + 0.35 * clouds + 0.25 * grain,
        "stripes": 0.25 + 0.5 * stripes,
        "landscape": horizon,
    }
    weight = torch.zeros_like(u)
    for number, name in enumerate(BACKGROUNDS):
        weight = weight + weights[name].clamp(0.0, 1.0) * (kind == number)
    return mix(first.expand(3, *u.shape), second, weight) * (0.95 + 0.10 * small)


def develop(color: Tensor, a: Attributes, picture: Tensor) -> Tensor:
    """Camera response, linear (3, B, P) -> display 0..1: exposure, vignette, saturation, soft shoulder, gamma."""
    away = (picture - 0.5).square().sum(-1)
    color = color * a.exposure * (1.0 - a.vignette * 1.6 * away).clamp(min=0.3)
    gray = (0.25 * color[0] + 0.65 * color[1] + 0.10 * color[2]).unsqueeze(0)
    color = (gray + (color - gray) * a.saturation).clamp(min=0.0)
    return (1.22 * color / (1.0 + 0.22 * color)).clamp(max=1.0).add(1e-5).sqrt()
