"""Changed crops pasted back into the frames that they were cut from, blended like a swapped picture.

Frames are in ComfyUI's layout; memory beyond the results does not grow with their number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import StyleSwapError
from ..faces.alignment import crop_box, invert_affine, matrix_scale, shift_origin, warp
from ..io.images import bchw_to_bhwc, bhwc_to_bchw, over_white, repair
from .canvas import border_fade
from .composite import BlendOptions, blend_layer, blend_margin, check_method
from .face_crops import Pictures, changed_parts, check_order, cut_crops, over_cut, row_shapes
from .frame_masks import FrameMasks
from .mask_shaping import feather_mask, grow_mask, resize_mask
from .placed_faces import PlacedFace, PlacedFaces

LEAST_SIDE = 8
"""Least side in pixels of a crop that is pasted."""


def paste_faces(
    frames: torch.Tensor,
    crops: Pictures,
    placed: PlacedFaces,
    options: BlendOptions | None = None,
    *,
    masks: Pictures | None = None,
    keep: torch.Tensor | None = None,
    on_frame: Callable[[int], None] = lambda frame: None,
    device: torch.device | str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste changed crops into their frames, the last on top; colors are matched for each face by itself.

    A crop fades out toward its border. Where it still is what was cut, the frame keeps its exact values, so that faces
    keep their detail wherever they were not changed.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1: those in which the faces were found, or their swap. Not modified.
        crops: (N, S, S, 3 or 4) float, 0..1: one for each face, in order, of any size; a single one if there are none.
            Crops of several sizes are a list of (S, S, 3 or 4).
            Where they are transparent, frames keep their values.
        placed: The faces.
        options: How to blend, by default `BlendOptions()`; lengths are in pixels of the frames.
        masks: (N or 1, h, w), 0..1, in the crops: what is pasted; by default all of it. Masks of several sizes are a
            list of (h, w).
        keep: (B or 1, h, w), 0..1, in the frames: where it is 1, they stay as they are.
        on_frame: Called with each frame's number before it is changed; an exception ends the run.
        device: Device of the result; by default that of `frames`.

    Returns:
        Frames (B, H, W, C) and the share of each pixel that was replaced (B, H, W), float32.

    Raises:
        StyleSwapError: Frames that are not those of the faces, or crops or masks that do not fit the faces.
    """
    options = BlendOptions() if options is None else options
    check_method(options)
    placed.check_batch(frames)
    _check_crops(crops, masks, placed)
    kept = FrameMasks(keep, len(frames))
    check_order(frames, crops, placed)
    images = torch.empty(frames.shape, dtype=torch.float32, device=device or frames.device)
    shares = torch.zeros(frames.shape[:3], dtype=torch.float32, device=images.device)
    for number in range(len(frames)):
        on_frame(number)
        frame = repair(frames[number : number + 1])[0]
        images[number] = frame[0].to(images.device)
        faces = placed.of_frame(number)
        if not faces:
            continue
        placed.check_frame(number, frame[0])
        canvas = _FrameCanvas.of(frame, kept.of_frame(number, placed.frame_size), options)
        for row, face in faces:
            crop = repair(crops[row][None])[0]
            canvas.paste(face, crop, None if masks is None else _mask_of(masks, row))
        images[number, ..., :3] = canvas.colors(frame).to(images.device)
        shares[number] = canvas.share[0, 0].to(images.device)
    return images, shares


