"""Scenes for the detector: pictures pasted at any size, turn and place onto backgrounds of any kind.

What makes a paste visible (its rectangle, its soft edge, its blur) comes with and without a face, so that only the
face itself tells. All sizes from a few px to beyond the frame occur, and large ones often.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...faces.alignment import invert_affine, matrix_scale, transform_points
from .anchors import Faces
from .box_geometry import box_sizes, face_boxes, face_ellipses
from .pictures import PictureSet

MAX_FACES = 3


@dataclass(frozen=True)
class SceneConfig:
    """Shares are of scenes, 0..1."""

    # Scenes with 0, 1, 2, 3 faces.
    face_counts: tuple[float, float, float, float] = (0.1, 0.6, 0.2, 0.1)
    smallest: float = 28.0  # px; below what must be found, so that the smallest required size is no border case
    largest: float = 1.1  # of the canvas
    large_share: float = 0.35  # faces drawn evenly from half the canvas upward; the rest: evenly in log size
    rotation: float = 12.0  # degrees, standard deviation
    steep_share: float = 0.1  # faces turned evenly within +-45 degrees
    texture_share: float = 0.35  # backgrounds out of a picture's corner, enlarged; the rest: noise
    decoy_share: float = 0.4  # scenes with a pasted head whose face is wiped out
    letterbox_share: float = 0.15  # scenes with a black strip at the right or bottom, as insightface pads


@dataclass
class _Paste:
    """Pictures to be laid into some scenes: canvas <- picture similarities."""

    scenes: Tensor  # (M,) int64
    pictures: Tensor  # (M,) int64
    matrix: Tensor  # (M, 2, 3) full-size picture px -> canvas px, continuous
    oval: Tensor  # (M,) bool: an oval about the face instead of the whole rectangle


def compose(
    pictures: PictureSet, config: SceneConfig, count: int, size: int, generator: torch.Generator
) -> tuple[Tensor, Faces]:
    """Compose `count` scenes of size x size px.

    Returns:
        images (count, 3, size, size) float32 RGB 0..255, and their faces, in insightface's pixel coordinates.
    """
    canvas = _background(pictures, config, count, size, generator)
    decoys = torch.nonzero(torch.rand(count, generator=generator) < config.decoy_share)[:, 0]
    if len(decoys):
        paste = _place(pictures, config, decoys, size, 0.8, generator)
        _lay(canvas, pictures, paste, generator, wipe=True)
    faces = torch.multinomial(torch.tensor(config.face_counts), count, replacement=True, generator=generator)
    points = torch.zeros(count, MAX_FACES, 5, 2)
    present = torch.zeros(count, MAX_FACES, dtype=torch.bool)
    boxes = torch.zeros(count, MAX_FACES, 4)
    for layer in range(MAX_FACES):
        scenes = torch.nonzero(faces > layer)[:, 0]
        if not len(scenes):
            break
        paste = _place(pictures, config, scenes, size, config.largest if layer == 0 else 0.4, generator)
        if layer > 0:
            paste = _avoid(paste, pictures, boxes, present, size, generator)
        if not len(paste.scenes):
            continue
        _lay(canvas, pictures, paste, generator)
        here = transform_points(paste.matrix, pictures.points[paste.pictures])
        points[paste.scenes, layer] = here
        boxes[paste.scenes, layer] = face_boxes(here)
        present[paste.scenes, layer] = True
    whole = ((points > 1) & (points < size - 1)).flatten(2).all(2)
    _letterbox(canvas, boxes, present, config, generator)
    # Blending can overshoot by a rounding error.
    return canvas.clamp_(0, 255), Faces(points - 0.5, boxes - 0.5, labeled=present & whole, ignored=present & ~whole)


def _background(pictures: PictureSet, config: SceneConfig, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Noise of several grains, or the enlarged corner of a picture, where no face is."""
    # At half size first: backgrounds need no pixel-fine detail, and the coarse grains cost a quarter.
    half = torch.rand(count, 3, 1, 1, generator=generator) * 255
    for cells, strength in ((3, 90.0), (9, 70.0), (33, 60.0)):
        noise = torch.randn(count, 3, cells, cells, generator=generator) * strength
        noise *= torch.rand(count, 1, 1, 1, generator=generator)
        half = half + F.interpolate(noise, size=(size // 2, size // 2), mode="bilinear", align_corners=False)
    canvas = F.interpolate(half.clamp_(0, 255), size=(size, size), mode="bilinear", align_corners=False)
    chosen = torch.nonzero(torch.rand(count, generator=generator) < config.texture_share)[:, 0]
    if len(chosen):
        side = pictures.size // 5
        picked = pictures.levels[0][torch.randint(len(pictures), (len(chosen),), generator=generator)]
        corner = int(torch.randint(4, (1,), generator=generator))
        picked = picked[:, :, -side:] if corner & 1 else picked[:, :, :side]
        picked = picked[..., -side:] if corner & 2 else picked[..., :side]
        canvas[chosen] = F.interpolate(picked.float(), size=(size, size), mode="bilinear", align_corners=False)
    return canvas


def _place(
    pictures: PictureSet, config: SceneConfig, scenes: Tensor, size: int, largest: float, generator: torch.Generator
) -> _Paste:
    """Draw pictures and where their faces go; `largest` is the largest face size as a share of the canvas."""
    count = len(scenes)
    picked = torch.randint(len(pictures), (count,), generator=generator)
    points = pictures.points[picked]
    top = largest * size
    low, high = math.log(min(config.smallest, 0.5 * top)), math.log(top)
    wanted = (low + (high - low) * torch.rand(count, generator=generator)).exp()
    large = torch.rand(count, generator=generator) < config.large_share
    wanted = torch.where(large, (0.45 + 0.55 * torch.rand(count, generator=generator)) * top, wanted)
    scale = wanted / box_sizes(face_boxes(points))
    angle = torch.randn(count, generator=generator) * config.rotation
    steep = torch.rand(count, generator=generator) < config.steep_share
    angle = torch.where(steep, (torch.rand(count, generator=generator) * 2 - 1) * 45, angle) * math.pi / 180
    # The face's center stays so far from the border that most of the face is in the frame.
    margin = (0.42 * wanted).clamp(max=0.42 * size)
    center = margin[:, None] + (size - 2 * margin)[:, None] * torch.rand(count, 2, generator=generator)
    oval = torch.rand(count, generator=generator) < 0.4
    return _Paste(scenes, picked, _similarity(points, scale, angle, center), oval)


def _similarity(points: Tensor, scale: Tensor, angle: Tensor, center: Tensor) -> Tensor:
    """(M, 2, 3) that turn and scale about the centers of faces with these points and move those to `center`."""
    linear = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2) * scale[:, None, None]
    face_center = face_ellipses(points)[0]
    shift = center - (linear @ face_center[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], 2)


def _avoid(
    paste: _Paste, pictures: PictureSet, boxes: Tensor, present: Tensor, size: int, generator: torch.Generator
) -> _Paste:
    """Move pastes, as ovals, to where they cover no earlier face; drop those that find no such place."""
    ellipses = face_ellipses(transform_points(paste.matrix, pictures.points[paste.pictures]))
    reach = ellipses[1].amax(1) * _OVAL_LARGEST  # (M,)
    tries = 8
    margin = (reach * 0.6).clamp(max=size / 2)
    spots = margin[:, None, None] + (size - 2 * margin)[:, None, None] * torch.rand(
        len(reach), tries, 2, generator=generator
    )
    taken = boxes[paste.scenes][:, None]  # (M, 1, F, 4)
    low = torch.maximum(spots[:, :, None] - reach[:, None, None, None], taken[..., :2])
    high = torch.minimum(spots[:, :, None] + reach[:, None, None, None], taken[..., 2:])
    covered = ((high - low).clamp(min=0).prod(-1) * present[paste.scenes][:, None]).sum(-1)  # (M, tries)
    least, which = covered.min(1)
    free = least <= 0
    move = spots[torch.arange(len(reach)), which] - ellipses[0]
    matrix = torch.cat([paste.matrix[:, :, :2], paste.matrix[:, :, 2:] + move[..., None]], 2)
    return _Paste(paste.scenes[free], paste.pictures[free], matrix[free], torch.ones_like(paste.oval[free]))


# An oval reaches from just outside the face box (its proportions times this) to well beyond the head.
_OVAL_SMALLEST, _OVAL_LARGEST = 1.15, 1.7


def _lay(canvas: Tensor, pictures: PictureSet, paste: _Paste, generator: torch.Generator, wipe: bool = False) -> None:
    """Blend the pasted pictures into the canvas; with `wipe`, their faces are smoothed away first."""
    size = canvas.shape[-1]
    scale = matrix_scale(paste.matrix)
    x, y = _picture_coordinates(paste.matrix, size)
    alpha = _edges(x, y, pictures, paste, scale, generator)
    center, axes, direction = face_ellipses(pictures.points[paste.pictures])
    grid = torch.stack([x, y], -1).mul_(2 / pictures.size).sub_(1)
    # Shrunken pastes read the smaller copies of their pictures.
    level = torch.log2(1 / scale.clamp(min=1e-3)).round().clamp(0, len(pictures.levels) - 1).long()
    for index, images in enumerate(pictures.levels):
        chosen = torch.nonzero(level == index)[:, 0]
        if not len(chosen):
            continue
        picked = images[paste.pictures[chosen]].float()
        if wipe:
            shrink = pictures.size / images.shape[-1]
            picked = _wiped(picked, center[chosen] / shrink, axes[chosen] / shrink, direction[chosen])
        pasted = F.grid_sample(picked, grid[chosen], padding_mode="border", align_corners=False)
        scenes = paste.scenes[chosen]
        canvas[scenes] = torch.lerp(canvas[scenes], pasted, alpha[chosen])


def _picture_coordinates(matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """X and y (M, S, S) in full-size picture px of every canvas pixel's center."""
    inverse = invert_affine(matrix)[..., None, None]  # (M, 2, 3, 1, 1)
    axis = torch.arange(size) + 0.5
    x, y = axis[None, None], axis[None, :, None]
    # The small terms are joined first: each sum over the canvas is a pass over memory.
    return (
        inverse[:, 0, 0] * x + (inverse[:, 0, 1] * y + inverse[:, 0, 2]),
        inverse[:, 1, 0] * x + (inverse[:, 1, 1] * y + inverse[:, 1, 2]),
    )


def _edges(
    x: Tensor, y: Tensor, pictures: PictureSet, paste: _Paste, scale: Tensor, generator: torch.Generator
) -> Tensor:
    """(M, 1, S, S) 0..1: how much of the paste shows at each canvas pixel, from hard rectangles to soft ovals."""
    count = len(paste.scenes)
    half = pictures.size / 2
    # Distance to the picture's border in canvas px, over a ramp of 1 px to a tenth of the picture.
    softness = torch.rand(count, generator=generator).pow(3) * 0.1 * pictures.size * scale + 1
    steepness = (scale / softness)[:, None, None]
    inside = half - torch.maximum((x - half).abs_(), (y - half).abs_())
    alpha = inside.mul_(steepness).clamp_(0, 1)
    ovals = torch.nonzero(paste.oval)[:, 0]
    if len(ovals):
        reach = _OVAL_SMALLEST + (_OVAL_LARGEST - _OVAL_SMALLEST) * torch.rand(len(ovals), generator=generator)
        center, axes, direction = face_ellipses(pictures.points[paste.pictures[ovals]])
        radius = _ellipse_radius(x[ovals], y[ovals], center, axes * reach[:, None], direction)
        steepness = 4 + 30 * torch.rand(len(ovals), 1, 1, generator=generator)
        alpha[ovals] *= (1 - radius).mul_(steepness).clamp_(0, 1)
    return alpha[:, None]


def _ellipse_radius(x: Tensor, y: Tensor, center: Tensor, axes: Tensor, direction: Tensor) -> Tensor:
    """0 at the center, 1 on the ellipse, at pixels x, y (M, H, W) -> (M, H, W)."""
    x, y = x - center[:, 0, None, None], y - center[:, 1, None, None]
    cosine, sine = direction[:, 0, None, None], direction[:, 1, None, None]
    along = (x * cosine + y * sine) / axes[:, 0, None, None]
    across = (y * cosine - x * sine) / axes[:, 1, None, None]
    return torch.hypot(along, across)


def _wiped(images: Tensor, center: Tensor, axes: Tensor, direction: Tensor) -> Tensor:
    """Replace faces by what is left of them at six cells a side: skin and hair without features."""
    size = images.shape[-1]
    smooth = F.interpolate(F.adaptive_avg_pool2d(images, 6), size=(size, size), mode="bilinear", align_corners=False)
    identity = torch.eye(2, 3).expand(len(images), 2, 3)
    radius = _ellipse_radius(*_picture_coordinates(identity, size), center, axes, direction)
    return torch.lerp(images, smooth, ((1.15 - radius) * 6).clamp(0, 1)[:, None])


def _letterbox(canvas: Tensor, boxes: Tensor, present: Tensor, config: SceneConfig, generator: torch.Generator) -> None:
    """Blacken a strip at the right or bottom of some scenes, beyond all faces."""
    size = canvas.shape[-1]
    chosen = torch.nonzero(torch.rand(len(canvas), generator=generator) < config.letterbox_share)[:, 0]
    for scene in chosen.tolist():
        across = bool(torch.rand(1, generator=generator) < 0.5)
        ends = boxes[scene, :, 2 if across else 3] * present[scene]
        first = max(float(ends.max()) + 2, size * 0.4)
        start = int(first + (size - first) * float(torch.rand(1, generator=generator)))
        if start < size:
            canvas[scene, :, :, start:] *= 0.0 if across else 1.0
            canvas[scene, :, start:] *= 1.0 if across else 0.0
