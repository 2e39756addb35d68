"""Training scenes for the detector: pictures pasted with random size, rotation and position onto random backgrounds.

Traces of pasting (a rectangle, a soft edge, blur) occur with and without a face, so that the detector cannot rely on
them. Faces have all sizes from a few pixels to more than the frame, and large ones are frequent.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...devices import grid_sample
from ...faces.alignment import invert_affine, matrix_scale, transform_points
from ..random_rows import random_rows
from .anchors import SceneFaces
from .box_geometry import box_sizes, face_boxes, face_ellipses
from .pictures import PictureSet

MAX_FACES = 3

# Semi-axes of oval pastes, in those of the face's ellipse: from just outside the face to well beyond the head.
_OVAL_SMALLEST, _OVAL_LARGEST = 1.15, 1.7
# Random positions that are tried for a face beside others.
_TRIES = 8


@dataclass(frozen=True)
class SceneConfig:
    """Composition of the scenes.

    Attributes:
        face_counts: Shares of scenes with 0, 1, 2 and 3 faces.
        smallest: Smallest face in pixels; below 40 px, which must be found, so that these are no extreme case.
        largest: Largest face, as a share of the canvas.
        large_share: Share of faces with sizes uniform from about half of `largest`; the others are uniform in the
            logarithm of the size.
        rotation: Standard deviation of the rotation in degrees.
        steep_share: Share of faces with a rotation uniform in +-45 degrees.
        texture_share: Share of backgrounds that are an enlarged corner of a picture; the others are noise.
        decoy_share: Share of scenes with a pasted head whose face is wiped out.
        letterbox_share: Share of scenes with a black strip at the right or bottom, as insightface pads pictures.
    """

    face_counts: tuple[float, float, float, float] = (0.1, 0.6, 0.2, 0.1)
    smallest: float = 28.0
    largest: float = 1.1
    large_share: float = 0.35
    rotation: float = 12.0
    steep_share: float = 0.1
    texture_share: float = 0.35
    decoy_share: float = 0.4
    letterbox_share: float = 0.15


@dataclass
class _Paste:
    """M pictures to be pasted into scenes.

    Attributes:
        scenes: Index of the scene (M,), int64.
        pictures: Index of the picture (M,), int64.
        matrix: Similarities (M, 2, 3) from pixels of the full-size picture to pixels of the canvas.
        oval: Whether an oval about the face is pasted (M,), rather than the whole rectangle.
    """

    scenes: Tensor
    pictures: Tensor
    matrix: Tensor
    oval: Tensor


def compose(
    pictures: PictureSet, config: SceneConfig, count: int, size: int, generator: torch.Generator
) -> tuple[Tensor, SceneFaces]:
    """Compose `count` scenes of size x size pixels.

    Returns:
        Images (count, 3, size, size), RGB in 0..255, float32; and their faces in insightface's pixel coordinates.
    """
    canvas = _background(pictures, config, count, size, generator)
    decoys = random_rows(count, config.decoy_share, generator)
    if len(decoys):
        paste = _place(pictures, config, decoys, size, 0.8, generator)
        _paste_into(canvas, pictures, paste, generator, wipe=True)
    face_counts = torch.multinomial(torch.tensor(config.face_counts), count, replacement=True, generator=generator)
    points = torch.zeros(count, MAX_FACES, 5, 2)
    present = torch.zeros(count, MAX_FACES, dtype=torch.bool)
    boxes = torch.zeros(count, MAX_FACES, 4)
    for layer in range(MAX_FACES):
        scenes = torch.nonzero(face_counts > layer)[:, 0]
        if not len(scenes):
            break
        paste = _place(pictures, config, scenes, size, config.largest if layer == 0 else 0.4, generator)
        if layer > 0:
            paste = _avoid(paste, pictures, boxes, present, size, generator)
        if not len(paste.scenes):
            continue
        _paste_into(canvas, pictures, paste, generator)
        pasted = transform_points(paste.matrix, pictures.points[paste.pictures])
        points[paste.scenes, layer] = pasted
        boxes[paste.scenes, layer] = face_boxes(pasted)
        present[paste.scenes, layer] = True
    whole = ((points > 1) & (points < size - 1)).flatten(2).all(2)
    _letterbox(canvas, boxes, present, config, generator)
    faces = SceneFaces(points - 0.5, boxes - 0.5, labeled=present & whole, ignored=present & ~whole)
    # Blending can overshoot by a rounding error.
    return canvas.clamp_(0, 255), faces


def _background(pictures: PictureSet, config: SceneConfig, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Backgrounds (count, 3, size, size): noise of several scales, or the enlarged corner of a picture."""
    # Computed at half size: backgrounds need no finer detail, and noise costs a quarter.
    half = torch.rand(count, 3, 1, 1, generator=generator) * 255
    for cells, strength in ((3, 90.0), (9, 70.0), (33, 60.0)):
        noise = torch.randn(count, 3, cells, cells, generator=generator) * strength
        noise *= torch.rand(count, 1, 1, 1, generator=generator)
        half = half + F.interpolate(noise, size=(size // 2, size // 2), mode="bilinear", align_corners=False)
    canvas = F.interpolate(half.clamp_(0, 255), size=(size, size), mode="bilinear", align_corners=False)
    chosen = random_rows(count, config.texture_share, generator)
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
    """Random pictures at random places; `largest` is the size of the largest face as a share of the canvas."""
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
    # The center of a face keeps a distance from the border at which most of the face is in the frame.
    margin = (0.42 * wanted).clamp(max=0.42 * size)
    center = margin[:, None] + (size - 2 * margin)[:, None] * torch.rand(count, 2, generator=generator)
    oval = torch.rand(count, generator=generator) < 0.4
    return _Paste(scenes, picked, _similarity(points, scale, angle, center), oval)


def _similarity(points: Tensor, scale: Tensor, angle: Tensor, center: Tensor) -> Tensor:
    """Similarities (M, 2, 3) that rotate and scale faces about their centers and move these to `center` (M, 2)."""
    linear = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2) * scale[:, None, None]
    face_center = face_ellipses(points)[0]
    shift = center - (linear @ face_center[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], 2)


def _avoid(
    paste: _Paste, pictures: PictureSet, boxes: Tensor, present: Tensor, size: int, generator: torch.Generator
) -> _Paste:
    """Move pastes, as ovals, to places where they cover no earlier face; pastes without such a place are dropped."""
    ellipses = face_ellipses(transform_points(paste.matrix, pictures.points[paste.pictures]))
    reach = ellipses[1].amax(1) * _OVAL_LARGEST  # (M,)
    margin = (reach * 0.6).clamp(max=size / 2)
    spots = torch.rand(len(reach), _TRIES, 2, generator=generator)
    spots = margin[:, None, None] + (size - 2 * margin)[:, None, None] * spots
    taken = boxes[paste.scenes][:, None]  # (M, 1, F, 4)
    low = torch.maximum(spots[:, :, None] - reach[:, None, None, None], taken[..., :2])
    high = torch.minimum(spots[:, :, None] + reach[:, None, None, None], taken[..., 2:])
    covered = ((high - low).clamp(min=0).prod(-1) * present[paste.scenes][:, None]).sum(-1)  # (M, tries)
    least, which = covered.min(1)
    free = least <= 0
    move = spots[torch.arange(len(reach)), which] - ellipses[0]
    matrix = torch.cat([paste.matrix[:, :, :2], paste.matrix[:, :, 2:] + move[..., None]], 2)
    return _Paste(paste.scenes[free], paste.pictures[free], matrix[free], torch.ones_like(paste.oval[free]))


def _paste_into(
    canvas: Tensor, pictures: PictureSet, paste: _Paste, generator: torch.Generator, wipe: bool = False
) -> None:
    """Blend pictures into the canvas, in place; `wipe` removes their faces first."""
    size = canvas.shape[-1]
    scale = matrix_scale(paste.matrix)
    x, y = _picture_coordinates(paste.matrix, size)
    alpha = _edges(x, y, pictures, paste, scale, generator)
    center, axes, direction = face_ellipses(pictures.points[paste.pictures])
    grid = torch.stack([x, y], -1).mul_(2 / pictures.size).sub_(1)
    # Reduced pastes are sampled from smaller copies of their pictures.
    level = torch.log2(1 / scale.clamp(min=1e-3)).round().clamp(0, len(pictures.levels) - 1).long()
    for index, images in enumerate(pictures.levels):
        chosen = torch.nonzero(level == index)[:, 0]
        if not len(chosen):
            continue
        picked = images[paste.pictures[chosen]].float()
        if wipe:
            shrink = pictures.size / images.shape[-1]
            picked = _wiped(picked, center[chosen] / shrink, axes[chosen] / shrink, direction[chosen])
        pasted = grid_sample(picked, grid[chosen], padding_mode="border")
        scenes = paste.scenes[chosen]
        canvas[scenes] = torch.lerp(canvas[scenes], pasted, alpha[chosen])


def _picture_coordinates(matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Positions x and y (M, S, S) of the canvas pixels' centers, in pixels of the full-size picture."""
    inverse = invert_affine(matrix)[..., None, None]  # (M, 2, 3, 1, 1)
    axis = torch.arange(size) + 0.5
    x, y = axis[None, None], axis[None, :, None]
    # Small terms are added first, since each sum over the whole canvas is a pass over memory.
    return (
        inverse[:, 0, 0] * x + (inverse[:, 0, 1] * y + inverse[:, 0, 2]),
        inverse[:, 1, 0] * x + (inverse[:, 1, 1] * y + inverse[:, 1, 2]),
    )


def _edges(
    x: Tensor, y: Tensor, pictures: PictureSet, paste: _Paste, scale: Tensor, generator: torch.Generator
) -> Tensor:
    """Opacity (M, 1, S, S) of the pastes in 0..1, from rectangles with hard edges to ovals with soft ones."""
    count = len(paste.scenes)
    half = pictures.size / 2
    # The ramp at the border of the picture is 1 px to a tenth of the picture wide, on the canvas.
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
    """Distance (M, H, W) of pixels at x, y (M, H, W) from the center: 0 there, 1 on the ellipse."""
    x, y = x - center[:, 0, None, None], y - center[:, 1, None, None]
    cosine, sine = direction[:, 0, None, None], direction[:, 1, None, None]
    along = (x * cosine + y * sine) / axes[:, 0, None, None]
    across = (y * cosine - x * sine) / axes[:, 1, None, None]
    return torch.hypot(along, across)


def _wiped(images: Tensor, center: Tensor, axes: Tensor, direction: Tensor) -> Tensor:
    """Replace faces by the picture averaged over 6 x 6 cells: skin and hair without features."""
    size = images.shape[-1]
    smooth = F.interpolate(F.adaptive_avg_pool2d(images, 6), size=(size, size), mode="bilinear", align_corners=False)
    identity = torch.eye(2, 3).expand(len(images), 2, 3)
    radius = _ellipse_radius(*_picture_coordinates(identity, size), center, axes, direction)
    return torch.lerp(images, smooth, ((1.15 - radius) * 6).clamp(0, 1)[:, None])


def _letterbox(canvas: Tensor, boxes: Tensor, present: Tensor, config: SceneConfig, generator: torch.Generator) -> None:
    """Blacken a strip at the right or bottom of some scenes, beyond all faces, in place."""
    size = canvas.shape[-1]
    for scene in random_rows(len(canvas), config.letterbox_share, generator).tolist():
        right = bool(torch.rand(1, generator=generator) < 0.5)
        ends = boxes[scene, :, 2 if right else 3] * present[scene]
        first = max(float(ends.max()) + 2, size * 0.4)
        start = int(first + (size - first) * float(torch.rand(1, generator=generator)))
        if right:
            canvas[scene, :, :, start:] = 0
        else:
            canvas[scene, :, start:] = 0
