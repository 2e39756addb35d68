"""Inner functions of the renderer as one bundle: plain torch, or fused by `torch.compile` for bulk rendering.

Both give the same picture up to rounding. Fusing needs a C++ compiler on the CPU and takes about a minute at the first
call of a process; it pays from some hundred pictures on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from . import geometry, lighting, skin
from .shape import Shape
from .vectors import Vector, length, rotate

SKIN, BODY, HAIR, GLASSES, OCCLUDER = range(1, 6)
"""Materials of surfaces."""


class Has(NamedTuple):
    """What at least one picture of a batch shows; the rest is not computed."""

    hair: bool
    long: bool
    glasses: bool
    occluder: bool


def nearest(x: Tensor, y: Tensor, z: Tensor, to_head: Tensor, s: Shape, has: Has) -> tuple[Tensor, Tensor]:
    """Distance (B, P) from world points (B, P) to the nearest surface, and its material (B, P) as a float."""
    head = rotate(to_head, x, y, z)
    d = geometry.head_distance(*head, s)
    material = torch.full_like(d, SKIN)

    def merge(other: Tensor, key: int) -> None:
        nonlocal d, material
        material = torch.where(other < d, key, material)
        d = torch.minimum(d, other)

    merge(geometry.body_distance(x, y, z, s), BODY)
    if has.hair:
        merge(geometry.hair_distance(*head, s, has.long), HAIR)
    if has.glasses:
        merge(geometry.glasses_distance(*head, s), GLASSES)
    if has.occluder:
        merge(geometry.occluder_distance(x, y, z, s), OCCLUDER)
    return d, material


def normal(x: Tensor, y: Tensor, z: Tensor, to_head: Tensor, s: Shape, has: Has, reach: Tensor) -> Vector:
    """Unit normals (B, P) in the world frame, by forward differences of the distance over `reach` (B, 1)."""
    here, _ = nearest(x, y, z, to_head, s, has)
    nx = nearest(x + reach, y, z, to_head, s, has)[0] - here
    ny = nearest(x, y + reach, z, to_head, s, has)[0] - here
    nz = nearest(x, y, z + reach, to_head, s, has)[0] - here
    norm = length(nx, ny, nz).clamp(min=1e-9)
    return nx / norm, ny / norm, nz / norm


def face_distance(x: Tensor, y: Tensor, z: Tensor, s: Shape, has: Has) -> Tensor:
    """Distance (B, P) from points of the head frame to what shadows the face: the head's large forms, and hair."""
    d = geometry.shadow_distance(x, y, z, s)
    return torch.minimum(d, geometry.hair_distance(x, y, z, s, has.long, fine=False)) if has.hair else d


@dataclass(frozen=True)
class Kernels:
    """Functions that `render` calls for every pixel.

    Attributes:
        at_once: Pictures per call on a CPU; one picture at a time keeps intermediate results in its cache.
        fused: Whether the functions are compiled.
    """

    nearest: Callable[..., tuple[Tensor, Tensor]] = nearest
    normal: Callable[..., Vector] = normal
    face_distance: Callable[..., Tensor] = face_distance
    background: Callable[..., Tensor] = lighting.background
    develop: Callable[..., Tensor] = lighting.develop
    light_skin: Callable[..., Tensor] = lighting.light_skin
    light_hair: Callable[..., Tensor] = lighting.light_hair
    light_body: Callable[..., Tensor] = lighting.light_body
    paint_head: Callable[..., skin.Paint] = skin.paint_head
    at_once: int = 1
    fused: bool = False


EAGER = Kernels()
"""The functions as they are."""


@lru_cache(maxsize=1)
def fused() -> Kernels:
    """The same functions through `torch.compile`; each is compiled at its first call in a process."""
    functions = {f.name: getattr(EAGER, f.name) for f in fields(Kernels) if callable(getattr(EAGER, f.name))}
    return Kernels(**{name: torch.compile(f, dynamic=True) for name, f in functions.items()}, at_once=8, fused=True)
