"""Pictures that faces are cut from and pasted into.

Only the regions of swapped faces are ever converted or written, so the rest of a picture keeps its exact values, and
a large picture costs little more than a small one.
"""

import math

import numpy as np
import torch

from .errors import StyleSwapError
from .faces.alignment import crop_box, matrix_scale, paste, shift_origin, warp
from .images import from_uint8, to_uint8


class Canvas:
    """The target pictures and the result that grows on a copy of them; crops always come from the target."""

    def __init__(self, target: np.ndarray | torch.Tensor) -> None:
        self.is_array = isinstance(target, np.ndarray)
        if self.is_array:
            valid = target.dtype == np.uint8 and target.ndim == 3 and target.shape[2] == 3
        else:
            valid = target.is_floating_point() and target.ndim == 4 and target.shape[1] == 3
        if not valid:
            raise StyleSwapError(
                f"expected a target (H, W, 3) uint8 or (B, 3, H, W) float, got {target.dtype} {tuple(target.shape)}"
            )
        self._target = target
        self._result = target.copy() if self.is_array else target.detach().clone()
        self.count = 1 if self.is_array else target.shape[0]
        self.size = tuple(target.shape[:2] if self.is_array else target.shape[2:])
        self._mask = torch.zeros(self.count, 1, *self.size)

    def pixels(self, picture: int, result: bool = False) -> np.ndarray:
        """(H, W, 3) uint8 of the target, or of the result so far."""
        source = self._result if result else self._target
        return source if self.is_array else to_uint8(source[picture : picture + 1])[0]

    def image(self) -> np.ndarray | torch.Tensor:
        """The result so far, as the target came."""
        return self._result

    def result_mask(self) -> torch.Tensor:
        """(1, H, W) for one uint8 picture, else (B, 1, H, W)."""
        return self._mask[0] if self.is_array else self._mask

    def read_crop(self, picture: int, matrix: torch.Tensor, size: int) -> torch.Tensor:
        """The aligned crop (1, 3, size, size) of the target."""
        # Beyond the crop's own outline, antialiasing and interpolation reach about one crop pixel.
        margin = math.ceil(2.0 / float(matrix_scale(matrix))) + 2
        box = crop_box(matrix, size, self.size, margin)
        region = self._read(self._target, picture, box)
        return warp(region, shift_origin(matrix, box[:, :2]), size)

    def paste(self, picture: int, layer: torch.Tensor, mask: torch.Tensor, matrix: torch.Tensor) -> None:
        """Blend a layer (1, 3, S, S) into the result under a mask (1, 1, S, S)."""
        box = crop_box(matrix, layer.shape[-1], self.size)
        x0, y0, x1, y1 = box[0].tolist()
        region = self._read(self._result, picture, box)
        blended, weight = paste(region, layer.to(region), shift_origin(matrix, box[:, :2]), mask.to(region))
        if self.is_array:
            self._result[y0:y1, x0:x1] = to_uint8(blended)[0]
        else:
            self._result[picture, :, y0:y1, x0:x1] = blended[0].to(self._result.dtype)
        part = self._mask[picture, :, y0:y1, x0:x1]
        torch.maximum(part, weight[0], out=part)

    def _read(self, source: np.ndarray | torch.Tensor, picture: int, box: torch.Tensor) -> torch.Tensor:
        x0, y0, x1, y1 = box[0].tolist()
        if self.is_array:
            return from_uint8(source[y0:y1, x0:x1])
        return source[picture : picture + 1, :, y0:y1, x0:x1].to("cpu", torch.float32)
