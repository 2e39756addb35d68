"""Finds what each ray meets: cone marching on a coarse raster, then sphere tracing of the pixels that need it.

A coarse cell stops as soon as its distance is below the cell's own radius, so that no pixel of the cell can have met
anything before: the fine stage starts there and needs few steps, also at silhouettes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import DISTANCE
from .geometry import Shape
from .kernels import EAGER, Has, Kernels

RELAXATION = 0.82  # the distances are not exact; a full step would now and then jump through a thin part
NEAR, FAR = DISTANCE - 1.75, DISTANCE + 1.5
COARSE_STEPS, FINE_STEPS = 18, 4
# (steps, least stride in pixels): few rays are left in the last rounds, and those must get past an edge they graze.
STRAGGLER_ROUNDS = ((4, 0.8), (8, 0.8), (12, 1.5), (24, 4.0))


@dataclass
class Scene:
    """Shapes of a batch and the rotation of each head; `rows` gives a part of the batch."""

    shape: Shape
    rotation: Tensor
    kernels: Kernels = EAGER

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
        """(B, 3, 3): turns vectors of the world into the head's frame."""
        return self.rotation.transpose(1, 2)

    def nearest(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Distance (B, P) to the nearest thing at world points, and its material."""
        return self.kernels.nearest(x, y, z, self.to_head, self.shape, self.has)

    def face_distance(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Distance (B, P) to what shades the face, at head-frame points."""
        return self.kernels.face_distance(x, y, z, self.shape, self.has)


def compact(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the true entries of each row of (B, N), padded to one length: index (B, P), valid (B, P)."""
    rows, columns = mask.nonzero(as_tuple=True)
    position = mask.long().cumsum(1)[rows, columns] - 1
    width = max(int(mask.sum(1).max()), 1)
    index = torch.zeros(mask.shape[0], width, dtype=torch.long, device=mask.device)
    valid = torch.zeros_like(index, dtype=torch.bool)
    index[rows, position] = columns
    valid[rows, position] = True
    return index, valid


def along(direction: tuple[Tensor, Tensor, Tensor], t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """World points at distance t on the rays from the camera."""
    dx, dy, dz = direction
    return dx * t, dy * t, dz * t + DISTANCE


def march_coarse(scene: Scene, direction: tuple[Tensor, Tensor, Tensor], radius: Tensor) -> tuple[Tensor, Tensor]:
    """Distance up to which each cell's cone is empty, (B, P), and whether anything can be met beyond it."""
    t = torch.full_like(direction[0], NEAR)
    for _ in range(COARSE_STEPS):
        d, _ = scene.nearest(*along(direction, t))
        t = t + torch.where(d > radius, (d - 0.5 * radius) * RELAXATION, torch.zeros_like(d))
    return t, t < FAR


@dataclass
class Hits:
    """Rays of some pixels of a batch and what they meet; all (B, P). `index` is the pixel, `valid` marks padding as False."""

    index: Tensor
    valid: Tensor
    direction: tuple[Tensor, Tensor, Tensor]
    t: Tensor
    d: Tensor
    material: Tensor


def _advance(scene: Scene, hits: Hits, footprint: Tensor, steps: int, relaxation: float, stride: float = 0.8) -> None:
    """Sphere tracing, in place. A ray that grazes a surface still moves on by at least `stride` pixels' width."""
    near, least = 0.4 * footprint, stride * footprint
    for _ in range(steps):
        hits.d, hits.material = scene.nearest(*along(hits.direction, hits.t))
        hits.t = hits.t + torch.where(hits.d < near, hits.d, torch.maximum(hits.d * relaxation, least))


def march_fine(
    scene: Scene, direction: tuple[Tensor, Tensor, Tensor], promising: Tensor, start: Tensor, footprint: Tensor
) -> Hits:
    """Traces the `promising` pixels of each picture (B, N) from distance `start` (B, N)."""
    index, valid = compact(promising)
    t = start.gather(1, index)
    hits = Hits(index, valid, tuple(v.gather(1, index) for v in direction), t, t, index)
    _advance(scene, hits, footprint, FINE_STEPS, 1.0)
    return hits


def finish_stragglers(scene: Scene, parts: list[Hits], footprint: Tensor) -> None:
    """Grazing rays need many steps: only they take them, those of all parts of a chunk together. In place.

    parts: consecutive rows of the scene's batch, in order.
    """
    for steps, stride in STRAGGLER_ROUNDS:
        _advance_late(scene, parts, footprint, steps, stride)


def _advance_late(scene: Scene, parts: list[Hits], footprint: Tensor, steps: int, stride: float) -> None:
    late = [
        part.valid & (part.d > 0.4 * footprint[row : row + part.t.shape[0]]) & (part.t < FAR)
        for row, part in zip(_row_starts(parts), parts, strict=False)
    ]
    chosen = [compact(mask) for mask in late]
    width = max(index.shape[1] for index, _ in chosen)

    def gather(values: list[Tensor]) -> Tensor:
        picked = [v.gather(1, index) for v, (index, _) in zip(values, chosen, strict=False)]
        return torch.cat([torch.nn.functional.pad(v, (0, width - v.shape[1])) for v in picked])

    t = gather([p.t for p in parts])
    together = Hits(
        t.long(), t.bool(), tuple(gather([p.direction[i] for p in parts]) for i in range(3)), t, t, t.long()
    )
    _advance(scene, together, footprint, steps, RELAXATION, stride)
    for row, part, (index, valid) in zip(_row_starts(parts), parts, chosen, strict=False):
        rows, columns = valid.nonzero(as_tuple=True)
        for name in ("t", "d", "material"):
            getattr(part, name)[rows, index[rows, columns]] = getattr(together, name)[row + rows, columns]


def _row_starts(parts: list[Hits]) -> list[int]:
    starts, total = [], 0
    for part in parts:
        starts.append(total)
        total += part.t.shape[0]
    return starts


def light_reach(scene: Scene, point, normal, light: Tensor, steps: int = 6) -> Tensor:
    """How much of the key light reaches points of the face, (B, P) 0..1, with a soft edge.

    point, normal: head frame, three (B, P) each; light: (B, 3) unit vector to the light, head frame.
    """
    lx, ly, lz = (light[:, i].unsqueeze(1) for i in range(3))
    x, y, z = (p + 0.02 * n for p, n in zip(point, normal, strict=False))
    reach = torch.ones_like(x)
    t = torch.full_like(x, 0.05)
    for _ in range(steps):
        d = scene.face_distance(x + lx * t, y + ly * t, z + lz * t)
        reach = torch.minimum(reach, 6.0 * d / t)
        t = t + d.clamp(0.04, 0.25)
    return reach.clamp_(0.0, 1.0)


def openness(scene: Scene, point, normal) -> Tensor:
    """Ambient occlusion of points of the face, (B, P), 1 where the sky is open; head frame."""
    total = torch.zeros_like(point[0])
    for reach, weight in ((0.06, 0.9), (0.20, 0.7)):
        d = scene.face_distance(*(p + reach * n for p, n in zip(point, normal, strict=False)))
        total += weight * ((reach - d) / reach).clamp(0.0, 1.0)
    return (1.0 - 0.62 * total).clamp_(0.15, 1.0)
