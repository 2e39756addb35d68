"""Face masks from a face parsing network, given by the user as an ONNX file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import StyleSwapError
from .mask_network import MaskNetwork, resized_mask
from .regions import CLASSES, FACE, region_classes

# ImageNet's statistics, which these networks were trained with.
_MEAN, _STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
_DEFAULT_SIDE = 512
_KIND = "a face parsing network"


class FaceParser:
    """Face parsing network: (1, 3, h, w) RGB, normalized by ImageNet's statistics -> first output (1, C, h', w').

    Attributes:
        path: The ONNX file.
    """

    def __init__(self, path: str | Path, regions: Sequence[str | int] = (), threads: int = 0) -> None:
        """Open a file, and try it on a black picture.

        Args:
            path: The ONNX file.
            regions: What belongs to the mask: names of `regions.REGIONS`, or numbers of classes. By default the bare
                face of CelebAMask-HQ's 19 classes. Names do not apply to networks with one class, the logits of the
                face.
            threads: CPU threads of ONNX Runtime; 0 for its default.

        Raises:
            StyleSwapError: The file does not exist, is not an ONNX model, has other inputs or outputs, or its classes
                are not those that the regions name.
        """
        self.path, self._regions = Path(path), tuple(regions)
        self._network = MaskNetwork(path, _KIND, _DEFAULT_SIDE, threads)
        if self._network.channels_last:
            side = self._network.side
            raise StyleSwapError(
                f"{path} takes pictures (1, {side}, {side}, 3), like an occlusion network; name it as the occlusion"
                " network, or use another file for face parsing"
            )
        self.mask(np.zeros((64, 64, 3), dtype=np.uint8))  # reports an unsuitable network at once

    def mask(self, crop: np.ndarray) -> np.ndarray:
        """(S, S, 3) uint8 RGB -> (S, S) uint8, 255 on the face."""
        values = ((self._network.resized(crop) - _MEAN) / _STD).transpose(2, 0, 1)[None]
        return resized_mask(self._share(self._network.run(values)), crop.shape[0])

    def _share(self, scores: np.ndarray) -> np.ndarray:
        """Scores (1, C, h, w) -> (h, w) float32, 1 in the regions and 0 elsewhere."""
        if scores.ndim != 4 or len(scores) != 1:
            raise StyleSwapError(
                f"expected scores (1, classes, h, w) from {self.path}, got {scores.shape}; use another network"
            )
        count = scores.shape[1]
        named = not all(isinstance(region, int) for region in self._regions) or not self._regions
        if count == 1 and named:
            return (scores[0, 0] > 0).astype(np.float32)
        classes = region_classes(self._regions or FACE)
        if (named and count != CLASSES) or max(classes) >= count:
            raise StyleSwapError(
                f"{self.path} has {count} classes; state which of them are face by their numbers, such as 1,2"
                " (regions; --parsing-classes of prepare)"
            )
        return np.isin(scores[0].argmax(0), classes).astype(np.float32)
