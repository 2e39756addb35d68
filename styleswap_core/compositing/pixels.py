"""Pixels of one picture in their original form: regions are read and written, and the rest is never converted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.images import bhwc_to_bchw, from_uint8, to_uint8
from .pixel_access import Box, Pixels
from .video_picture import VideoPicture, VideoPixels


@dataclass(frozen=True, eq=False)
class NodeFrame:
    """A frame in the layout of node graphs, with the memory that receives the swapped frame.

    Attributes:
        pixels: (H, W, 3) float32, 0..1, on the CPU; not written to.
        result: The same form and initially the same values; may be a view of a larger tensor.
    """

    pixels: torch.Tensor
    result: torch.Tensor


Picture = np.ndarray | torch.Tensor | NodeFrame | VideoPicture
"""(H, W, 3) uint8 RGB, (3, H, W) float -1..1, a node's frame, or a frame of a video file."""

AnyPixels = Pixels[np.ndarray] | Pixels[torch.Tensor] | Pixels[VideoPicture]


class Uint8Pixels(Pixels[np.ndarray]):
    """(H, W, 3) uint8."""

    @property
    def size(self) -> tuple[int, int]:
        """See `Pixels`."""
        height, width = self.values.shape[:2]
        return height, width

    def copy(self) -> "Uint8Pixels":
        """See `Pixels`."""
        return Uint8Pixels(self.values.copy())

    def region(self, box: Box, device: torch.device | str = "cpu") -> torch.Tensor:
        """See `Pixels`."""
        x0, y0, x1, y1 = box
        # A copy, since torch accepts neither read-only memory nor negative strides, as in `bgr[..., ::-1]`.
        return torch.from_numpy(self.values[y0:y1, x0:x1].copy()).to(device)

    @staticmethod
    def floats(regions: Sequence[torch.Tensor]) -> torch.Tensor:
        """See `Pixels`."""
        return from_uint8(torch.stack(list(regions)))

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`."""
        x0, y0, x1, y1 = box
        before = self.floats([self.region(box, color.device)])
        self.values[y0:y1, x0:x1] = to_uint8(torch.lerp(before, color, weight))[0]

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        return self.values


class CorePixels(Pixels[torch.Tensor]):
    """(3, H, W) float, -1..1."""

    @property
    def size(self) -> tuple[int, int]:
        """See `Pixels`."""
        height, width = self.values.shape[1:]
        return height, width

    def copy(self) -> "CorePixels":
        """See `Pixels`."""
        return CorePixels(self.values.clone())

    def region(self, box: Box, device: torch.device | str = "cpu") -> torch.Tensor:
        """See `Pixels`."""
        return self._part(box).to(device)

    @staticmethod
    def floats(regions: Sequence[torch.Tensor]) -> torch.Tensor:
        """See `Pixels`."""
        return torch.stack(list(regions)).to(torch.float32)

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`."""
        before = self.floats([self.region(box, color.device)])[0]
        part = self._part(box)
        part[:] = torch.lerp(before, color, weight).to(part)

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        return to_uint8(self.values[None])[0]

    def _part(self, box: Box) -> torch.Tensor:
        x0, y0, x1, y1 = box
        return self.values[:, y0:y1, x0:x1]


class NodePixels(Pixels[torch.Tensor]):
    """(H, W, 3) float32, 0..1, on the CPU."""

    @property
    def size(self) -> tuple[int, int]:
        """See `Pixels`."""
        height, width = self.values.shape[:2]
        return height, width

    def copy(self) -> "NodePixels":
        """See `Pixels`."""
        return NodePixels(self.values.clone())

    def region(self, box: Box, device: torch.device | str = "cpu") -> torch.Tensor:
        """See `Pixels`."""
        return self._part(box).to(device)

    @staticmethod
    def floats(regions: Sequence[torch.Tensor]) -> torch.Tensor:
        """See `Pixels`."""
        return bhwc_to_bchw(torch.stack(list(regions)))

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`."""
        part = self._part(box)
        # On the CPU the part itself, which is then changed in place.
        blended = part.to(color.device)
        color = color.add(1.0).mul_(0.5).clamp_(0.0, 1.0)
        torch.lerp(blended, color.permute(1, 2, 0), weight.permute(1, 2, 0), out=blended)
        if blended is not part:
            part.copy_(blended)

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        # One pass over the frame; several take as long as detecting its faces. Imported here because ComfyUI does not
        # install OpenCV; whatever asks for uint8 pixels needs it anyway.
        import cv2

        return cv2.convertScaleAbs(np.ascontiguousarray(self.values.numpy()), alpha=255.0)

    def _part(self, box: Box) -> torch.Tensor:
        x0, y0, x1, y1 = box
        return self.values[y0:y1, x0:x1]


def pixels_of(picture: Picture) -> AnyPixels:
    """The pixels of a picture, of a node's frame those of the target.

    Raises:
        StyleSwapError: Not a picture.
    """
    if isinstance(picture, NodeFrame):
        return NodePixels(picture.pixels)
    if isinstance(picture, VideoPicture):
        return VideoPixels(picture)
    if isinstance(picture, np.ndarray):
        if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            return Uint8Pixels(picture)
    elif picture.is_floating_point() and picture.ndim == 3 and picture.shape[0] == 3:
        return CorePixels(picture.detach())
    raise StyleSwapError(
        f"expected a target (H, W, 3) uint8 or (3, H, W) float, got {picture.dtype} {tuple(picture.shape)}"
    )


def result_pixels(picture: Picture) -> AnyPixels:
    """The pixels that receive the swapped picture: the `result` of a frame that has one, otherwise a copy.

    Raises:
        StyleSwapError: Not a picture.
    """
    if isinstance(picture, NodeFrame):
        return NodePixels(picture.result)
    return VideoPixels(picture.of_result()) if isinstance(picture, VideoPicture) else pixels_of(picture).copy()
