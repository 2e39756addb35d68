"""Masks of what stays as it is in the frames of a video."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch

from ..compositing.kept_regions import KeptRegions
from ..errors import StyleSwapError

Masks = torch.Tensor | np.ndarray | Iterable[torch.Tensor | np.ndarray]
"""One mask (h, w) for all frames, or one for each frame: (N, h, w), or an iterable of (h, w), which is consumed in
order while the frames are swapped. Values are 0..1, 1 where a frame stays as it is; masks are scaled to the frames."""


class KeptMasks:
    """Masks of the frames of a video, which can be read from any frame on."""

    def __init__(self, masks: Masks | None) -> None:
        """Take the masks; None keeps nothing.

        Raises:
            StyleSwapError: A tensor or an array of another shape.
        """
        self._masks: torch.Tensor | None = None
        self._following: Iterator[torch.Tensor] | None = None
        self._next = 0
        if isinstance(masks, torch.Tensor | np.ndarray):
            self._masks = torch.as_tensor(masks)
            KeptRegions(self._masks)
        elif masks is not None:
            self._following = map(torch.as_tensor, masks)

    def from_frame(self, first: int) -> torch.Tensor | Iterator[torch.Tensor] | None:
        """The masks from a frame on, as `Swapper.swap_frames` takes them.

        Args:
            first: Number of the frame, not before those that were read already from an iterable.

        Raises:
            StyleSwapError: There are several masks, but none for this frame.
        """
        if self._following is not None:
            return self._counted(first)
        if self._masks is None or self._masks.ndim == 2 or len(self._masks) == 1:
            return self._masks
        if first >= len(self._masks):
            raise StyleSwapError(
                f"expected one mask to keep, or one for each frame, but frame {first} has none; pass as many masks as"
                " frames"
            )
        return self._masks[first:]

    @property
    def fingerprint(self) -> str:
        """Text that tells masks apart; an iterable cannot be told from others."""
        if self._following is not None:
            return "one for each frame"
        if self._masks is None:
            return "none"
        return hashlib.sha256(self._masks.contiguous().cpu().numpy().tobytes()).hexdigest()

    def _counted(self, first: int) -> Iterator[torch.Tensor]:
        assert self._following is not None
        for mask in islice(self._following, first - self._next, None):
            first += 1
            self._next = first
            yield mask
