"""Light, materials and camera response: colors of lit surfaces, of the background, and of the finished picture.

Colors are linear RGB (3, B, P) unless stated otherwise; `view` is the unit vector from a surface to the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import textures
from .geometry import bump, smoothstep
from .parameters import BACKGROUNDS, Attributes
from .skin import Paint, mix
from .vectors import Vector, dot


@dataclass
class Light:
    """Key light and ambient light of a batch.

    Attributes:
        direction: Unit vectors (B, 3) toward the key light, world frame.
        key: Color (3, B, 1) of the key light.
        sky: Color (3, B, 1) of the ambient light from above.
        ground: Color (3, B, 1) of the ambient light from below.
    """

    direction: Tensor
    key: Tensor
    sky: Tensor
    ground: Tensor

    def ambient(self, normal: Vector) -> Tensor:
        """Ambient light (3, B, P) that reaches surfaces with these normals."""
        up = 0.5 + 0.5 * normal[1]
        return self.ground + (self.sky - self.ground) * up

    def incidence(self, normal: Vector) -> Tensor:
        """Cosine (B, P) of the angle between normals and the key light."""
        return dot(normal, self._columns())

    def half_vector(self, view: Vector) -> Vector:
        """Unit vectors halfway between the key light and the camera."""
        lx, ly, lz = self._columns()
        hx, hy, hz = lx + view[0], ly + view[1], lz + view[2]
        norm = (hx * hx + hy * hy + hz * hz).sqrt().clamp(min=1e-6)
        return hx / norm, hy / norm, hz / norm

    def _columns(self) -> Vector:
        return self.direction[:, 0:1], self.direction[:, 1:2], self.direction[:, 2:3]


def _warm(amount: Tensor, strength: float) -> Tensor:
    """Tint (3, B, 1) from cool (-1) to warm (1), amount (B, 1); mild, so that it is not mistaken for skin tone."""
    return torch.stack([1.0 + strength * amount, torch.ones_like(amount), 1.0 - 1.4 * strength * amount])


def build_light(attributes: Attributes) -> Light:
    """Light of each attribute setting of a batch."""
    azimuth, elevation = attributes.light_azimuth * (math.pi / 180), attributes.light_elevation * (math.pi / 180)
    direction = torch.cat([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], dim=1)
    key = _warm(attributes.light_warmth, 0.07) * attributes.light_strength
    sky = _warm(attributes.ambient_warmth, 0.06) * attributes.ambient_strength
    return Light(direction, key, sky, sky * torch.tensor([0.60, 0.52, 0.46], device=sky.device).view(3, 1, 1))


def light_skin(
    paint: Paint, normal: Vector, view: Vector, light: Light, reach: Tensor, openness: Tensor, attributes: Attributes
) -> Tensor:
    """Color of the painted head.

    Red light travels farther under the skin, so its shadow edge is wider: diffuse light is wrapped per channel.

    Args:
        paint: Surface of the head.
        normal: Unit normals, world frame.
        view: Directions toward the camera, world frame.
        light: Light of the scene.
        reach: Share (B, P) of the key light that no shadow takes.
        openness: Share (B, P) of the ambient light that is not occluded.
        attributes: Strength of shadows, gloss of the skin.
    """
    nl = light.incidence(normal)
    shadow = 1.0 - attributes.shadow * (1.0 - reach)
    soft = 1.0 - paint.wet
    diffuse = torch.stack([((nl + w * soft) / (1.0 + w * soft)).clamp(min=0.0) for w in (0.34, 0.17, 0.11)])
    bleed = torch.stack([shadow**0.8, shadow, shadow**1.1])
    ambient = light.ambient(normal) * openness
    color = paint.albedo * (light.key * diffuse * bleed + ambient) * paint.shade
    h = light.half_vector(view)
    nh, nv = dot(normal, h).clamp(min=0.0), dot(normal, view).clamp(0.0, 1.0)
    fresnel = 0.05 + 0.5 * (1.0 - nv).square().square()
    lobe = 0.55 * _power(nh, 4) + 0.75 * _power(nh, 6)
    spec = lobe * fresnel * (0.35 + attributes.gloss * paint.gloss) * shadow * nl.clamp(0.0, 0.25) * 4.0
    glint = _power(nh, 9) * 3.5 * paint.wet * (0.3 + 0.7 * shadow)
    sheen = 0.35 * fresnel * openness * soft
    return color + light.key * (0.55 * spec * soft + glint * paint.shade) + light.sky * sheen * 0.35


def _power(value: Tensor, doublings: int) -> Tensor:
    """Power `value ** (2 ** doublings)`, by repeated squaring."""
    for _ in range(doublings):
        value = value * value
    return value


def light_hair(point: Vector, normal: Vector, view: Vector, light: Light, attributes: Attributes) -> Tensor:
    """Color of hair at points of the head frame; normal and view in the world frame."""
    x, y, z = point
    angle = torch.atan2(x, z + 0.2)
    bend = 0.25 * textures.sample(textures.CLOUDS, angle * 0.25, y * 0.15)
    around = angle * 0.72 + bend * 0.12 + 0.31 * attributes.hair_part
    strand = textures.sample(textures.STREAKS, around, y * 0.22 + z * 0.10)
    fine = textures.sample(textures.STREAKS, angle * 2.3 + bend * 0.2, y * 0.35)
    base = attributes.color("hair_color") * (1.0 + 0.55 * strand + 0.35 * fine).clamp(min=0.15)
    nl = light.incidence(normal)
    deep = 0.55 + 0.45 * smoothstep(-1.1, 0.6, y)
    diffuse = ((nl + 0.35) / 1.35).clamp(min=0.0)
    color = base * (light.key * diffuse + light.ambient(normal)) * deep
    h = light.half_vector(view)
    tilt = h[1] + 0.18 * strand - 0.15
    band = _power((1.0 - tilt * tilt).clamp(min=0.0), 4) * nl.clamp(min=0.0)
    shine = 0.05 + 0.28 * attributes.color("hair_color")
    return color + light.key * band * shine * (0.8 + 0.6 * fine)


def light_body(point: Vector, normal: Vector, light: Light, tone: Tensor, attributes: Attributes) -> Tensor:
    """Color of neck and clothes at points of the world frame; `tone` (3, B, 1) is the body's skin color."""
    x, y, _z = point
    cut = -1.28 - 0.30 * attributes.neckline + 0.35 * x.abs() * (1.0 - 0.5 * attributes.neckline)
    cloth = smoothstep(0.012, -0.012, y - cut)
    weave = 0.08 * textures.sample(textures.GRAIN, x * 2.0, y * 2.0)
    weave = weave + 0.10 * textures.sample(textures.CLOUDS, x * 0.3, y * 0.3)
    stripes = 0.35 * smoothstep(-0.1, 0.1, torch.sin(y * 40.0)) * (attributes.clothes_pattern > 0.75)
    fabric = attributes.color("clothes_color") * (1.0 + weave - stripes)
    hem = 1.0 - 0.35 * bump((y - cut) / 0.03)
    albedo = mix(tone.expand(3, *x.shape), fabric, cloth) * hem
    # A chin of fixed size shades the neck: the shadow must not depend on the identity.
    under_chin = 0.34 + 0.66 * smoothstep(-0.80, -1.30, y + 0.25 * x.abs())
    shade = mix(under_chin, torch.ones_like(under_chin), cloth)
    key = light.key * ((light.incidence(normal) + 0.2) / 1.2).clamp(min=0.0)
    # Summed in this order since floating-point addition is not associative: `light.ambient` would change pixels.
    up = 0.5 + 0.5 * normal[1]
    return albedo * (key + light.ground + (light.sky - light.ground) * up) * shade


