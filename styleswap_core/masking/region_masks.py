"""Masks of chosen regions of faces: from a parsing network, or from landmarks or five points where they can tell them.

OpenCV and ONNX Runtime are imported only when a mask is made.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import StyleSwapError
from .face_masks import FaceMasks
from .regions import AREAS, SHAPED, parse_regions

if TYPE_CHECKING:
    from .face_parsing import FaceParser

FACE_AREA = AREAS[0]
"""The area that is masked by default: all of the face."""


class RegionMasks:
    """Masks of regions of faces in aligned crops.

    Attributes:
        masks: The networks and landmarks that tell regions. Its parsing network's own regions are the face.
        regions: The regions; a mask shows all of them.
    """

    def __init__(self, regions: str = FACE_AREA, masks: FaceMasks | None = None) -> None:
        """Choose regions.

        Args:
            regions: Names of `regions.AREAS` and `regions.REGIONS`, or numbers of classes of the parsing network,
                separated by commas.
            masks: The networks and landmarks; without a parsing network, the regions are limited to `regions.SHAPED`.
                An occlusion network, and an outline other than "automatic", limit the mask.

        Raises:
            StyleSwapError: An unknown region, or one that needs a parsing network.
        """
        self.masks = FaceMasks() if masks is None else masks
        self.regions = parse_regions(regions, AREAS)
        parser = self.masks.parsing
        # A network with one class does not tell regions apart.
        tells = parser is not None and parser.classes > 1
        needed = [region for region in self.regions if region not in SHAPED] if not tells else []
        if needed:
            raise StyleSwapError(
                f"the region {needed[0]} needs a face parsing network, such as bisenet_resnet_34.onnx: choose one (Load"
                f" Face Masks, --parsing), or regions out of {', '.join(SHAPED)}"
            )
        self._shaped = [region for region in self.regions if region in AREAS or not tells]
        parsed = [region for region in self.regions if region not in self._shaped]
        self._parser: FaceParser | None = parser.with_regions(parsed) if parser is not None and parsed else None

    def mask(self, crop: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Mask of one crop.

        Args:
            crop: (S, S, 3) uint8 RGB.
            points: (5, 2), pixels of the crop.

        Returns:
            (S, S) uint8, 255 in the regions.
        """
        shapes = _Shapes(crop, points.astype(np.float64), self.masks)
        shown = [shapes.region(str(region)) for region in self._shaped]
        if self._parser is not None:
            shown.append(self._parser.mask(crop))
        limits: list[np.ndarray] = []
        if self.masks.occlusion is not None:
            limits.append(self.masks.occlusion.mask(crop))
        if self.masks.outline != "automatic":
            limits.append(shapes.outline(self.masks.outline))
        return np.minimum.reduce([np.maximum.reduce(shown), *limits])


class _Shapes:
    """Areas and features of one face, without its parsed regions."""

    def __init__(self, crop: np.ndarray, points: np.ndarray, masks: FaceMasks) -> None:
        self._crop, self._points, self._masks = crop, points, masks

    @cached_property
    def _landmarks(self) -> np.ndarray | None:
        # Read only if an area or feature needs them.
        return self._masks.landmarks(self._crop, self._points)

    def outline(self, part: str) -> np.ndarray:
        """A part of the outline, see `regions.PARTS`."""
        from .outlines import outline_mask

        return outline_mask(self._crop, self._points, self._landmarks, part)

    def region(self, name: str) -> np.ndarray:
        """One of `regions.SHAPED`."""
        from .feature_shapes import FEATURES, feature_mask
        from .outlines import half_mask

        size = self._crop.shape[0]
        if name in AREAS:
            face = self._face()
            return face if name == FACE_AREA else np.minimum(face, half_mask(self._points, size, name))
        if name == "skin":
            features = [feature_mask(self._points, self._landmarks, one, size) for one in FEATURES]
            return np.minimum(self._face(), 255 - np.maximum.reduce(features))
        return feature_mask(self._points, self._landmarks, "mouth" if name == "lips" else name, size)

    def _face(self) -> np.ndarray:
        parser = self._masks.parsing
        return self.outline("whole") if parser is None else parser.mask(self._crop)
