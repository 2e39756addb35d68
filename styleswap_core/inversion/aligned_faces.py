"""Faces as the generator wants them: aligned crops, and where the five points lie in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..compositing.canvas import Canvas
from ..errors import StyleSwapError
from ..faces.alignment import transform_points
from ..faces.choice import select_faces
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..model import GeneratorConfig
from ..pipeline.face_jobs import crop_matrices


class Canceled(Exception):
    """The caller asked to stop."""


@dataclass(frozen=True, eq=False)
class AlignedFaces:
    """crops (N, 3, S, S) RGB -1..1 on the generator's template; points (N, 5, 2), continuous pixels of the crop."""

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
        """The same faces on a device, in the memory order that convolutions want."""
        crops = self.crops.to(device).contiguous(memory_format=torch.channels_last)
        return AlignedFaces(crops, self.points.to(device))


def align_faces(
    pictures: Sequence[np.ndarray],
    analyzer: FaceAnalyzer,
    config: GeneratorConfig,
    canceled: Callable[[], bool] = lambda: False,
) -> tuple[AlignedFaces | None, list[DetectedFace], list[int]]:
    """The largest face of each picture (H, W, 3) uint8 RGB.

    Returns:
        the aligned faces (None if there is none), their detections, and the indices of pictures without a face.

    Raises:
        Canceled: `canceled`, asked before each picture, said so.
    """
    crops, points, found, missing = [], [], [], []
    for index, picture in enumerate(pictures):
        if canceled():
            raise Canceled
        faces = analyzer.detect(picture)
        if not faces:
            missing.append(index)
            continue
        (face,) = select_faces(faces)
        matrix = crop_matrices([face], config.template, config.size)
        crops.append(Canvas([picture]).read_crops([0], matrix, config.size))
        points.append(transform_points(matrix, torch.from_numpy(face.points).float()[None]))
        found.append(face)
    return AlignedFaces(torch.cat(crops), torch.cat(points)) if found else None, found, missing
