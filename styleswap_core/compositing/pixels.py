"""The pixels of one picture in the form in which it came: regions are read and written, the rest is never converted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.images import bhwc_to_bchw, from_uint8, to_uint8

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive."""


@dataclass(frozen=True, eq=False)
class NodeFrame:
    """A frame as graph user interfaces have them, and the place of the swapped one.

    Attributes:
        pixels: (H, W, 3) float32 0..1 on the CPU; not written to.
        result: likewise, of the same values at first; may be part of a larger tensor.
    """

    pixels: torch.Tensor
    result: torch.Tensor


Picture = np.ndarray | torch.Tensor | NodeFrame
"""(H, W, 3) uint8 RGB, (3, H, W) float -1..1, or a node's frame."""


class Pixels(ABC):
    """One picture's pixels.

    Attributes:
        values: as they came.
    """

    def __init__(self, values: np.ndarray | torch.Tensor) -> None:
        self.values = values

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return tuple(self.values.shape[:2])

    def region(self, box: Box) -> np.ndarray | torch.Tensor:
        """A view of the pixels in a box."""
        x0, y0, x1, y1 = box
        return self.values[y0:y1, x0:x1]

    @staticmethod
    @abstractmethod
    def floats(regions: Sequence, device: torch.device | str) -> torch.Tensor:
        """Regions of one size as (N, 3, h, w) float32 -1..1 on `device`."""

    @abstractmethod
    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """Mix color (3, h, w) -1..1 into a box by weight (1, h, w) 0..1; where that is 0, values stay to the last bit."""

    @abstractmethod
    def uint8(self) -> np.ndarray:
        """(H, W, 3) uint8; the very picture where it is that already."""


class Uint8Pixels(Pixels):
    """(H, W, 3) uint8."""

    @staticmethod
    def floats(regions: Sequence[np.ndarray], device: torch.device | str) -> torch.Tensor:
        """See `Pixels`; bytes travel to the device before they become floats."""
        return from_uint8(torch.from_numpy(np.stack(regions)).to(device))

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`."""
        region = self.region(box)
        region[:] = to_uint8(torch.lerp(self.floats([region], "cpu"), color, weight))[0]

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        return self.values


class CorePixels(Pixels):
    """(3, H, W) float -1..1."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return tuple(self.values.shape[1:])

    def region(self, box: Box) -> torch.Tensor:
        """See `Pixels`."""
        x0, y0, x1, y1 = box
        return self.values[:, y0:y1, x0:x1]

    @staticmethod
    def floats(regions: Sequence[torch.Tensor], device: torch.device | str) -> torch.Tensor:
        """See `Pixels`."""
        return torch.stack(list(regions)).to(device, torch.float32)

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`."""
        region = self.region(box)
        region[:] = torch.lerp(self.floats([region], "cpu")[0], color, weight).to(region)

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        return to_uint8(self.values[None])[0]


class NodePixels(Pixels):
    """(H, W, 3) float32 0..1 on the CPU."""

    @staticmethod
    def floats(regions: Sequence[torch.Tensor], device: torch.device | str) -> torch.Tensor:
        """See `Pixels`."""
        return bhwc_to_bchw(torch.stack(list(regions)).to(device))

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`."""
        region = self.region(box)
        color = color.add(1.0).mul_(0.5).clamp_(0.0, 1.0)
        torch.lerp(region, color.permute(1, 2, 0), weight.permute(1, 2, 0), out=region)

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        # In a single pass; several would take as long as finding the faces. ComfyUI does not bring cv2, face analyses do.
        import cv2

        return cv2.convertScaleAbs(np.ascontiguousarray(self.values.numpy()), alpha=255.0)


def pixels_of(picture: Picture) -> Pixels:
    """The pixels of a picture, the target's of a node's frame; StyleSwapError for what is no picture."""
    if isinstance(picture, NodeFrame):
        return NodePixels(picture.pixels)
    if isinstance(picture, np.ndarray):
        if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            return Uint8Pixels(picture)
    elif picture.is_floating_point() and picture.ndim == 3 and picture.shape[0] == 3:
        return CorePixels(picture.detach())
    raise unfit(picture)


def result_pixels(picture: Picture) -> Pixels:
    """Where the swapped picture grows: the place that a node's frame names, for others a copy."""
    if isinstance(picture, NodeFrame):
        return NodePixels(picture.result)
    pixels = pixels_of(picture)
    return type(pixels)(pixels.values.copy() if isinstance(picture, np.ndarray) else pixels.values.clone())


def unfit(target: np.ndarray | torch.Tensor) -> StyleSwapError:
    """The error for what is no picture."""
    return StyleSwapError(
        f"expected a target (H, W, 3) uint8 or (B, 3, H, W) float, got {target.dtype} {tuple(target.shape)}"
    )
