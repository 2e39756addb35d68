"""Faces found in a batch of frames and cut out as aligned crops, for other programs; the way back is `paste_faces`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..compositing.face_crops import cut_crops
from ..compositing.pixels import NodeFrame, pixels_of
from ..compositing.placed_faces import (
    FFHQ,
    MAX_SIZE,
    MIN_SIZE,
    PlacedFace,
    PlacedFaces,
    crop_points,
    frame_mark,
    place_points,
)
from ..errors import StyleSwapError
from ..faces.alignment import template_points
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..io.images import bchw_to_bhwc, over_white, repair
from ..masking.face_masks import FaceMasks
from .frame_requests import find_faces
from .node_batches import check_batch
from .results import FrameReport


@dataclass(frozen=True, eq=False)
class AlignedFaces:
    """The aligned crops of a batch of frames.

    Attributes:
        crops: (N, S, S, 3) float32, 0..1, in the order of the frames; N may be 0.
        masks: (N, S, S) float32, 0..1: the face in each crop.
        placed: Where they belong.
        problems: For each frame, one sentence per face that was asked for and is not among them.
    """

    crops: torch.Tensor
    masks: torch.Tensor
    placed: PlacedFaces
    problems: tuple[tuple[str, ...], ...]


def align_faces(
    frames: torch.Tensor,
    analysis: FaceAnalyzer,
    faces: FaceChoice | str | Sequence[int] = "all",
    *,
    size: int = 512,
    template: str = FFHQ,
    masks: FaceMasks | None = None,
    with_doubtful: bool = False,
    on_frame: Callable[[int], None] = lambda frame: None,
    device: torch.device | str | None = None,
) -> AlignedFaces:
    """Find faces in a batch of frames and cut them out.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1; not modified.
        analysis: The face analysis.
        faces: Which faces: a `FaceChoice`, or "largest", "all", "0,2", or [0, 2], numbered from the largest face.
        size: Side of the crops in pixels, 16 to 2048.
        template: Crop template, see `faces.alignment.TEMPLATES`.
        masks: What counts as the face in `AlignedFaces.masks`; by default its outline.
        with_doubtful: Whether detections with implausible points count, too.
        on_frame: Called with each frame's number before it is searched; an exception ends the run.
        device: Device of the result; by default that of `frames`.

    Raises:
        StyleSwapError: No frames, an unknown template, a size out of range, or a choice that the analysis cannot make.
    """
    choice = faces if isinstance(faces, FaceChoice) else FaceChoice.parse(faces)
    cutter = _Cutter(frames, size, template, (masks or FaceMasks()).with_landmarks(lambda: analysis.landmark_model()))
    problems: list[tuple[str, ...]] = []
    for number in range(len(frames)):
        on_frame(number)
        frame = cutter.frame(number)
        picked, missing = picked_faces(frame, analysis, choice, with_doubtful)
        cutter.cut(number, frame, [face.points for face in picked])
        problems.append(tuple(missing))
    return cutter.finish(problems, device)


def picked_faces(
    frame: torch.Tensor, analysis: FaceAnalyzer, choice: FaceChoice, with_doubtful: bool
) -> tuple[list[DetectedFace], list[str]]:
    """The chosen faces of a frame, and one sentence per face that was asked for and is not among them.

    Args:
        frame: (H, W, 3) float32, 0..1, on the CPU.
        analysis: The face analysis.
        choice: Which faces.
        with_doubtful: Whether detections with implausible points count, too.
    """
    found = find_faces(analysis, pixels_of(NodeFrame(frame, frame)).uint8(), choice)
    if with_doubtful:
        picked, missing = choice.pick(found)
    else:
        picked, missing, doubts = choice.pick_certain(found)
        missing = [*missing, *doubts]
    return [face for _, face in picked], missing


def align_placed(
    frames: torch.Tensor,
    placed: PlacedFaces,
    *,
    size: int = 512,
    template: str = FFHQ,
    masks: FaceMasks | None = None,
    on_frame: Callable[[int], None] = lambda frame: None,
    device: torch.device | str | None = None,
) -> AlignedFaces:
    """Cut out faces whose places are known, such as those of a swap, in another size or template.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1: those in which the faces were found, or their swap.
        placed: The faces.
        size: As for `align_faces`.
        template: As for `align_faces`.
        masks: As for `align_faces`.
        on_frame: As for `align_faces`.
        device: As for `align_faces`.

    Raises:
        StyleSwapError: Frames that are not those of the faces, or as for `align_faces`.
    """
    placed.check_batch(frames)
    cutter = _Cutter(frames, size, template, masks or FaceMasks())
    for number in range(len(frames)):
        on_frame(number)
        frame = cutter.frame(number)
        placed.check_frame(number, frame)
        cutter.cut(number, frame, [face.points for _, face in placed.of_frame(number)])
    return cutter.finish([()] * len(frames), device)


def places_of_swap(frames: torch.Tensor, reports: Sequence[FrameReport], template: str, size: int) -> PlacedFaces:
    """Places of the crops of `Swapper.swap_batch`.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1: the targets.
        reports: One for each frame.
        template: Crop template of the network.
        size: Its crop size; a face that was swapped at a multiple of it has a crop of that size.
    """
    faces: list[PlacedFace] = []
    marks: list[np.ndarray | None] = []
    for number, report in enumerate(reports):
        swapped = report.swapped
        faces += [
            PlacedFace(number, one.face.points, one.matrix.float(), one.resolution * size, template) for one in swapped
        ]
        marks.append(frame_mark(frames[number]) if swapped else None)
    return PlacedFaces(tuple(faces), (frames.shape[1], frames.shape[2]), tuple(marks))


class _Cutter:
    """Cuts faces out of the frames of a batch, one frame after the other."""

    def __init__(self, frames: torch.Tensor, size: int, template: str, masks: FaceMasks) -> None:
        check_batch(frames)
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise StyleSwapError(f"expected crops of {MIN_SIZE} to {MAX_SIZE} px, got {size}")
        template_points(template, size)
        self._frames, self._size, self._template, self._face_masks = frames, size, template, masks
        self._faces: list[PlacedFace] = []
        self._marks: list[np.ndarray | None] = []
        self._crops = [torch.zeros(0, size, size, 3)]
        self._masks = [torch.zeros(0, size, size)]

    def frame(self, number: int) -> torch.Tensor:
        """A frame as (H, W, 3) float32, 0..1, on the CPU."""
        return over_white(repair(self._frames[number : number + 1])[0][0])

    def cut(self, number: int, frame: torch.Tensor, faces: Sequence[np.ndarray]) -> None:
        """Cut the faces with the five points (5, 2) out of the next frame."""
        placed = [place_points(number, points, self._template, self._size) for points in faces]
        self._faces += placed
        self._marks.append(frame_mark(frame) if placed else None)
        if placed:
            crops = cut_crops(frame, placed)
            points = torch.stack([crop_points(face) for face in placed])
            self._crops.append(bchw_to_bhwc(crops))
            self._masks.append(self._face_masks.mask(crops, points, None)[:, 0])

    def finish(self, problems: Sequence[tuple[str, ...]], device: torch.device | str | None) -> AlignedFaces:
        """All crops."""
        place = self._frames.device if device is None else device
        placed = PlacedFaces(tuple(self._faces), (self._frames.shape[1], self._frames.shape[2]), tuple(self._marks))
        return AlignedFaces(torch.cat(self._crops).to(place), torch.cat(self._masks).to(place), placed, tuple(problems))
