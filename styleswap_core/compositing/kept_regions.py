"""Masks of what stays as it is, such as hands or hair in front of a face, in pictures and in frames of a video."""

import torch

from ..errors import StyleSwapError
from ..io.images import repair
from .mask_shaping import resize_mask


class KeptRegions:
    """Masks of the regions of pictures that a swap leaves alone."""

    def __init__(self, masks: torch.Tensor | None, frames: int | None = None) -> None:
        """Take the masks.

        Args:
            masks: (h, w) for all frames, or (N, h, w), 0..1, 1 where the picture stays; scaled to the pictures. None
                keeps nothing.
            frames: Number of frames, if it is known.

        Raises:
            StyleSwapError: Another shape, or neither one mask nor as many as frames.
        """
        self._masks: torch.Tensor | None = None
        if masks is None:
            return
        if masks.ndim not in (2, 3) or 0 in masks.shape:
            raise StyleSwapError(f"expected masks to keep (h, w) or (frames, h, w), got {tuple(masks.shape)}")
        stacked = masks.reshape(-1, 1, *masks.shape[-2:])
        if frames is not None and len(stacked) not in (1, frames):
            raise StyleSwapError(
                f"expected one mask to keep, or one for each of {frames} frames, got {len(stacked)}; connect as many"
                " masks as frames"
            )
        self._masks = stacked

    def of_frame(self, number: int, size: tuple[int, int]) -> torch.Tensor | None:
        """Mask (1, height, width) of a frame of that size; None if nothing is kept.

        Raises:
            StyleSwapError: There are several masks, but none for this frame.
        """
        if self._masks is None:
            return None
        if len(self._masks) == 1:
            number = 0
        if number >= len(self._masks):
            raise StyleSwapError(
                f"expected one mask to keep, or one for each frame, but frame {number} has none; pass as many masks as"
                " frames"
            )
        mask = repair(self._masks[number][None])[0].float().cpu()
        return resize_mask(mask, size)[0]
