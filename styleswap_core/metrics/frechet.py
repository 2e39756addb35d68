"""Fréchet distance between two sets of pictures, in the features of a network.

Dowson and Landau (1982): the squared distance of two normal distributions, |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
"FID" (Heusel et al. 2017) is this distance in the features of one certain Inception network; with other features it is
another ruler, whose figures compare only among themselves. With few pictures it is biased upwards.
"""

import math
from pathlib import Path

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, template_points, warp
from ..faces.packs import default_providers, load_errors
from ..io.files import file_sha256
from ..io.images import from_uint8

PIXEL_RANGES = {
    "signed": ((127.5,), (127.5,)),
    "unit": ((0.0,), (255.0,)),
    "byte": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""What feature networks want of pixels 0..255: name -> mean and spread that are taken off, RGB."""

_FREE_SIZE = 299  # side for a network that takes pictures of any size


class Moments:
    """Mean and covariance of feature vectors that come one by one."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = self._products = 0.0

    def add(self, features: np.ndarray) -> None:
        """One more vector (D,)."""
        row = np.asarray(features, dtype=np.float64)
        self.count += 1
        self._sum = self._sum + row
        self._products = self._products + np.outer(row, row)

    def mean(self) -> np.ndarray:
        """(D,)."""
        return self._sum / self.count

    def covariance(self) -> np.ndarray:
        """(D, D), unbiased."""
        mean = self.mean()
        return (self._products - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet_distance(first: Moments, second: Moments) -> float:
    """Squared Fréchet distance of the normal distributions with these moments; NaN with less than two vectors in a set."""
    if min(first.count, second.count) < 2:
        return math.nan
    one, two = first.covariance(), second.covariance()
    # tr((C1 C2)^(1/2)) = tr((R C2 R)^(1/2)) with R = C1^(1/2): symmetric, so that its roots are real.
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(min=0)).sum()
    shift = first.mean() - second.mean()
    return max(0.0, float(shift @ shift + np.trace(one) + np.trace(two) - 2 * cross))


class FeatureNetwork:
    """A network that the user names, run on aligned faces through ONNX Runtime.

    Args:
        path: an .onnx file with one input (N, 3, S, S), RGB; of several outputs the first counts.
        pixels: one of PIXEL_RANGES.

    Raises:
        StyleSwapError: a file that is missing, damaged or of another form.
    """

    def __init__(self, path: str | Path, pixels: str = "signed") -> None:
        import onnxruntime

        self.name, self.sha256 = Path(path).stem, file_sha256(path)
        self._mean, self._spread = (np.array(values, np.float32).reshape(-1, 1, 1) for values in PIXEL_RANGES[pixels])
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=default_providers())
            self._input = self._session.get_inputs()[0]
            shape = self._input.shape
            # Free sides have names in place of numbers.
            if len(self._session.get_inputs()) != 1 or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
                raise StyleSwapError(f"expected a feature network with one input (N, 3, S, S), {path} has {shape}")
            self._size = shape[2] if isinstance(shape[2], int) else _FREE_SIZE
            self(np.zeros((self._size, self._size, 3), np.uint8), np.float32(template_points("ffhq", self._size)))
        except StyleSwapError:
            raise
        except load_errors() as error:
            raise StyleSwapError(
                f"{path} is not a feature network that runs ({type(error).__name__}); replace it"
            ) from error

    def __call__(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Features (D,) of the face at `points` (5, 2) px of a picture (H, W, 3) uint8 RGB; maps are averaged over places."""
        matrix = estimate_similarity(torch.from_numpy(points)[None], template_points("ffhq", self._size))
        crop = (warp(from_uint8(picture), matrix, self._size)[0].numpy() + 1.0) * 127.5
        pixels = ((crop - self._mean) / self._spread).astype(np.float32)[None]
        features = self._session.run(None, {self._input.name: pixels})[0]
        return features.reshape(features.shape[1], -1).mean(axis=1)
