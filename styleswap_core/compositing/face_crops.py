"""Aligned crops of given faces, and what became of them: which parts were changed, and whether their order is kept."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from PIL.Image import Resampling

from ..errors import StyleSwapError
from ..faces.alignment import warp
from ..io.images import bhwc_to_bchw, from_uint8, over_white, repair, to_uint8
from .canvas import Canvas
from .mask_shaping import feather_mask, grow_mask
from .pixel_access import Box
from .pixels import NodeFrame
from .placed_faces import PlacedFace, PlacedFaces

# Differences of a crop from what was cut, in -1..1: up to the first it counts as unchanged, from the second as changed.
# Programs that pass crops on as 8 bits round or truncate them, before and after they scale.
_UNCHANGED, _CHANGED = 4 / 127.5, 8 / 127.5
# Largest side of the map of changed parts, and width of its transitions as a fraction of the crop's side.
_MAP, _SPREAD = 256, 1 / 32
# How programs scale crops, and side of the part by which the method is told.
_SCALING: tuple[Resampling | str, ...] = (
    Resampling.NEAREST,
    Resampling.BOX,
    Resampling.BILINEAR,
    Resampling.BICUBIC,
    Resampling.LANCZOS,
    "bilinear",
    "bicubic",
)
_CENTER = 256
# Side of the thumbnails by which crops are told apart, and their mean differences in -1..1: a crop that is farther from
# its own face than the first and closer to another than the second is at the wrong place.
_THUMBNAIL, _STRANGE, _KNOWN = 12, 0.25, 0.04


Pictures = torch.Tensor | Sequence[torch.Tensor]
"""Crops or masks of crops: a batch, or a list of its rows, which may have several sizes."""


def cut_crops(frame: torch.Tensor, faces: Sequence[PlacedFace], size: int | None = None) -> torch.Tensor:
    """Aligned crops of one frame.

    Args:
        frame: (H, W, 3) float32, 0..1, on the CPU.
        faces: At least one face; all have one size.
        size: Side of the crops in pixels; by default that of the faces.

    Returns:
        (N, 3, S, S) float32, -1..1.
    """
    side = faces[0].size if size is None else size
    matrices = torch.stack([face.matrix * (side / face.size) for face in faces])
    return Canvas([NodeFrame(frame, frame)]).read_crops([0] * len(faces), matrices, side)


def changed_parts(crop: torch.Tensor, cut: torch.Tensor) -> torch.Tensor:
    """Where a crop visibly differs from what was cut, with a soft edge around it; merely scaled it does not.

    Args:
        crop: (1, 3, s, s), -1..1.
        cut: (1, 3, S, S), -1..1.

    Returns:
        (1, 1, n, n), 0..1, for an n of at most s and 256.
    """
    difference = (crop - _as_scaled(crop, cut)).abs().amax(1, keepdim=True)
    changed = ((difference - _UNCHANGED) / (_CHANGED - _UNCHANGED)).clamp(0.0, 1.0)
    changed = F.max_pool2d(changed, -(-changed.shape[-1] // _MAP), ceil_mode=True)
    spread = max(1, round(changed.shape[-1] * _SPREAD))
    # Grown first, so that the soft edge lies outside of what was changed.
    return feather_mask(grow_mask(changed, 2 * spread), spread)


def over_cut(crop: torch.Tensor, cut: torch.Tensor) -> torch.Tensor:
    """A crop over what was cut, which shows where the crop is transparent, as after the removal of a background.

    Args:
        crop: (1, s, s, 3 or 4) float32, 0..1.
        cut: (1, 3, S, S), -1..1.

    Returns:
        (1, 3, s, s), -1..1.
    """
    color = bhwc_to_bchw(crop[..., :3])
    if crop.shape[3] == 3:
        return color
    return torch.lerp(_as_scaled(color, cut), color, crop[..., 3:].permute(0, 3, 1, 2))


def _as_scaled(crop: torch.Tensor, cut: torch.Tensor) -> torch.Tensor:
    """What was cut at the size of a crop, by the method that explains most of the crop's center."""
    side = crop.shape[-1]
    if cut.shape[-1] == side:
        return cut
    start = max(0, (side - _CENTER) // 2)
    window = (start, start, min(start + _CENTER, side), min(start + _CENTER, side))
    center = crop[..., start : window[3], start : window[2]]

    def unexplained(method: Resampling | str) -> float:
        # Limited, so that a part that was changed does not outweigh the others.
        return float((center - _scaled(cut, side, method, window)).abs().clamp(max=_CHANGED).sum())

    return _scaled(cut, side, min(_SCALING, key=unexplained), (0, 0, side, side))


def _scaled(cut: torch.Tensor, side: int, method: Resampling | str, window: Box) -> torch.Tensor:
    """A crop (1, 3, S, S), -1..1, scaled to a side, of which only a window is made.

    Args:
        cut: The crop.
        side: Side of the whole scaled crop.
        method: A filter of Pillow, or a mode of `warp` without antialiasing, as torch and OpenCV scale.
        window: x0, y0, x1, y1 in the scaled crop.
    """
    ratio = cut.shape[-1] / side
    x0, y0, x1, y1 = window
    if isinstance(method, str):
        matrix = torch.tensor([[[1 / ratio, 0.0, -x0], [0.0, 1 / ratio, -y0]]])
        return warp(cut, matrix, (y1 - y0, x1 - x0), antialias=False, padding="border", mode=method).clamp(-1.0, 1.0)
    picture = Image.fromarray(to_uint8(cut)[0])
    box = (x0 * ratio, y0 * ratio, x1 * ratio, y1 * ratio)
    return from_uint8(np.array(picture.resize((x1 - x0, y1 - y0), method, box=box)))


def check_order(frames: torch.Tensor, crops: Pictures, placed: PlacedFaces) -> None:
    """Check that no crop plainly shows another of the faces than the one at its place.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1.
        crops: (N, S, S, 3 or 4) float, 0..1, one for each face; those of several sizes as a list.
        placed: The faces.

    Raises:
        StyleSwapError: Crops in another order.
    """
    if len(placed.faces) < 2:
        return
    own = torch.zeros(len(crops), 3, _THUMBNAIL, _THUMBNAIL)
    for number in range(len(placed.marks)):
        if faces := placed.of_frame(number):
            frame = over_white(repair(frames[number : number + 1])[0][0])
            rows = [row for row, _ in faces]
            # One by one: the faces of a swap may have crops of several sizes.
            own[rows] = torch.cat([cut_crops(frame, [face], _THUMBNAIL) for _, face in faces])
    given = torch.cat([_resized(one_crop(crops, row), _THUMBNAIL) for row in range(len(crops))])
    # Mean differences of the crop in each row from the face in each column.
    apart = torch.cdist(given.flatten(1), own.flatten(1), p=1.0) / own[0].numel()
    for row in (apart.diagonal() > _STRANGE).nonzero().flatten().tolist():
        nearest = int(apart[row].argmin())
        if apart[row, nearest] < _KNOWN:
            raise StyleSwapError(
                f"crop {row} shows face {nearest}, not face {row}; pass the crops in the order in which they were cut"
            )


def one_crop(crops: Pictures, row: int) -> torch.Tensor:
    """A crop out of (N, S, S, 3 or 4), 0..1, as (1, 3, S, S) float32, -1..1, on the CPU."""
    return bhwc_to_bchw(repair(crops[row][None])[0])


def row_shapes(pictures: Pictures) -> list[tuple[int, ...]]:
    """Shapes of the rows: that of all rows of a batch, or one for each of a list."""
    if isinstance(pictures, torch.Tensor):
        return [tuple(pictures.shape[1:])]
    return [tuple(one.shape) for one in pictures]


def _resized(crop: torch.Tensor, side: int) -> torch.Tensor:
    if crop.shape[-1] == side:
        return crop
    return F.interpolate(crop, (side, side), mode="bicubic", align_corners=False, antialias=True).clamp(-1.0, 1.0)
