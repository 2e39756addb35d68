"""Face masks from a face parsing network, given by the user as an ONNX file."""

from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .mask_files import PARSING
from .mask_network import MaskNetwork, resized_mask
from .regions import CLASSES, FACE, region_classes

# ImageNet's statistics, which these networks were trained with.
_MEAN, _STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
_DEFAULT_SIDE = 512


class FaceParser:
    """Face parsing network: (1, 3, h, w) RGB, normalized by ImageNet's statistics -> first output (1, C, h', w').

    Attributes:
        path: The ONNX file.
        network: Its session.
        classes: Number of classes that it tells apart; 1 for a network that only tells faces from all else.
    """

    def __init__(
        self,
        path: str | Path,
        regions: Sequence[str | int] = (),
        device: torch.device | None = None,
        threads: int = 0,
    ) -> None:
        """Open a file, and try it on a black picture.

        Args:
            path: The ONNX file.
            regions: What belongs to the mask: names of `regions.REGIONS`, or numbers of classes. By default the bare
                face of CelebAMask-HQ's 19 classes. Names do not apply to networks with one class, the logits of the
                face.
            device: Where to run; by default CUDA if ONNX Runtime has it, otherwise the CPU.
            threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.

        Raises:
            StyleSwapError: The file does not exist, is no face parsing network, or its classes are not those that the
                regions name.
        """
        self.path, self._regions = Path(path), tuple(regions)
        self._opened_with = (path, self._regions, device, threads)
        self.network = MaskNetwork(path, PARSING, _DEFAULT_SIDE, device, threads)
        scores = self._scores(np.zeros((64, 64, 3), dtype=np.uint8))
        self.classes: int = scores.shape[1]
        self._share(scores)  # reports an unsuitable network at once

    def __reduce__(self) -> "tuple[type[FaceParser], tuple[object, ...]]":
        """Other processes open the file again, since sessions of ONNX Runtime cannot be sent."""
        return FaceParser, self._opened_with

    @property
    def fingerprint(self) -> str:
        """Text that tells this network and its regions from others."""
        return f"{file_sha256(self.path)} {self._regions}"

    def mask(self, crop: np.ndarray, size: int = 0) -> np.ndarray:
        """(S, S, 3) uint8 RGB -> (size, size) uint8, by default S, 255 in the regions."""
        return resized_mask(self._share(self._scores(crop)), size or crop.shape[0])

    def with_regions(self, regions: Sequence[str | int]) -> "FaceParser":
        """The same network with other regions.

        Raises:
            StyleSwapError: Its classes are not those that the regions name.
        """
        other = copy(self)
        other._regions = tuple(regions)
        other._opened_with = (self.path, other._regions, *self._opened_with[2:])
        other._share(np.zeros((1, self.classes, 1, 1), np.float32))
        return other

    def _scores(self, crop: np.ndarray) -> np.ndarray:
        """Scores (1, C, h, w) of a crop (S, S, 3) uint8 RGB."""
        return self.network.run(((self.network.resized(crop) - _MEAN) / _STD).transpose(2, 0, 1)[None])

    def _share(self, scores: np.ndarray) -> np.ndarray:
        """Scores (1, C, h, w) -> (h, w) float32, 1 in the regions and 0 elsewhere."""
        count = scores.shape[1]
        named = not self._regions or any(isinstance(region, str) for region in self._regions)
        if count == 1 and named:
            return (scores[0, 0] > 0).astype(np.float32)
        classes = region_classes(self._regions or FACE)
        if (named and count != CLASSES) or max(classes) >= count:
            raise StyleSwapError(
                f"{self.path} has {count} classes; give the numbers of those that belong to the mask, such as 1,2"
                " (regions)"
            )
        return np.isin(scores[0].argmax(0), classes).astype(np.float32)
