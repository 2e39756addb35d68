"""Aligned faces as a network takes them: crops, and the five points in each crop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..compositing.canvas import Canvas
from ..errors import StyleSwapError
from ..faces.alignment import transform_points
from ..faces.choice import select_faces
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..pipeline.face_jobs import crop_matrices


class Canceled(Exception):
    """The caller canceled the inversion."""


@dataclass(frozen=True, eq=False)
class AlignedFaces:
    """Faces on the network's crop template.

    Attributes:
        crops: (N, 3, S, S) RGB, -1..1.
        points: (N, 5, 2), in continuous pixels of the crop.

    Raises:
        StyleSwapError: The crops or points have another shape.
    """

    crops: Tensor
    points: Tensor

    def __post_init__(self) -> None:
        count, size = len(self.crops), self.crops.shape[-1]
        if tuple(self.crops.shape) != (count, 3, size, size) or tuple(self.points.shape) != (count, 5, 2):
            raise StyleSwapError(
                f"expected crops (N, 3, S, S) and points (N, 5, 2), got {tuple(self.crops.shape)} and "
                f"{tuple(self.points.shape)}"
            )

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: list[int]) -> "AlignedFaces":
        return AlignedFaces(self.crops[rows], self.points[rows])

    def to(self, device: torch.device) -> "AlignedFaces":
        """The same faces on a device, with the crops in channels-last memory format."""
        crops = self.crops.to(device).contiguous(memory_format=torch.channels_last)
        return AlignedFaces(crops, self.points.to(device))


class Alignment(NamedTuple):
    """Result of `align_faces`.

    Attributes:
        faces: One per picture that shows a face.
        detections: The detections of these faces.
        missing: Indices of the pictures without a face.
    """

    faces: AlignedFaces
    detections: list[DetectedFace]
    missing: list[int]


def align_faces(
    pictures: Sequence[np.ndarray],
    analyzer: FaceAnalyzer,
    template: str,
    size: int,
    canceled: Callable[[], bool] = lambda: False,
) -> Alignment:
    """Align the largest face of each picture.

    Args:
        pictures: (H, W, 3) uint8 RGB.
        analyzer: Detects the faces.
        template: Crop template.
        size: Side of the crops in pixels.
        canceled: Called before each picture.

    Raises:
        Canceled: `canceled` returned true.
    """
    crops, points = [torch.empty(0, 3, size, size)], [torch.empty(0, 5, 2)]
    detections, missing = [], []
    for index, picture in enumerate(pictures):
        if canceled():
            raise Canceled
        faces = analyzer.detect(picture)
        if not faces:
            missing.append(index)
            continue
        (face,) = select_faces(faces)
        matrix = crop_matrices([face], template, size)
        crops.append(Canvas([picture]).read_crops([0], matrix, size))
        points.append(transform_points(matrix, torch.from_numpy(face.points).float()[None]))
        detections.append(face)
    return Alignment(AlignedFaces(torch.cat(crops), torch.cat(points)), detections, missing)
