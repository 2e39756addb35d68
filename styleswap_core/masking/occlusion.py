"""Masks of what is visible of a face, from an occlusion network, given by the user as an ONNX file."""

from pathlib import Path

import numpy as np

from ..errors import StyleSwapError
from .mask_network import MaskNetwork, resized_mask

_DEFAULT_SIDE = 256
_KIND = "an occlusion network"


class OcclusionNetwork:
    """Occlusion network such as XSeg: (1, h, w, 3) BGR, 0..1 -> first output (1, h, w, 1), 1 on the visible face.

    Attributes:
        path: The ONNX file.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        """Open a file, and try it on a black picture.

        Args:
            path: The ONNX file.
            threads: CPU threads of ONNX Runtime; 0 for its default.

        Raises:
            StyleSwapError: The file does not exist, is not an ONNX model, or has other inputs or outputs.
        """
        self.path = Path(path)
        self._network = MaskNetwork(path, _KIND, _DEFAULT_SIDE, threads)
        if not self._network.channels_last:
            raise StyleSwapError(
                f"{path} takes pictures (1, 3, {self._network.side}, {self._network.side}), like a face parsing"
                " network; name it as the parsing network, or use another file for occlusion, such as XSeg"
            )
        self.mask(np.zeros((64, 64, 3), dtype=np.uint8))  # reports an unsuitable network at once

    def mask(self, crop: np.ndarray) -> np.ndarray:
        """(S, S, 3) uint8 RGB -> (S, S) uint8, 255 where the face is visible, 0 on what covers it."""
        # A copy, since ONNX Runtime takes no views with negative strides.
        values = self._network.run(np.ascontiguousarray(self._network.resized(crop)[None, ..., ::-1]))
        if values.ndim != 4 or values.shape[0] != 1 or values.shape[3] != 1:
            raise StyleSwapError(f"expected a mask (1, h, w, 1) from {self.path}, got {values.shape}; use another file")
        return resized_mask(values[0, ..., 0].astype(np.float32), crop.shape[0])
