"""Faces with their places in a batch of frames, so that crops can leave and find back.

Crops may be changed by any program in between: what belongs where, and that nothing is confused, is checked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import StyleSwapError, counted
from ..faces.alignment import estimate_similarity, template_points, transform_points
from ..io.images import over_white, repair

MIN_SIZE, MAX_SIZE = 16, 2048
"""Least and largest side in pixels of a crop for other programs."""

FFHQ = "ffhq"
"""Crop template that restorers such as GFPGAN and CodeFormer take."""

# A frame is told by the mean colors of a grid of cells of every n-th pixel.
_GRID, _SAMPLES = 24, 192
MARK_SHAPE = (_GRID, _GRID, 3)
"""Shape of `frame_mark`."""

# Mean difference of the cells (of 255) from which a frame counts as another one: three times that of a strong JPEG.
_OTHER_FRAME = 12.0
# Cells within this many distances between eyes or from eyes to mouth may have changed with the face.
_FACE_REACH = 2.2
# Minimum number of cells that tell a frame.
_LEAST_CELLS = 8


@dataclass(frozen=True, eq=False)
class PlacedFace:
    """A face of one frame and its aligned crop.

    Attributes:
        frame: Number of the frame in its batch.
        points: (5, 2) float32, continuous pixels of the frame, see `DetectedFace`.
        matrix: (2, 3) float32, frame -> crop.
        size: Side of the crop in pixels.
        template: Name of the crop template.
    """

    frame: int
    points: np.ndarray
    matrix: torch.Tensor
    size: int
    template: str


@dataclass(frozen=True, eq=False)
class PlacedFaces:
    """The faces of a batch of frames: in the order of their crops, which is that of the frames.

    Attributes:
        faces: The faces.
        frame_size: (height, width) of the frames.
        marks: One for each frame: the colors by which it is recognized, (24, 24, 3) uint8; None without faces.
    """

    faces: tuple[PlacedFace, ...]
    frame_size: tuple[int, int]
    marks: tuple[np.ndarray | None, ...]

    def of_frame(self, number: int) -> list[tuple[int, PlacedFace]]:
        """The faces of a frame, each with its number among all faces, which is that of its crop."""
        return [(row, face) for row, face in enumerate(self.faces) if face.frame == number]

    def check_batch(self, frames: torch.Tensor) -> None:
        """Check that a batch has the form of the one in which the faces were found.

        Args:
            frames: (B, H, W, 3 or 4).

        Raises:
            StyleSwapError: Another number or size of frames.
        """
        if frames.ndim != 4 or frames.shape[3] not in (3, 4):
            raise StyleSwapError(f"expected frames (B, H, W, 3 or 4), got {tuple(frames.shape)}; connect an image")
        if tuple(frames.shape[1:3]) != self.frame_size:
            raise StyleSwapError(
                f"expected a picture of {self.frame_size[1]} x {self.frame_size[0]}, in which the faces were found, got"
                f" {frames.shape[2]} x {frames.shape[1]}; paste the crops before the picture is scaled"
            )
        if len(frames) != len(self.marks):
            raise StyleSwapError(
                f"expected {counted(len(self.marks), 'frame')}, in which the faces were found, got {len(frames)}; pass"
                " the same batch"
            )

    def shown_in(self, number: int, frame: torch.Tensor) -> bool:
        """Whether a frame is the one in which its faces were found, or that frame with other faces.

        Args:
            number: Its number.
            frame: (H, W, 3 or 4) float, 0..1, of the size of the frames.
        """
        mark = self.marks[number]
        if mark is None:
            return True
        around = _around(self.frame_size, [face.points for _, face in self.of_frame(number)])
        if around.sum() < _LEAST_CELLS:
            return True
        difference = np.abs(frame_mark(frame).astype(np.float32) - mark)[around].mean()
        return bool(difference <= _OTHER_FRAME)

    def check_frame(self, number: int, frame: torch.Tensor) -> None:
        """Check `shown_in`.

        Raises:
            StyleSwapError: Another picture.
        """
        if not self.shown_in(number, frame):
            raise StyleSwapError(
                f"frame {number} is not the picture in which the faces were found; pass that picture, or its swap"
            )

    def split_frames(self) -> "list[PlacedFaces]":
        """The faces of each frame, as those of a batch of one frame."""
        faces: list[list[PlacedFace]] = [[] for _ in self.marks]
        for face in self.faces:
            faces[face.frame].append(replace(face, frame=0))
        return [PlacedFaces(tuple(own), self.frame_size, (mark,)) for own, mark in zip(faces, self.marks, strict=True)]


def join_frames(frames: Sequence[PlacedFaces]) -> PlacedFaces:
    """Faces of single frames of one size, as those of a batch of all these frames; inverse of `split_frames`."""
    faces = [replace(face, frame=number) for number, one in enumerate(frames) for face in one.faces]
    return PlacedFaces(tuple(faces), frames[0].frame_size, tuple(one.marks[0] for one in frames))


def place_points(frame: int, points: np.ndarray, template: str, size: int) -> PlacedFace:
    """Place of a face by its five points.

    Args:
        frame: Number of the frame.
        points: (5, 2), see `DetectedFace`.
        template: Name of the crop template.
        size: Side of the crop in pixels.

    Raises:
        StyleSwapError: An unknown template, or points that coincide.
    """
    matrix = estimate_similarity(torch.from_numpy(points).float()[None], template_points(template, size))
    return PlacedFace(frame, points, matrix[0], size, template)


def frame_mark(frame: torch.Tensor) -> np.ndarray:
    """Colors (24, 24, 3) uint8 by which a frame (H, W, 3 or 4) float, 0..1, is recognized; transparency shows white."""
    step = [max(1, side // _SAMPLES) for side in frame.shape[:2]]
    sampled = over_white(repair(frame[:: step[0], :: step[1]][None])[0])
    cells = F.adaptive_avg_pool2d(sampled.permute(0, 3, 1, 2), (_GRID, _GRID))[0]
    return np.asarray((cells * 255).round().to(torch.uint8).permute(1, 2, 0))


def crop_points(face: PlacedFace) -> torch.Tensor:
    """The five points in the pixels of the crop, (5, 2) float32."""
    return transform_points(face.matrix[None], torch.from_numpy(face.points).float()[None])[0]


def _around(size: tuple[int, int], faces: Sequence[np.ndarray]) -> np.ndarray:
    """(24, 24) bool: the cells of a frame that show no face."""
    centers = [(np.arange(_GRID) + 0.5) / _GRID * side for side in size]
    outside = np.ones((_GRID, _GRID), bool)
    for points in faces:
        x, y = points.mean(0)
        reach = _FACE_REACH * max(
            np.linalg.norm(points[1] - points[0]), np.linalg.norm(points[3:].mean(0) - points[:2].mean(0))
        )
        outside &= np.hypot(centers[0][:, None] - y, centers[1][None, :] - x) > reach
    return outside
