"""ONNX networks that mask the face in an aligned crop: the session, and the pictures that it takes."""

from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError, one_line
from ..faces.execution_providers import default_providers
from ..faces.packs import load_errors, session_options


class MaskNetwork:
    """Session of a network with one picture as its input.

    Attributes:
        path: The ONNX file.
        channels_last: Whether it takes pictures (1, h, w, 3), as occlusion networks do, instead of (1, 3, h, w).
        side: Size of its pictures in pixels.
    """

    def __init__(self, path: str | Path, kind: str, default_side: int, threads: int = 0) -> None:
        """Open a file.

        Args:
            path: The ONNX file.
            kind: What it should be, for messages, such as "a face parsing network".
            default_side: Size of the pictures if the file leaves it open.
            threads: CPU threads of ONNX Runtime; 0 for its default.

        Raises:
            StyleSwapError: The file does not exist, is not an ONNX model, or does not take one picture.
        """
        self.path, self._kind = Path(path), kind
        if not self.path.is_file():
            raise StyleSwapError(f"expected the ONNX file of {kind}, but {path} does not exist; check the path")
        providers = default_providers()
        import onnxruntime

        self._errors = load_errors()
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), providers=providers, **session_options(threads)
            )
        except self._errors as error:
            raise StyleSwapError(
                f"cannot load {path} as an ONNX model ({one_line(error)}); use another file"
            ) from error
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape)
        if len(inputs) != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise StyleSwapError(
                f"expected {kind} in {path}, with one picture as its input; got inputs"
                f" {', '.join(f'{one.name} {one.shape}' for one in inputs)}; use another file"
            )
        self.channels_last = shape[1] != 3
        sides = [side for side in (shape[1:3] if self.channels_last else shape[2:]) if isinstance(side, int)]
        self.side = sides[0] if sides else default_side

    def resized(self, crop: np.ndarray) -> np.ndarray:
        """A crop (S, S, 3) uint8 in the network's size, float32 0..1."""
        method = cv2.INTER_AREA if crop.shape[0] > self.side else cv2.INTER_LINEAR
        return cv2.resize(crop, (self.side, self.side), interpolation=method).astype(np.float32) / 255

    def run(self, values: np.ndarray) -> np.ndarray:
        """First output of the network.

        Args:
            values: The picture, (1, 3, h, w) or (1, h, w, 3) float32.

        Raises:
            StyleSwapError: The network fails on it.
        """
        try:
            return np.asarray(self._session.run(None, {self._session.get_inputs()[0].name: values})[0])
        except self._errors as error:
            raise StyleSwapError(
                f"expected {self.path} to accept pictures {values.shape}, but it failed ({one_line(error)});"
                f" use another file of {self._kind}"
            ) from error


def resized_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask (h, w) float, 0..1, as (size, size) uint8."""
    method = cv2.INTER_AREA if mask.shape[0] > size else cv2.INTER_LINEAR
    return np.clip(np.rint(cv2.resize(mask, (size, size), interpolation=method) * 255), 0, 255).astype(np.uint8)
