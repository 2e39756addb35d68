"""Session of a mask network, and the pictures that it takes."""

from pathlib import Path

import cv2
import numpy as np
import torch

from ..errors import StyleSwapError, one_line
from ..faces.execution_providers import adapt_options, default_providers, fallback_of, providers_for
from ..faces.packs import load_errors, session_options
from .mask_files import OCCLUSION, read_mask_file


class MaskNetwork:
    """A face parsing or occlusion network in ONNX Runtime.

    Attributes:
        path: The ONNX file.
        kind: "face parsing" or "occlusion", see `mask_files`.
        provider: Execution provider in use.
        fallback: Why it is not that of the device; empty otherwise.
    """

    def __init__(
        self, path: str | Path, kind: str, default_side: int, device: torch.device | None = None, threads: int = 0
    ) -> None:
        """Open a file.

        Args:
            path: The ONNX file.
            kind: The kind that it must be, see `mask_files`.
            default_side: Size of the pictures in pixels, if the file leaves it open.
            device: Where to run; by default CUDA if ONNX Runtime has it, otherwise the CPU.
            threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.

        Raises:
            StyleSwapError: The file does not exist, or is not a network of that kind.
        """
        file = read_mask_file(path)
        if file.kind != kind:
            raise StyleSwapError(
                f"expected a network for {kind}, but {path} is one for {file.kind}; name it as that, or choose another"
                " file"
            )
        self.path, self.kind, self._side = file.path, kind, file.side or default_side
        providers, self.fallback = (default_providers(), "") if device is None else providers_for(device)
        import onnxruntime

        self._errors = load_errors()
        options = session_options(threads)
        adapt_options(options["sess_options"], providers)
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=providers, **options)
        except self._errors as error:
            raise StyleSwapError(
                f"cannot load {path} as an ONNX model ({one_line(error)}); use another file"
            ) from error
        self.fallback = self.fallback or fallback_of(self._session, providers)
        self.provider = self._session.get_providers()[0]

    def resized(self, crop: np.ndarray) -> np.ndarray:
        """A crop (S, S, 3) uint8 in the network's size, float32 0..1."""
        method = cv2.INTER_AREA if crop.shape[0] > self._side else cv2.INTER_LINEAR
        return cv2.resize(crop, (self._side, self._side), interpolation=method).astype(np.float32) / 255

    def run(self, values: np.ndarray) -> np.ndarray:
        """First output of the network, with four dimensions and a batch of one.

        Args:
            values: The picture, (1, 3, h, w) or (1, h, w, 3) float32.

        Raises:
            StyleSwapError: The network fails on it, or has another output.
        """
        try:
            given = self._session.get_inputs()[0]
            half = given.type == "tensor(float16)"
            output = np.asarray(self._session.run(None, {given.name: values.astype(np.float16) if half else values})[0])
        except self._errors as error:
            raise StyleSwapError(
                f"expected {self.path} to accept pictures {values.shape}, but it failed ({one_line(error)});"
                f" use another network for {self.kind}"
            ) from error
        if output.ndim != 4 or len(output) != 1 or (self.kind == OCCLUSION and output.shape[3] != 1):
            wanted = "a mask (1, h, w, 1)" if self.kind == OCCLUSION else "scores (1, classes, h, w)"
            raise StyleSwapError(f"expected {wanted} from {self.path}, got {output.shape}; use another network")
        return output


def resized_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask (h, w) float, 0..1, as (size, size) uint8."""
    method = cv2.INTER_AREA if mask.shape[0] > size else cv2.INTER_LINEAR
    return np.clip(np.rint(cv2.resize(mask, (size, size), interpolation=method) * 255), 0, 255).astype(np.uint8)