def light_plain(albedo: Tensor, normal: Vector, view: Vector, light: Light, shine: float) -> Tensor:
    """Color of surfaces of one albedo (3, B, 1): the frame of glasses, and the occluder."""
    nl = light.incidence(normal).clamp(min=0.0)
    nh = dot(normal, light.half_vector(view)).clamp(min=0.0)
    return albedo * (light.key * nl + light.ambient(normal)) + light.key * shine * _power(nh, 5)


def background(attributes: Attributes, picture: Tensor) -> Tensor:
    """Color of the background at positions (B, P, 2) in the full frame, as fractions of its side."""
    u = picture[..., 0] + attributes.background_offset[:, 0:1]
    v = picture[..., 1] + attributes.background_offset[:, 1:2]
    scale = attributes.background_scale
    first, second = attributes.color("background_a"), attributes.color("background_b")
    clouds = textures.sample(textures.CLOUDS, u * 0.35 * scale, v * 0.35 * scale)
    small = textures.sample(textures.CLOUDS, u * 0.9 * scale + 0.5, v * 0.9 * scale)
    kind = attributes.background
    tilt = (picture[..., 1] * 0.9 + picture[..., 0] * 0.3 * (scale - 1.0)).clamp(0.0, 1.0)
    blobs = smoothstep(0.05, 0.45, clouds + 0.5 * small)
    grain = textures.sample(textures.STREAKS, u * 0.5, v * 2.0 * scale)
    stripes = smoothstep(-0.12, 0.12, torch.sin((u * scale + v * 0.6) * 26.0))
    horizon = smoothstep(-0.02, 0.02, picture[..., 1] - 0.55 - 0.08 * clouds) + 0.12 * small
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


def develop(color: Tensor, attributes: Attributes, picture: Tensor) -> Tensor:
    """Camera response: exposure, vignette, saturation, highlight roll-off and gamma; display RGB 0..1.

    `picture` (B, P, 2) are positions in the full frame, as fractions of its side.
    """
    away = (picture - 0.5).square().sum(-1)
    color = color * attributes.exposure * (1.0 - attributes.vignette * 1.6 * away).clamp(min=0.3)
    gray = (0.25 * color[0] + 0.65 * color[1] + 0.10 * color[2]).unsqueeze(0)
    color = (gray + (color - gray) * attributes.saturation).clamp(min=0.0)
    return (1.22 * color / (1.0 + 0.22 * color)).clamp(max=1.0).add(1e-5).sqrt()
