"""The face world's renderer: identities x attributes -> picture and exact ground truth.

The exact swap of a target (person i under attributes a) by a source person j is the render of j under a with the
target's body: `render(j, a, window=w, body=i)`. Outside the two visible faces it equals the target exactly, because
nothing there depends on the identity.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError
from . import lighting, march, skin, textures
from .camera import View, head_rotation, project, turn, view_pixels
from .exact_landmarks import head_points
from .geometry import build_shape
from .kernels import BODY, EAGER, GLASSES, HAIR, OCCLUDER, SKIN, Kernels
from .march import Scene
from .parameters import Attributes, Identities

_CELL = 4  # supersampled pixels per side of a coarse cell


@dataclass
class Rendered:
    """A batch of pictures (N, S x S) with ground truth.

    image: (N, 3, S, S) RGB in -1..1; face_mask: (N, 1, S, S) 0..1, visible skin and features of the head (ears too),
    without hair, glasses and occluder; depth: (N, 1, S, S), distance from the camera in head units, 0 where nothing is;
    points: (N, 5, 2), landmarks: (N, 68, 2), pixels of this picture, first pixel's center at 0.5;
    pose: (N, 3) yaw, pitch, roll in degrees; expression: (N, 6) as `EXPRESSION_NAMES`; gaze: (N, 2) degrees.
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
    """(N, 5, 2) left eye, right eye, nose tip, mouth corners in a size x size full-frame picture, without rendering."""
    return _frame_points(identities, attributes, size)[0]


def _frame_points(identities: Identities, attributes: Attributes, size: int) -> tuple[Tensor, Tensor]:
    five, dense = head_points(build_shape(identities, attributes))
    turned = head_rotation(attributes).transpose(1, 2)
    return project(five @ turned, attributes, size), project(dense @ turned, attributes, size)


def _check(
    identities: Identities, attributes: Attributes, size: int, window: Tensor | None, body: Identities | None
) -> None:
    count = len(identities)
    if len(attributes) != count or (body is not None and len(body) != count):
        raise StyleSwapError(
            f"render needs as many attributes and bodies as identities: {count} identities, "
            f"{len(attributes)} attributes, {count if body is None else len(body)} bodies"
        )
    if size < 16 or size % 2:
        raise StyleSwapError(f"render needs an even size of at least 16 pixels, got {size}")
    if window is not None and window.shape != (count, 2, 3):
        raise StyleSwapError(f"window must be ({count}, 2, 3), picture to crop pixels, got {tuple(window.shape)}")


@torch.no_grad()
def render(
    identities: Identities,
    attributes: Attributes,
    size: int = 256,
    window: Tensor | None = None,
    body: Identities | None = None,
    supersample: int = 2,
    frame_size: int | None = None,
    chunk: int = 8,
    kernels: Kernels = EAGER,
) -> Rendered:
    """Renders N pictures of size x size.

    window: (N, 2, 3), maps coordinates of the full-frame frame_size x frame_size picture to crop pixels; default: the
    full frame itself (frame_size defaults to `size`). body: whose skin the neck shows, default the identities.
    kernels: how the inner functions run; `kernels.fused()` is for bulk work.
    Deterministic: the same seeds, sizes and library versions give the same pixels, whatever the chunk. Runs on the
    device of the parameters.
    """
    _check(identities, attributes, size, window, body)
    textures.prepare(identities.values.device)
    frame_size = frame_size or size
    body = identities if body is None else body
    if window is None:
        window = torch.eye(2, 3, device=identities.values.device) * (size / frame_size)
        window = window.expand(len(identities), 2, 3)
    parts = []
    for start in range(0, len(identities), chunk):
        rows = slice(start, start + chunk)
        parts.append(
            _render_chunk(
                identities[rows],
                attributes[rows],
                body[rows],
                window[rows].to(identities.values.device),
                size,
                supersample,
                frame_size,
                kernels,
            )
        )
    return Rendered(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Rendered)))


