"""Fréchet distance between two sets of pictures, in the feature space of a network.

The squared distance between two normal distributions (Dowson and Landau 1982) is
|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). "FID" (Heusel et al. 2017) is this distance in the features of one
particular Inception network. Values in the features of another network are comparable only with each other. Small
sets of pictures bias the distance upward.
"""

import math
from pathlib import Path

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, template_points, warp
from ..faces.execution_providers import default_providers
from ..faces.packs import load_errors
from ..io.files import file_sha256
from ..io.images import from_uint8

PIXEL_RANGES = {
    "signed": ((127.5,), (127.5,)),
    "unit": ((0.0,), (255.0,)),
    "byte": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""Normalization of pixels 0..255 that feature networks expect: name -> mean and standard deviation, RGB."""

_DEFAULT_SIDE = 299  # for networks that take pictures of any size: the input side of Inception v3


class Moments:
    """Mean and covariance of feature vectors that are added one by one."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = np.zeros(())
        self._products = np.zeros(())

    def add(self, features: np.ndarray) -> None:
        """Add a vector (D,)."""
        row = np.asarray(features, dtype=np.float64)
        self.count += 1
        self._sum = self._sum + row
        self._products = self._products + np.outer(row, row)

    def mean(self) -> np.ndarray:
        """Mean (D,)."""
        return self._sum / self.count

    def covariance(self) -> np.ndarray:
        """Unbiased covariance (D, D)."""
        mean = self.mean()
        return (self._products - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet_distance(first: Moments, second: Moments) -> float:
    """Squared Fréchet distance of two normal distributions; NaN if a set has fewer than two vectors."""
    if min(first.count, second.count) < 2:
        return math.nan
    c1, c2 = first.covariance(), second.covariance()
    # tr((C1 C2)^(1/2)) = tr((R C2 R)^(1/2)) with R = C1^(1/2); R C2 R is symmetric, so that its eigenvalues are real.
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(min=0)).sum()
    shift = first.mean() - second.mean()
    return max(0.0, float(shift @ shift + np.trace(c1) + np.trace(c2) - 2 * cross))


class FeatureNetwork:
    """Feature network in an ONNX file of the user's, applied to aligned faces.

    Args:
        path: ONNX file with one input (N, 3, S, S), RGB; the first output holds the features.
        pixels: Key of PIXEL_RANGES.

    Raises:
        StyleSwapError: The file is missing, damaged, or has other inputs.
    """

    def __init__(self, path: str | Path, pixels: str = "signed") -> None:
        import onnxruntime

        self.name, self.sha256 = Path(path).stem, file_sha256(path)
        self._mean, self._std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in PIXEL_RANGES[pixels])
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=default_providers())
            self._input, self._size = self._check_input(path)
            self(np.zeros((self._size, self._size, 3), np.uint8), np.float32(template_points("ffhq", self._size)))
        except StyleSwapError:
            raise
        except load_errors() as error:
            raise StyleSwapError(
                f"ONNX Runtime cannot run the feature network {path} ({type(error).__name__}); name another file"
            ) from error

    def _check_input(self, path: str | Path) -> tuple[str, int]:
        """Name of the network's input, and the side of the pictures that it takes."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        # Dimensions of any length are names instead of numbers.
        if len(inputs) != 1 or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise StyleSwapError(
                f"expected a feature network with one input (N, 3, S, S), but {path} has {len(inputs)}, the first "
                f"{shape}; name another file"
            )
        return inputs[0].name, shape[2] if isinstance(shape[2], int) else _DEFAULT_SIDE

    def __call__(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Features (D,) of a face; feature maps are averaged over their positions.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (5, 2) in pixels.
        """
        matrix = estimate_similarity(torch.from_numpy(points)[None], template_points("ffhq", self._size))
        crop = (warp(from_uint8(picture), matrix, self._size)[0].numpy() + 1.0) * 127.5
        pixels = ((crop - self._mean) / self._std).astype(np.float32)[None]
        features = self._session.run(None, {self._input: pixels})[0]
        return features.reshape(features.shape[1], -1).mean(axis=1)
