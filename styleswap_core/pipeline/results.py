"""Results of the pipeline."""

from dataclasses import dataclass, field

import torch

from ..compositing.pixels import Picture
from ..faces.detected import DetectedFace


@dataclass(frozen=True, eq=False)
class SwappedFace:
    """Report on one swapped face.

    Attributes:
        picture: Number of its frame; 0 for a single picture.
        face: The detection; its `index` is its number within the frame.
        matrix: (2, 3), picture -> aligned crop, at the resolution of the swap.
        scale: Pixels of the aligned crop per pixel of the picture; above 1 if the crop was enlarged.
        similarity_before: Cosine similarity of the target face to the source identity; None if it was not measured, or
            if the identity was made by another recognizer than that of the face analysis.
        similarity: The same for the face in the result.
        similarity_to_target: Cosine similarity of the face in the result to that in the target; None like the others.
        resolution: Side of the aligned crop in multiples of the network's size.
    """

    picture: int
    face: DetectedFace
    matrix: torch.Tensor
    scale: float
    similarity_before: float | None
    similarity: float | None
    similarity_to_target: float | None = None
    resolution: int = 1


@dataclass(frozen=True, eq=False)
class FrameReport:
    """Report on one frame.

    Attributes:
        frame: Its number, counted from 0.
        faces_found: Number of faces that the detector found.
        swapped: The faces that were swapped.
        problems: One message per requested face that was not swapped.
        left_out: One message per face that would have been swapped, but is doubtful (see `SwapOptions.swap_doubtful`)
            or, in a video, behind another one.
    """

    frame: int
    faces_found: int
    swapped: list[SwappedFace]
    problems: list[str]
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class SwapResult:
    """One picture or frame after swapping.

    Attributes:
        image: In the format of the input: (H, W, 3) uint8, or (3, H, W) float -1..1, or (H, W, 3) float 0..1 for a
            `NodeFrame`, or a `VideoPicture`. Pixels outside swapped faces keep their exact values.
        mask: (H, W) float32, 0..1: the fraction of each pixel that was replaced.
        crops: (N, 3, S, S) float32, -1..1: the swapped aligned crops, enlarged to the size of the largest if they were
            swapped at several resolutions; N may be 0.
        report: Faces found, faces swapped, and problems.
    """

    image: Picture
    mask: torch.Tensor
    crops: torch.Tensor
    report: FrameReport

    @property
    def faces(self) -> list[SwappedFace]:
        """The swapped faces."""
        return self.report.swapped


@dataclass(frozen=True, eq=False)
class BatchResult:
    """A batch of frames after swapping.

    Attributes:
        images: (B, H, W, C) float32, 0..1, with the input's C; a fourth channel is untouched.
        masks: (B, H, W) float32, 0..1: the fraction of each pixel that was replaced.
        crops: (N, S, S, 3) float32, 0..1: the swapped aligned crops of all frames in order, enlarged to the size of the
            largest; N may be 0.
        reports: One per frame, in order.
        repaired: Numbers of the frames with values outside 0..1 or NaN, which were clipped.
    """

    images: torch.Tensor
    masks: torch.Tensor
    crops: torch.Tensor
    reports: list[FrameReport]
    repaired: list[int]
