"""Frames of video files as pictures: planes of code values, of which only the regions of faces are converted.

Everything else keeps its exact samples, at any bit depth and chroma subsampling.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from .axis_sampling import Axis, enlarge, reduce
from .pixel_access import Box, Pixels
from .plane_color import PlaneColor


@dataclass(frozen=True)
class PlaneGrid:
    """Where a plane's samples lie in the picture."""

    x: Axis
    y: Axis


@dataclass(frozen=True, eq=False)
class VideoPicture:
    """A decoded frame, with the memory that receives the swapped frame.

    The picture that it shows is upright and has square pixels; the planes are views that may be rotated, mirrored or
    coarser than the picture.

    Attributes:
        planes: (h, w) uint8 or uint16 each: Y, Cb, Cr, or R, G, B, or luma alone; not written to.
        result: The same form and initially the same values.
        color: Meaning of the code values.
        grids: One per plane.
        view: Converts the target to (H, W, 3) uint8 RGB, faster than `VideoPixels` can; None if there is no such way.
    """

    planes: tuple[np.ndarray, ...]
    result: tuple[np.ndarray, ...]
    color: PlaneColor
    grids: tuple[PlaneGrid, ...]
    view: Callable[[], np.ndarray] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return self.grids[0].y.pixels, self.grids[0].x.pixels

    def of_result(self) -> "VideoPicture":
        """The result as a picture."""
        return replace(self, planes=self.result, view=None)


class VideoPixels(Pixels[VideoPicture]):
    """`VideoPicture`; what is read and written are its `planes`."""

    @property
    def size(self) -> tuple[int, int]:
        """See `Pixels`."""
        return self.values.size

    def copy(self) -> "VideoPixels":
        """See `Pixels`."""
        planes = tuple(plane.copy() for plane in self.values.planes)
        return VideoPixels(replace(self.values, planes=planes, result=planes))

    def region(self, box: Box, device: torch.device | str = "cpu") -> torch.Tensor:
        """See `Pixels`; (3, h, w) float32, -1..1, converted on `device`."""
        x0, y0, x1, y1 = box
        channels = []
        for plane, grid in zip(self.values.planes, self.values.grids, strict=True):
            left, right = grid.x.samples_read(x0, x1)
            top, bottom = grid.y.samples_read(y0, y1)
            samples = _floats(plane[top:bottom, left:right], device)
            channels.append(enlarge(enlarge(samples, 1, grid.x, x0, x1), 0, grid.y, y0, y1))
        return self.values.color.to_rgb(torch.stack(channels))

    @staticmethod
    def floats(regions: Sequence[torch.Tensor]) -> torch.Tensor:
        """See `Pixels`."""
        return torch.stack(list(regions))

    def blend(self, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        """See `Pixels`; a chroma sample keeps its value where the weights of all its pixels are 0."""
        x0, y0, x1, y1 = box
        codes = self.values.color.from_rgb(color)
        for plane, grid, code in zip(self.values.planes, self.values.grids, codes, strict=True):
            left, right = grid.x.samples_written(x0, x1)
            top, bottom = grid.y.samples_written(y0, y1)
            weighted = torch.stack([weight[0], weight[0] * code])
            share, change = reduce(reduce(weighted, 2, grid.x, x0, x1), 1, grid.y, y0, y1)
            part = plane[top:bottom, left:right]
            before = _floats(part, color.device)
            # Exactly the sample itself where the share is 0.
            blended = before - share * before + change
            part[:] = _codes(blended.round_().clamp_(0, self.values.color.top), plane.dtype)

    def uint8(self) -> np.ndarray:
        """See `Pixels`."""
        if self.values.view is not None:
            return self.values.view()
        height, width = self.size
        rgb = self.region((0, 0, width, height))
        return rgb.add_(1.0).mul_(127.5).round_().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()

    def gray(self) -> np.ndarray:
        """See `Pixels`; from one plane alone."""
        # Green stands for the luma of RGB.
        plane = self.values.planes[1 if self.values.color.model == "rgb" else 0]
        grid = self.values.grids[0]
        bits = self.values.color.bits
        gray = (plane >> (bits - 8)).astype(np.uint8, order="C")
        if grid.x.is_identity and grid.y.is_identity:
            return gray
        import cv2

        return cv2.resize(gray, (grid.x.pixels, grid.y.pixels), interpolation=cv2.INTER_LINEAR)


def _floats(samples: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """Samples as float32 on a device, to which they travel as integers."""
    # Copied by NumPy, since torch accepts neither negative strides nor read-only memory.
    if torch.device(device).type == "cpu":
        return torch.from_numpy(samples.astype(np.float32, order="C"))
    # torch computes little with uint16, so that it travels as int16, whose negative values are the upper half.
    signed = samples.astype(samples.dtype, order="C").view(np.int16 if samples.dtype == np.uint16 else samples.dtype)
    floats = torch.from_numpy(signed).to(device).float()
    return floats if samples.dtype == np.uint8 else torch.where(floats < 0, floats + 2.0**16, floats)


def _codes(values: torch.Tensor, dtype: np.dtype) -> np.ndarray:
    """Whole numbers within the range of a type of samples, as this type; the inverse of `_floats`."""
    if values.device.type == "cpu":
        return values.numpy().astype(dtype)
    if dtype == np.uint8:
        return values.to(torch.uint8).cpu().numpy()
    return torch.where(values < 2.0**15, values, values - 2.0**16).to(torch.int16).cpu().numpy().view(dtype)
