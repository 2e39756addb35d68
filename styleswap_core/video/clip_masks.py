"""Masks of the frames of a video: of what stays as it is, or of the faces that are swapped."""

import hashlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ..compositing.frame_masks import KEPT, FrameMasks
from ..errors import StyleSwapError
from ..io.files import file_state
from .clip_mask_files import MaskVideo, read_mask_file

Masks = torch.Tensor | np.ndarray | str | Path | Iterable[torch.Tensor | np.ndarray]
"""One mask (h, w) for all frames, or one for each frame: (N, h, w), or an iterable of (h, w), which is consumed in
order while the frames are swapped. Values are 0..1; masks are scaled to the frames. Or a file, in which white is 1: a
picture for all frames, or a video with one mask for each frame of the source."""


class ClipMasks:
    """Masks of the frames of a video, which can be read from any frame on.

    Attributes:
        purpose: What they are for, see `frame_masks`.
    """

    def __init__(self, masks: Masks | None, start: float = 0.0, purpose: str = KEPT) -> None:
        """Take the masks; None masks nothing.

        Args:
            masks: The masks.
            start: Seconds of a file with one mask for each frame that are skipped.
            purpose: KEPT or CHOSEN, for messages.

        Raises:
            StyleSwapError: A tensor or an array of another shape, or a file that cannot be read.
        """
        self.purpose = purpose
        self._masks: torch.Tensor | None = None
        self._video: MaskVideo | None = None
        self._following: Iterator[torch.Tensor] | None = None
        self._next = 0
        if isinstance(masks, str | Path):
            found = read_mask_file(Path(masks), start)
            self._masks, self._video = (found, None) if isinstance(found, torch.Tensor) else (None, found)
        elif isinstance(masks, torch.Tensor | np.ndarray):
            self._masks = torch.as_tensor(masks)
            FrameMasks(self._masks, purpose=purpose)
        elif masks is not None:
            self._following = map(torch.as_tensor, masks)

    @property
    def repeatable(self) -> bool:
        """Whether the masks can be read several times, and by several processes."""
        return self._following is None

    @property
    def is_constant(self) -> bool:
        """Whether all frames have the same mask, or none."""
        if self._video is not None or self._following is not None:
            return False
        return self._masks is None or self._masks.ndim == 2 or len(self._masks) == 1

    def prepare(self) -> None:
        """Do what would otherwise be done for each segment."""
        if self._video is not None:
            self._video.index()

    def from_frame(self, first: int) -> torch.Tensor | Iterator[torch.Tensor] | None:
        """The masks from a frame on, as `Swapper.swap_frames` takes them.

        Args:
            first: Number of the frame, not before those that were read already from an iterable.

        Raises:
            StyleSwapError: There are several masks, but none for this frame.
        """
        if self._video is not None:
            return self._video.from_frame(first)
        if self._following is not None:
            return self._counted(first)
        if self._masks is None or self.is_constant:
            return self._masks
        if first >= len(self._masks):
            raise StyleSwapError(
                f"expected one mask {self.purpose}, or one for each frame, but frame {first} has none; pass as many"
                " masks as frames"
            )
        return self._masks[first:]

    def at(self, time: Fraction) -> torch.Tensor | None:
        """The mask (h, w) of the frame at a time in seconds, for masks from a file; None if there are none."""
        return self._masks if self._video is None else self._video.at(time)

    @property
    def fingerprint(self) -> str:
        """Text that tells masks apart; an iterable cannot be told from others."""
        if self._video is not None:
            return file_state(self._video.path)
        if self._following is not None:
            return "one for each frame"
        if self._masks is None:
            return "none"
        values = self._masks.contiguous().cpu().numpy()
        return f"{values.shape} {hashlib.sha256(values.tobytes()).hexdigest()}"

    def _counted(self, first: int) -> Iterator[torch.Tensor]:
        assert self._following is not None
        for mask in islice(self._following, first - self._next, None):
            first += 1
            self._next = first
            yield mask
