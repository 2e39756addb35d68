"""Blending of swapped faces over the frames of a video, like the node Blend With Mask for pictures."""

import torch

from ..compositing.composite import BlendOptions, blend_with_mask, changed_box
from ..compositing.video_picture import VideoPicture, VideoPixels


def blend_frame(
    picture: VideoPicture, mask: torch.Tensor, options: BlendOptions, keep: torch.Tensor | None = None
) -> torch.Tensor:
    """Blend the faces of a swapped frame over the frame, in place; other samples keep their values.

    Args:
        picture: The frame, with the swapped frame as its result.
        mask: (H, W), 0..1: the fraction of each pixel that was replaced.
        options: How to blend.
        keep: (1, H, W), 0..1: 1 where the frame stays as it is.

    Returns:
        The mask (H, W) with which it was blended.
    """
    region = changed_box(mask[None, None], options)
    if region is None:
        return mask
    _, _, rows, columns = region
    box = (columns.start, rows.start, min(columns.stop, mask.shape[1]), min(rows.stop, mask.shape[0]))
    before, result = VideoPixels(picture), VideoPixels(picture.of_result())
    target = before.region(box)[None].clamp(-1.0, 1.0)
    blended, used = blend_with_mask(
        target,
        result.region(box)[None],
        mask[None, None][region],
        options,
        None if keep is None else keep[None][region],
    )
    for swapped, original in zip(picture.result, picture.planes, strict=True):
        swapped[:] = original
    changed = (blended != target).any(1).float()
    result.blend(box, blended[0], changed)
    whole = torch.zeros_like(mask)
    whole[rows, columns] = used[0, 0]
    return whole
