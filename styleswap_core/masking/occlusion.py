"""Masks of what is visible of a face, from an occlusion network, given by the user as an ONNX file."""

from pathlib import Path

import numpy as np
import torch

from ..io.files import file_sha256
from .mask_files import OCCLUSION
from .mask_network import MaskNetwork, resized_mask

_DEFAULT_SIDE = 256


class OcclusionNetwork:
    """Occlusion network such as XSeg: (1, h, w, 3) BGR, 0..1 -> first output (1, h, w, 1), 1 on the visible face.

    Attributes:
        path: The ONNX file.
        network: Its session.
    """

    def __init__(self, path: str | Path, device: torch.device | None = None, threads: int = 0) -> None:
        """Open a file, and try it on a black picture.

        Args:
            path: The ONNX file.
            device: Where to run; by default CUDA if ONNX Runtime has it, otherwise the CPU.
            threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.

        Raises:
            StyleSwapError: The file does not exist, or is no occlusion network.
        """
        self.path = Path(path)
        self._opened_with = (path, device, threads)
        self.network = MaskNetwork(path, OCCLUSION, _DEFAULT_SIDE, device, threads)
        self.mask(np.zeros((64, 64, 3), dtype=np.uint8))  # reports an unsuitable network at once

    def __reduce__(self) -> "tuple[type[OcclusionNetwork], tuple[object, ...]]":
        """Other processes open the file again, since sessions of ONNX Runtime cannot be sent."""
        return OcclusionNetwork, self._opened_with

    @property
    def fingerprint(self) -> str:
        """Text that tells this network from others."""
        return file_sha256(self.path)

    def mask(self, crop: np.ndarray, size: int = 0) -> np.ndarray:
        """(S, S, 3) uint8 RGB -> (size, size) uint8, by default S: 255 on the visible face, 0 on what covers it."""
        # A copy, since ONNX Runtime takes no views with negative strides.
        values = self.network.run(np.ascontiguousarray(self.network.resized(crop)[None, ..., ::-1]))
        return resized_mask(values[0, ..., 0].astype(np.float32), size or crop.shape[0])
