"""Intersections of camera rays with the scene: cone marching on a coarse raster, then sphere tracing of the pixels.

A coarse cell stops as soon as its distance is below the radius of the cell, so that none of its pixels can have met a
surface before. Sphere tracing starts there and needs few steps, also at silhouettes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .camera import DISTANCE
from .kernels import EAGER, Has, Kernels
from .shape import Shape
from .vectors import Vector, gather

RELAXATION = 0.82
"""Share of the distance that a ray advances by: distances are inexact, and full steps would jump through thin parts."""

NEAR, FAR = DISTANCE - 1.75, DISTANCE + 1.5
"""Distances from the camera between which surfaces are looked for."""

_COARSE_STEPS, _FINE_STEPS = 18, 4
# Steps and smallest stride in pixels. Few rays are left in the last rounds, and those must get past an edge they graze.
_GRAZING_ROUNDS = ((4, 0.8), (8, 0.8), (12, 1.5), (24, 4.0))


@dataclass
class Scene:
    """What a batch of pictures shows.

    Attributes:
        shape: Shapes of heads, hair, bodies and accessories.
        rotation: Rotations (B, 3, 3) of the heads, head frame to world frame.
        kernels: Functions that compute distances.
        has: What at least one picture shows; compiled functions compute everything.
    """

    shape: Shape
    rotation: Tensor
    kernels: Kernels = EAGER
    has: Has = field(init=False)

    def __post_init__(self) -> None:
        s = self.shape
        self.has = (
            Has(True, True, True, True)
            if self.kernels.fused
            else Has(bool(s.hair.any()), bool(s.hair_long.any()), bool(s.glasses.any()), bool(s.occluder.any()))
        )

    def rows(self, index: slice) -> Scene:
        """The scene of a part of the batch."""
        return Scene(self.shape.rows(index), self.rotation[index], self.kernels)

    @property
    def to_head(self) -> Tensor:
        """Rotations (B, 3, 3) from the world frame to the head frame."""
        return self.rotation.transpose(1, 2)

    def nearest(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Distance (B, P) from world points to the nearest surface, and its material."""
        return self.kernels.nearest(x, y, z, self.to_head, self.shape, self.has)

    def face_distance(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Distance (B, P) from points of the head frame to what shadows the face."""
        return self.kernels.face_distance(x, y, z, self.shape, self.has)


def compact(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the true entries of each row of (B, N), padded to one length P.

    Returns:
        Positions (B, P), and whether each of them is one (B, P) rather than padding.
    """
    rows, columns = mask.nonzero(as_tuple=True)
    position = mask.long().cumsum(1)[rows, columns] - 1
    width = max(int(mask.sum(1).max()), 1)
    index = torch.zeros(mask.shape[0], width, dtype=torch.long, device=mask.device)
    valid = torch.zeros_like(index, dtype=torch.bool)
    index[rows, position] = columns
    valid[rows, position] = True
    return index, valid


def along(direction: Vector, t: Tensor) -> Vector:
    """World points at distance `t` from the camera on its rays."""
    dx, dy, dz = direction
    return dx * t, dy * t, dz * t + DISTANCE


def march_coarse(scene: Scene, direction: Vector, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (B, P) up to which the cone of each cell is empty, and whether it may meet a surface beyond."""
    t = torch.full_like(direction[0], NEAR)
    for _ in range(_COARSE_STEPS):
        d, _ = scene.nearest(*along(direction, t))
        t = t + torch.where(d > radius, (d - 0.5 * radius) * RELAXATION, torch.zeros_like(d))
    return t, t < FAR


@dataclass
class Hits:
    """Rays through some pixels of a batch and the surfaces they meet; all tensors are (B, P).

    Attributes:
        index: The pixel.
        valid: Whether this is a ray rather than padding.
        direction: Unit directions, world frame.
        t: Distance from the camera; FAR and beyond where the ray meets nothing.
        d: Distance to the nearest surface at `t`.
        material: The surface's material, as a float once the ray was advanced.
    """

    index: Tensor
    valid: Tensor
    direction: Vector
    t: Tensor
    d: Tensor
    material: Tensor

    @property
    def met(self) -> Tensor:
        """Whether a ray meets a surface (B, P)."""
        return self.valid & (self.t < FAR)


def march_fine(scene: Scene, direction: Vector, promising: Tensor, start: Tensor, footprint: Tensor) -> Hits:
    """Trace the `promising` pixels (B, N) of each picture from the distances `start` (B, N)."""
    index, valid = compact(promising)
    t = start.gather(1, index)
    hits = Hits(index, valid, gather(direction, index), t, t, index)
    _advance(scene, hits, footprint, _FINE_STEPS, 1.0)
    return hits


def finish_grazing(scene: Scene, parts: list[Hits], footprint: Tensor) -> None:
    """Advance the rays that are still on their way, in place; those of all parts together, since they are few.

    Args:
        scene: The whole batch.
        parts: Rays of consecutive rows of the batch, in order.
        footprint: Widths (B, 1) of a pixel at the head.
    """
    for steps, stride in _GRAZING_ROUNDS:
        _advance_grazing(scene, parts, footprint, steps, stride)


def _advance(scene: Scene, hits: Hits, footprint: Tensor, steps: int, relaxation: float, stride: float = 0.8) -> None:
    """Trace rays in place; a ray that grazes a surface advances by at least `stride` widths of a pixel."""
    near, least = 0.4 * footprint, stride * footprint
    for _ in range(steps):
        hits.d, hits.material = scene.nearest(*along(hits.direction, hits.t))
        hits.t = hits.t + torch.where(hits.d < near, hits.d, torch.maximum(hits.d * relaxation, least))


def _advance_grazing(scene: Scene, parts: list[Hits], footprint: Tensor, steps: int, stride: float) -> None:
    starts = _row_starts(parts)
    chosen = [
        compact(part.met & (part.d > 0.4 * footprint[row : row + part.t.shape[0]]))
        for row, part in zip(starts, parts, strict=True)
    ]
    width = max(index.shape[1] for index, _ in chosen)

    def join(values: list[Tensor]) -> Tensor:
        picked = [v.gather(1, index) for v, (index, _) in zip(values, chosen, strict=True)]
        return torch.cat([F.pad(v, (0, width - v.shape[1])) for v in picked])

    t = join([part.t for part in parts])
    x, y, z = (join([part.direction[i] for part in parts]) for i in range(3))
    joined = Hits(t.long(), t.bool(), (x, y, z), t, t, t.long())
    _advance(scene, joined, footprint, steps, RELAXATION, stride)
    for row, part, (index, valid) in zip(starts, parts, chosen, strict=True):
        rows, columns = valid.nonzero(as_tuple=True)
        pixels = index[rows, columns]
        part.t[rows, pixels] = joined.t[row + rows, columns]
        part.d[rows, pixels] = joined.d[row + rows, columns]
        part.material[rows, pixels] = joined.material[row + rows, columns]


def _row_starts(parts: list[Hits]) -> list[int]:
    """First row of each part in the batch."""
    return list(accumulate((part.t.shape[0] for part in parts[:-1]), initial=0))


def light_reach(scene: Scene, point: Vector, normal: Vector, light: Tensor, steps: int = 6) -> Tensor:
    """Share (B, P) of the key light that reaches points of the face; shadows have soft edges.

    Args:
        scene: The batch.
        point: Points, head frame.
        normal: Unit normals, head frame.
        light: Unit vectors (B, 3) toward the light, head frame.
        steps: Steps toward the light.
    """
    lx, ly, lz = (light[:, i].unsqueeze(1) for i in range(3))
    x, y, z = (p + 0.02 * n for p, n in zip(point, normal, strict=True))
    reach = torch.ones_like(x)
    t = torch.full_like(x, 0.05)
    for _ in range(steps):
        d = scene.face_distance(x + lx * t, y + ly * t, z + lz * t)
        reach = torch.minimum(reach, 6.0 * d / t)
        t = t + d.clamp(0.04, 0.25)
    return reach.clamp_(0.0, 1.0)


def openness(scene: Scene, point: Vector, normal: Vector) -> Tensor:
    """Share (B, P) of the ambient light that is not occluded at points of the face, head frame."""
    total = torch.zeros_like(point[0])
    for reach, weight in ((0.06, 0.9), (0.20, 0.7)):
        x, y, z = (p + reach * n for p, n in zip(point, normal, strict=True))
        total += weight * ((reach - scene.face_distance(x, y, z)) / reach).clamp(0.0, 1.0)
    return (1.0 - 0.62 * total).clamp_(0.15, 1.0)
