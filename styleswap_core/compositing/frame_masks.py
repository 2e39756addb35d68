"""Masks of pictures and of the frames of a video, such as of what stays as it is, or of the faces that are swapped."""

from collections.abc import Iterable, Iterator

import torch

from ..errors import StyleSwapError
from ..io.images import repair
from .mask_shaping import resize_mask

KEPT, CHOSEN = "to keep", "of faces"
"""What masks are for: regions that a swap leaves alone, or the faces that are swapped."""

Masks = torch.Tensor | Iterable[torch.Tensor] | None
"""What `FrameMasks` takes."""


class FrameMasks:
    """One mask for all frames, or one for each."""

    def __init__(self, masks: Masks, frames: int | None = None, purpose: str = KEPT) -> None:
        """Take the masks.

        Args:
            masks: (h, w) for all frames, or (N, h, w), 0..1; scaled to the pictures. An iterable has one (h, w) for
                each frame and is consumed in their order. None masks nothing.
            frames: Number of frames, if it is known.
            purpose: KEPT or CHOSEN, for messages.

        Raises:
            StyleSwapError: Another shape, or neither one mask nor as many as frames.
        """
        self._purpose = purpose
        self._masks: torch.Tensor | None = None
        self._following: Iterator[torch.Tensor] | None = None
        if masks is None:
            return
        if not isinstance(masks, torch.Tensor):
            self._following = iter(masks)
            return
        if masks.ndim not in (2, 3) or 0 in masks.shape:
            raise StyleSwapError(f"expected masks {purpose} (h, w) or (frames, h, w), got {tuple(masks.shape)}")
        stacked = masks.reshape(-1, 1, *masks.shape[-2:])
        if frames is not None and len(stacked) not in (1, frames):
            raise StyleSwapError(
                f"expected one mask {purpose}, or one for each of {frames} frames, got {len(stacked)}; connect as many"
                " masks as frames"
            )
        self._masks = stacked

    def of_frame(self, number: int, size: tuple[int, int]) -> torch.Tensor | None:
        """Mask (1, height, width) of a frame of that size; None if there are no masks.

        Raises:
            StyleSwapError: There are several masks, but none for this frame, or one of another shape.
        """
        mask = self._next() if self._masks is None else self._row(number)
        if mask is None:
            return None
        return resize_mask(repair(mask.reshape(1, 1, *mask.shape[-2:]))[0].float().cpu(), size)[0]

    def _next(self) -> torch.Tensor | None:
        """The mask that follows in an iterable."""
        if self._following is None:
            return None
        mask = next(self._following, None)
        if mask is None:
            raise StyleSwapError(
                f"expected one mask {self._purpose} for each frame, but there are fewer masks than frames; pass as many"
                " masks as frames"
            )
        if mask.ndim != 2 or 0 in mask.shape:
            raise StyleSwapError(f"expected masks {self._purpose} (h, w), got {tuple(mask.shape)}")
        return mask

    def _row(self, number: int) -> torch.Tensor:
        assert self._masks is not None
        if len(self._masks) == 1:
            number = 0
        if number >= len(self._masks):
            raise StyleSwapError(
                f"expected one mask {self._purpose}, or one for each frame, but frame {number} has none; pass as many"
                " masks as frames"
            )
        return self._masks[number]