def _render_chunk(
    ids: Identities,
    a: Attributes,
    body: Identities,
    window: Tensor,
    size: int,
    supersample: int,
    frame_size: int,
    kernels: Kernels,
) -> Rendered:
    scene = Scene(build_shape(ids, a), head_rotation(a), kernels)
    grid = size * supersample
    cells = view_pixels(a, window, frame_size, size, grid // _CELL)
    start, promising = march.march_coarse(scene, cells.direction, 0.75 * cells.footprint)
    fine = view_pixels(a, window, frame_size, size, grid)
    spread = _spread_cells(grid, ids.values.device)
    at_once = len(ids) if ids.values.is_cuda else kernels.at_once
    parts, hits = [], []
    for row in range(0, len(ids), at_once):
        rows = slice(row, row + at_once)
        view = View(tuple(v[rows] for v in fine.direction), fine.picture[rows], fine.footprint[rows])
        parts.append((scene.rows(rows), ids[rows], a[rows], body[rows], view))
        hits.append(
            march.march_fine(
                scene.rows(rows), view.direction, promising[rows][:, spread], start[rows][:, spread], view.footprint
            )
        )
    march.finish_stragglers(scene, hits, fine.footprint)
    layers = [_draw(*part, hit, grid, supersample) for part, hit in zip(parts, hits, strict=False)]
    image, mask, depth = (torch.cat(parts) for parts in zip(*layers, strict=False))
    image = (image * 2.0 - 1.0 + sensor_noise(a, size)).clamp(-1.0, 1.0)
    points, dense = _frame_points(ids, a, frame_size)
    to_crop = window.transpose(1, 2)  # (N, 3, 2)
    points, dense = (p @ to_crop[:, :2] + to_crop[:, 2:] for p in (points, dense))
    return Rendered(image, mask, depth, points, dense, a.pose, a.expression, a.gaze)


def _spread_cells(grid: int, device: torch.device) -> Tensor:
    """Index of the coarse cell of each fine pixel, (grid * grid,)."""
    line = torch.arange(grid, device=device) // _CELL
    return (line.unsqueeze(1) * (grid // _CELL) + line).flatten()


def sensor_noise(a: Attributes, size: int) -> Tensor:
    """Noise of the attribute seed alone, so that target and exact swap carry the same; (N, 3, S, S)."""
    noise = [torch.randn(3, size, size, generator=torch.Generator().manual_seed(int(seed))) for seed in a.noise_seeds]
    return torch.stack(noise).to(a.sensor_noise.device) * a.sensor_noise.view(-1, 1, 1, 1)


def _draw(scene: Scene, ids, a, body, view: View, hits: march.Hits, grid: int, supersample: int):
    """Image (B, 3, S, S) 0..1, face mask and depth (B, 1, S, S) of one part of a chunk."""
    color = scene.kernels.background(a, view.picture)
    mask = torch.zeros_like(view.picture[..., 0])
    depth = torch.zeros_like(mask)
    met = hits.valid & (hits.t < march.FAR)
    shaded = _shade(scene, ids, a, body, view, hits)
    rows = torch.arange(met.shape[0], device=met.device).unsqueeze(1).expand_as(met)[met]
    columns = hits.index[met]
    color[:, rows, columns] = shaded[:, met]
    mask[rows, columns] = (hits.material[met] == SKIN).float()
    depth[rows, columns] = hits.t[met]
    color = scene.kernels.develop(color, a, view.picture)
    shrink = (color.transpose(0, 1), mask.unsqueeze(1), depth.unsqueeze(1))
    return tuple(
        F.avg_pool2d(v.reshape(v.shape[0], -1, grid, grid), supersample) for v in shrink
    )  # (B, C, g*g) -> S x S


@dataclass(frozen=True)
class _Seen:
    """Surface points to be shaded, each entry (B, P) or three of them; `toward` leads from the surface to the camera."""

    world: tuple[Tensor, Tensor, Tensor]
    normal: tuple[Tensor, Tensor, Tensor]
    toward: tuple[Tensor, Tensor, Tensor]

    def pick(self, index: Tensor) -> _Seen:
        """The points at index (B, Q) of each row."""
        return _Seen(*(tuple(v.gather(1, index) for v in getattr(self, f.name)) for f in fields(self)))


def _shade(scene: Scene, ids, a, body, view: View, hits: march.Hits) -> Tensor:
    """Linear color (3, B, P) of what the rays meet; each material is computed where it is seen alone."""
    world = march.along(hits.direction, hits.t)
    normal = scene.kernels.normal(*world, scene.to_head, scene.shape, scene.has, 0.8 * view.footprint.clamp(min=0.003))
    seen = _Seen(world, normal, tuple(-v for v in hits.direction))
    light = lighting.build_light(a)

    def plain(name: str, shine: float):
        return lambda p: lighting.light_plain(a.fields[name].t().unsqueeze(-1), p.normal, p.toward, light, shine)

    looks = {
        SKIN: lambda p: _shade_face(scene, ids, a, view, p, light),
        BODY: lambda p: scene.kernels.light_body(p.world, p.normal, light, skin.skin_tone(body), a, scene.shape),
        HAIR: lambda p: scene.kernels.light_hair(turn(scene.to_head, *p.world), p.normal, p.toward, light, a),
        GLASSES: plain("glasses_color", 0.6),
        OCCLUDER: plain("occluder_color", 0.08),
    }
    color = torch.zeros(3, *hits.t.shape, device=hits.t.device)
    for material, look in looks.items():
        mine = hits.valid & (hits.t < march.FAR) & (hits.material == material)
        if bool(mine.any()):
            index, valid = march.compact(mine)
            rows, columns = valid.nonzero(as_tuple=True)
            color[:, rows, index[rows, columns]] = look(seen.pick(index))[:, rows, columns]
    return color


def _shade_face(scene: Scene, ids, a, view: View, seen: _Seen, light) -> Tensor:
    """Linear color (3, B, P) of points of the head."""
    head, head_normal = turn(scene.to_head, *seen.world), turn(scene.to_head, *seen.normal)
    ray = tuple(-v for v in turn(scene.to_head, *seen.toward))
    surface = skin.Surface(*head, head_normal, ray, 0.6 * view.footprint)
    paint = scene.kernels.paint_head(ids, a, scene.shape, surface)
    to_light = (scene.to_head @ light.direction.unsqueeze(-1)).squeeze(-1)
    reach = march.light_reach(scene, head, head_normal, to_light)
    sky = march.openness(scene, head, head_normal)
    shown = turn(scene.rotation, *paint.normal)
    return scene.kernels.light_skin(paint, shown, seen.toward, light, reach, sky, a)