@dataclass(eq=False)
class _FrameCanvas:
    """A frame that crops are pasted into.

    Attributes:
        seen: (H, W, 3), 0..1: the frame as crops are cut from it.
        target: (1, 3, H, W), -1..1: its colors.
        picture: The same with the crops so far.
        share: (1, 1, H, W): the share of each pixel that was replaced.
        kept: (1, 1, H, W): where it stays as it is, or None.
        options: How to blend.
    """

    seen: torch.Tensor
    target: torch.Tensor
    picture: torch.Tensor
    share: torch.Tensor
    kept: torch.Tensor | None
    options: BlendOptions

    @classmethod
    def of(cls, frame: torch.Tensor, kept: torch.Tensor | None, options: BlendOptions) -> "_FrameCanvas":
        """Canvas of a frame (1, H, W, 3 or 4), 0..1, with what stays of it (1, H, W)."""
        target = bhwc_to_bchw(frame[..., :3])
        share = torch.zeros_like(target[:, :1])
        return cls(over_white(frame[0]), target, target.clone(), share, None if kept is None else kept[None], options)

    def paste(self, face: PlacedFace, crop: torch.Tensor, mask: torch.Tensor | None) -> None:
        """Blend a crop (1, S, S, 3 or 4), 0..1, over its face, within a mask (1, 1, h, w)."""
        cut = cut_crops(self.seen, [face])
        crop, side = over_cut(crop, cut), crop.shape[1]
        changed = changed_parts(crop, cut)
        limit = border_fade(side) * resize_mask(changed, side)
        if not bool(limit.any()):
            return
        matrix = face.matrix[None] * (side / face.size)
        margin = blend_margin(self.options) + round(1.0 / float(matrix_scale(matrix))) + 1
        x0, y0, x1, y1 = crop_box(matrix, side, (self.target.shape[2], self.target.shape[3]), margin)[0].tolist()
        extent, to_box = (y1 - y0, x1 - x0), invert_affine(shift_origin(matrix, torch.tensor([[x0, y0]])))
        wanted = torch.ones_like(limit) if mask is None else resize_mask(mask, side)
        wanted = warp(wanted, to_box, extent, padding="zeros")
        wanted = feather_mask(grow_mask(wanted, self.options.grow), self.options.feather)
        weight = (wanted * warp(limit, to_box, extent, padding="zeros")).clamp(0.0, 1.0)
        box = (slice(None), slice(None), slice(y0, y1), slice(x0, x1))
        color = warp(crop, to_box, extent, padding="border", mode="bicubic").clamp(-1.0, 1.0)
        # Beyond the crop there is nothing new; multi-band and seamless blending look there, too.
        color = torch.lerp(self.target[box], color, warp(torch.ones_like(limit), to_box, extent, padding="zeros"))
        self.picture[box], used = blend_layer(
            self.picture[box],
            self.target[box],
            color,
            weight,
            None if self.kept is None else self.kept[box],
            self.options,
        )
        self.share[box] = torch.maximum(self.share[box], used)

    def colors(self, frame: torch.Tensor) -> torch.Tensor:
        """Result (H, W, 3), 0..1, with the exact values of the frame (1, H, W, 3 or 4) where it was not changed."""
        same = (self.picture == self.target).all(1)[0, ..., None]
        return torch.where(same, frame[0, ..., :3], bchw_to_bhwc(self.picture)[0])


def _mask_of(masks: Pictures, row: int) -> torch.Tensor:
    """Mask (1, 1, h, w) of a crop; a single one serves all."""
    return repair(masks[min(row, len(masks) - 1)][None])[0][None]


def _check_crops(crops: Pictures, masks: Pictures | None, placed: PlacedFaces) -> None:
    faces = len(placed.faces)
    for shape in row_shapes(crops):
        if len(shape) != 3 or shape[2] not in (3, 4):
            raise StyleSwapError(f"expected crops (N, S, S, 3 or 4), got {_described(crops, shape)}; connect an image")
    # Nodes stand in for no crops with a single one, since many cannot take an empty batch.
    if len(crops) != faces and (faces or len(crops) > 1):
        raise StyleSwapError(
            f"expected {faces} crops, one for each face, got {len(crops)}; pass the crops of all faces, in the order in"
            " which they were cut"
        )
    for height, width, _ in row_shapes(crops):
        if height != width or height < LEAST_SIDE:
            raise StyleSwapError(
                f"expected square crops of at least {LEAST_SIDE} px, got {width} x {height}; scale crops without"
                " cutting them"
            )
    if masks is None:
        return
    for shape in row_shapes(masks):
        if len(shape) != 2 or 0 in shape:
            raise StyleSwapError(
                f"expected masks of the crops (N, h, w), got {_described(masks, shape)}; connect a mask"
            )
    if len(masks) not in (1, max(faces, 1)):
        raise StyleSwapError(
            f"expected one mask, or one for each of {faces} crops, got {len(masks)}; pass the masks that were cut with"
            " the crops"
        )


def _described(pictures: Pictures, row: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a batch, or of a row of a list, for messages."""
    return tuple(pictures.shape) if isinstance(pictures, torch.Tensor) else row
