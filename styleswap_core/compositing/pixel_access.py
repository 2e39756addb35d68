"""Interface to the pixels of a picture: regions are read and written, and the rest is never converted."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import torch

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive."""


Values = TypeVar("Values")


class Pixels(ABC, Generic[Values]):
    """Access to the pixels of one picture.

    Attributes:
        values: The picture in its original form.
    """

    def __init__(self, values: Values) -> None:
        self.values: Values = values

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(height, width)."""

    @abstractmethod
    def copy(self) -> "Pixels[Values]":
        """A picture of the same values in separate memory."""

    @abstractmethod
    def region(self, box: Box, device: torch.device | str = "cpu") -> torch.Tensor:
        """The pixels in a box as `floats` takes them, on `device`, to which they travel in their original form."""

    @staticmethod
    @abstractmethod
    def floats(regions: Sequence[torch.Tensor]) -> torch.Tensor:
        """Regions of one size as (N, 3, h, w) float32, -1..1, on their device."""

    @abstractmethod
    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """Blend into a box, in place: on the device of the color, from which only finished pixels travel back.

        Args:
            box: The region.
            color: (3, h, w) float32, -1..1, on any device.
            weight: (1, h, w), 0..1, on the same device; where it is 0, pixels keep their exact values.
        """

    def gray(self) -> np.ndarray:
        """(H, W) uint8: about the luma; not a view of the picture."""
        # Imported here because ComfyUI does not install OpenCV; whatever asks for uint8 pixels needs it anyway.
        import cv2

        return cv2.cvtColor(self.uint8(), cv2.COLOR_RGB2GRAY)

    @abstractmethod
    def uint8(self) -> np.ndarray:
        """(H, W, 3) uint8; `values` itself if it has that form."""
