"""Renderer of the face world: identities and attributes to pictures with exact ground truth.

The exact swap of a target (person i under attributes a) by a source person j is the render of j under a on the target's
body: `render(j, a, window=w, body=i)`. Outside the two visible faces it equals the target, because nothing there
depends on the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError
from . import march, skin, textures
from .camera import View, head_rotation, project, view_pixels
from .exact_landmarks import head_points
from .kernels import BODY, EAGER, GLASSES, HAIR, OCCLUDER, SKIN, Kernels
from .lighting import Light, build_light, light_plain
from .march import Scene
from .parameters import Attributes, Identities
from .shape import build_shape
from .vectors import Vector, gather, negate, rotate

_CELL = 4  # supersampled pixels per side of a coarse cell
# Pictures that are rendered together: few on a CPU, whose cache they fill; on an accelerator as many as have so many
# rays, since every operation costs a launch there. They take about 3 GB.
_CPU_CHUNK, _ACCELERATOR_RAYS = 8, 2**22


@dataclass
class Rendered:
    """A batch of N pictures with ground truth.

    Attributes:
        image: Pictures (N, 3, S, S), RGB in -1..1.
        face_mask: Visible skin and features of the head with its ears, without hair, glasses and occluder;
            (N, 1, S, S) in 0..1.
        depth: Distance from the camera in head units (N, 1, S, S), 0 where there is only background.
        points: Five points (N, 5, 2) in pixels of the picture, the center of the first pixel at 0.5.
        landmarks: Dense landmarks (N, 68, 2) in the same pixels; see `exact_landmarks`.
        pose: Yaw, pitch and roll (N, 3) in degrees.
        expression: Values (N, 6) in the order of `EXPRESSION_NAMES`.
        gaze: Yaw and pitch (N, 2) of the eyes relative to the head, in degrees.
    """

    image: Tensor
    face_mask: Tensor
    depth: Tensor
    points: Tensor
    landmarks: Tensor
    pose: Tensor
    expression: Tensor
    gaze: Tensor


def five_points(identities: Identities, attributes: Attributes, size: int = 256) -> Tensor:
    """Five points (N, 5, 2) in a full frame of size x size pixels, without rendering it.

    They are the centers of the left and the right eye, the tip of the nose, and the left and right corner of the mouth.
    """
    return _frame_points(identities, attributes, size)[0]


def _frame_points(identities: Identities, attributes: Attributes, size: int) -> tuple[Tensor, Tensor]:
    five, dense = head_points(build_shape(identities, attributes))
    rotation = head_rotation(attributes).transpose(1, 2)
    return project(five @ rotation, attributes, size), project(dense @ rotation, attributes, size)


@torch.no_grad()
def render(
    identities: Identities,
    attributes: Attributes,
    size: int = 256,
    window: Tensor | None = None,
    body: Identities | None = None,
    supersample: int = 2,
    frame_size: int | None = None,
    chunk: int | None = None,
    kernels: Kernels = EAGER,
) -> Rendered:
    """Render N pictures of size x size pixels, on the device of the parameters.

    Equal seeds, sizes and library versions give equal pixels.

    Args:
        identities: Whose faces are shown.
        attributes: Everything else in the pictures.
        size: Side of the pictures in pixels, even.
        window: Affine maps (N, 2, 3) from pixels of the full frame to pixels of the picture; by default the full frame.
        body: Whose skin the neck shows; by default that of `identities`.
        supersample: Rays per side of a pixel.
        frame_size: Side of the full frame in pixels, by default `size`.
        chunk: Pictures that are rendered together; more of them take more memory. By default what suits the device.
        kernels: Inner functions; `kernels.fused()` pays for bulk rendering.

    Raises:
        StyleSwapError: Batches of different lengths, a size that is odd or too small, or a window of another shape.
    """
    _check(identities, attributes, size, window, body)
    device = identities.values.device
    textures.prepare(device)
    frame_size = frame_size or size
    body = identities if body is None else body
    if window is None:
        window = torch.eye(2, 3, device=device) * (size / frame_size)
        window = window.expand(len(identities), 2, 3)
    if chunk is None:
        rays = (size * supersample) ** 2
        chunk = _CPU_CHUNK if device.type == "cpu" else max(1, _ACCELERATOR_RAYS // rays)
    parts = []
    for start in range(0, len(identities), chunk):
        rows = slice(start, start + chunk)
        people = _People(identities[rows], attributes[rows], body[rows])
        parts.append(_render_chunk(people, window[rows].to(device), size, supersample, frame_size, kernels))
    return Rendered(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Rendered)))


def _check(
    identities: Identities, attributes: Attributes, size: int, window: Tensor | None, body: Identities | None
) -> None:
    count = len(identities)
    if len(attributes) != count or (body is not None and len(body) != count):
        raise StyleSwapError(
            f"render needs as many attributes and bodies as identities: got {count} identities, "
            f"{len(attributes)} attributes, {count if body is None else len(body)} bodies"
        )
    if size < 16 or size % 2:
        raise StyleSwapError(f"render needs an even size of at least 16 pixels, got {size}")
    if window is not None and window.shape != (count, 2, 3):
        raise StyleSwapError(
            f"render needs windows ({count}, 2, 3) from full frame to picture, got shape {tuple(window.shape)}"
        )


@dataclass(frozen=True)
class _People:
    """Parameters of the pictures that are rendered together."""

    identities: Identities
    attributes: Attributes
    body: Identities

    def rows(self, index: slice) -> _People:
        return _People(self.identities[index], self.attributes[index], self.body[index])


def _render_chunk(
    people: _People, window: Tensor, size: int, supersample: int, frame_size: int, kernels: Kernels
) -> Rendered:
    identities, attributes = people.identities, people.attributes
    scene = Scene(build_shape(identities, attributes), head_rotation(attributes), kernels)
    grid = size * supersample
    cells = view_pixels(attributes, window, frame_size, size, grid // _CELL)
    start, promising = march.march_coarse(scene, cells.direction, 0.75 * cells.footprint)
    fine = view_pixels(attributes, window, frame_size, size, grid)
    spread = _cell_of_pixel(grid, window.device)
    at_once = len(identities) if identities.values.is_cuda else kernels.at_once
    parts, hits = [], []
    for row in range(0, len(identities), at_once):
        rows = slice(row, row + at_once)
        part = _Part(scene.rows(rows), people.rows(rows), fine.rows(rows))
        parts.append(part)
        hits.append(
            march.march_fine(
                part.scene,
                part.view.direction,
                promising[rows][:, spread],
                start[rows][:, spread],
                part.view.footprint,
            )
        )
    march.finish_grazing(scene, hits, fine.footprint)
    layers = [part.draw(hit, grid, supersample) for part, hit in zip(parts, hits, strict=True)]
    image, mask, depth = (torch.cat(layer) for layer in zip(*layers, strict=True))
    image = (image * 2.0 - 1.0 + sensor_noise(attributes, size)).clamp(-1.0, 1.0)
    points, landmarks = _frame_points(identities, attributes, frame_size)
    to_picture = window.transpose(1, 2)  # (N, 3, 2)
    points, landmarks = (p @ to_picture[:, :2] + to_picture[:, 2:] for p in (points, landmarks))
    return Rendered(image, mask, depth, points, landmarks, attributes.pose, attributes.expression, attributes.gaze)


def _cell_of_pixel(grid: int, device: torch.device) -> Tensor:
    """Index of the coarse cell of each supersampled pixel, (grid * grid,)."""
    line = torch.arange(grid, device=device) // _CELL
    return (line.unsqueeze(1) * (grid // _CELL) + line).flatten()


def sensor_noise(attributes: Attributes, size: int) -> Tensor:
    """Noise (N, 3, S, S) that depends on the attributes only, so that target and exact swap have the same."""
    # All members of a column have the same seed.
    seeds, place = attributes.noise_seeds.unique(return_inverse=True)
    noise = [torch.randn(3, size, size, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    device = attributes.sensor_noise.device
    return torch.stack(noise).to(device)[place.to(device)] * attributes.sensor_noise.view(-1, 1, 1, 1)


@dataclass(frozen=True)
class _Seen:
    """Surface points (B, P) to be shaded: position, unit normal and unit vector to the camera, all world frame."""

    world: Vector
    normal: Vector
    view: Vector

    def pick(self, index: Tensor) -> _Seen:
        """The points at positions `index` (B, Q) of each row."""
        return _Seen(gather(self.world, index), gather(self.normal, index), gather(self.view, index))


@dataclass(frozen=True)
class _Part:
    """Pictures that are shaded together."""

    scene: Scene
    people: _People
    view: View

    def draw(self, hits: march.Hits, grid: int, supersample: int) -> tuple[Tensor, Tensor, Tensor]:
        """Image (B, 3, S, S) in 0..1, face mask and depth (B, 1, S, S)."""
        attributes, kernels = self.people.attributes, self.scene.kernels
        color = kernels.background(attributes, self.view.picture)
        mask = torch.zeros_like(self.view.picture[..., 0])
        depth = torch.zeros_like(mask)
        met = hits.met
        shaded = self._shade(hits)
        rows = torch.arange(met.shape[0], device=met.device).unsqueeze(1).expand_as(met)[met]
        columns = hits.index[met]
        color[:, rows, columns] = shaded[:, met]
        mask[rows, columns] = (hits.material[met] == SKIN).float()
        depth[rows, columns] = hits.t[met]
        color = kernels.develop(color, attributes, self.view.picture)

        def shrink(values: Tensor) -> Tensor:
            return F.avg_pool2d(values.reshape(values.shape[0], -1, grid, grid), supersample)

        return shrink(color.transpose(0, 1)), shrink(mask.unsqueeze(1)), shrink(depth.unsqueeze(1))

    def _shade(self, hits: march.Hits) -> Tensor:
        """Linear color (3, B, P) of the surfaces; each material is computed only where it is visible."""
        scene, kernels, attributes = self.scene, self.scene.kernels, self.people.attributes
        world = march.along(hits.direction, hits.t)
        reach = 0.8 * self.view.footprint.clamp(min=0.003)
        normal = kernels.normal(*world, scene.to_head, scene.shape, scene.has, reach)
        seen = _Seen(world, normal, negate(hits.direction))
        light = build_light(attributes)
        looks: dict[int, Callable[[_Seen], Tensor]] = {
            SKIN: lambda p: self._shade_face(p, light),
            BODY: lambda p: kernels.light_body(p.world, p.normal, light, skin.skin_tone(self.people.body), attributes),
            HAIR: lambda p: kernels.light_hair(rotate(scene.to_head, *p.world), p.normal, p.view, light, attributes),
            GLASSES: lambda p: light_plain(attributes.color("glasses_color"), p.normal, p.view, light, 0.6),
            OCCLUDER: lambda p: light_plain(attributes.color("occluder_color"), p.normal, p.view, light, 0.08),
        }
        color = torch.zeros(3, *hits.t.shape, device=hits.t.device)
        for material, look in looks.items():
            mine = hits.met & (hits.material == material)
            if bool(mine.any()):
                index, valid = march.compact(mine)
                rows, columns = valid.nonzero(as_tuple=True)
                color[:, rows, index[rows, columns]] = look(seen.pick(index))[:, rows, columns]
        return color

    def _shade_face(self, seen: _Seen, light: Light) -> Tensor:
        """Linear color (3, B, P) of points of the head."""
        scene, kernels, people = self.scene, self.scene.kernels, self.people
        head, normal = rotate(scene.to_head, *seen.world), rotate(scene.to_head, *seen.normal)
        ray = negate(rotate(scene.to_head, *seen.view))
        surface = skin.Surface(*head, normal, ray, 0.6 * self.view.footprint)
        paint = kernels.paint_head(people.identities, people.attributes, scene.shape, surface)
        to_light = (scene.to_head @ light.direction.unsqueeze(-1)).squeeze(-1)
        reach = march.light_reach(scene, head, normal, to_light)
        openness = march.openness(scene, head, normal)
        painted = rotate(scene.rotation, *paint.normal)
        return kernels.light_skin(paint, painted, seen.view, light, reach, openness, people.attributes)
