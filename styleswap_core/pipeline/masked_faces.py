"""Masks of the faces in a batch of frames: outlines and regions, grown and feathered, at their places in the frames."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from ..compositing.canvas import border_fade
from ..compositing.face_crops import cut_crops
from ..compositing.mask_shaping import feather_mask, grow_mask, resize_mask
from ..compositing.pixel_access import Box
from ..compositing.placed_faces import FFHQ, PlacedFace, PlacedFaces, crop_points, place_points
from ..errors import StyleSwapError
from ..faces.alignment import crop_box, invert_affine, matrix_scale, shift_origin, warp
from ..faces.choice import FaceChoice
from ..faces.detected import FaceAnalyzer
from ..io.images import over_white, repair, to_uint8
from ..masking.face_masks import FaceMasks
from ..masking.region_masks import FACE_AREA, RegionMasks
from .face_aligner import picked_faces
from .node_batches import check_batch
from .swap_options import MAX_SHARE

# Side of the crops in which masks are made; parsing networks are trained on crops of this size and template.
_SIDE = 512
_LEAST_SIDE = 128
# Standard deviation in pixels up to which edges are feathered at full size.
_MAX_SIGMA = 8.0
# Maximum number of pixels of the masks of single faces: 4 GiB.
_MAX_PIXELS = 2**30


@dataclass(frozen=True, eq=False)
class FaceMask:
    """Mask of one face.

    Attributes:
        frame: Number of its frame in the batch.
        box: x0, y0, x1, y1: the part of the frame that it covers; None if nothing of it lies in the frame.
        values: (y1 - y0, x1 - x0) float32, 0..1, on the CPU.
        score: The detector's confidence, 0..1; 1 for faces whose places were given.
    """

    frame: int
    box: Box | None
    values: torch.Tensor
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class MaskedFaces:
    """Masks of the faces in a batch of frames.

    Attributes:
        faces: The masks, in the order of the frames.
        frames: Number of frames.
        frame_size: (height, width) of the frames.
        problems: For each frame, one sentence per face that was asked for and is not among them.
    """

    faces: tuple[FaceMask, ...]
    frames: int
    frame_size: tuple[int, int]
    problems: tuple[tuple[str, ...], ...]

    def of_frame(self, number: int) -> list[FaceMask]:
        """The masks of a frame."""
        return [face for face in self.faces if face.frame == number]

    def only(self, number: int) -> "MaskedFaces":
        """The same frames with only one of the faces."""
        return replace(self, faces=(self.faces[number],))

    def together(self, device: torch.device | str | None = None) -> torch.Tensor:
        """One mask for each frame with all of its faces, (B, H, W) float32, 0..1."""
        masks = torch.zeros(self.frames, *self.frame_size, device=device)
        for face in self.faces:
            _add(masks[face.frame], face)
        return masks

    def apart(self, device: torch.device | str | None = None) -> torch.Tensor:
        """One mask for each face in the size of its frame, (N, H, W) float32, 0..1; N may be 0.

        Raises:
            StyleSwapError: They would take more than 4 GiB.
        """
        height, width = self.frame_size
        if len(self.faces) * height * width > _MAX_PIXELS:
            raise StyleSwapError(
                f"expected at most {_MAX_PIXELS // (height * width)} faces in frames of {width} x {height} for one mask"
                f" per face, got {len(self.faces)}; use one mask per frame, or fewer faces"
            )
        masks = torch.zeros(len(self.faces), height, width, device=device)
        for mask, face in zip(masks, self.faces, strict=True):
            _add(mask, face)
        return masks


@dataclass(frozen=True)
class MaskOptions:
    """Options for masks of faces.

    Attributes:
        regions: What a mask shows, see `RegionMasks`.
        grow: Share of the side of the face's aligned crop (template ffhq) by which masks grow, -0.3 to 0.3; negative
            values shrink them.
        feather: Share of that side over which their edges fade, 0 to 0.3.

    Raises:
        StyleSwapError: A share out of range.
    """

    regions: str = FACE_AREA
    grow: float = 0.0
    feather: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("grow", -MAX_SHARE), ("feather", 0.0)):
            if not least <= getattr(self, name) <= MAX_SHARE:
                raise StyleSwapError(
                    f"expected {name} from {least:g} to {MAX_SHARE}, as a share of the face's aligned crop, got"
                    f" {getattr(self, name)}"
                )


def mask_faces(
    frames: torch.Tensor,
    analysis: FaceAnalyzer,
    faces: FaceChoice | str | Sequence[int] = "all",
    options: MaskOptions | None = None,
    *,
    masks: FaceMasks | None = None,
    with_doubtful: bool = False,
    on_frame: Callable[[int], None] = lambda frame: None,
) -> MaskedFaces:
    """Find faces in a batch of frames and mask them.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1; not modified.
        analysis: The face analysis.
        faces: Which faces: a `FaceChoice`, or "largest", "all", "0,2", or [0, 2], numbered from the largest face.
        options: What the masks show, and their edges.
        masks: Networks that tell regions apart and find what covers a face; by default the landmarks of the face
            analysis, or five points and colors.
        with_doubtful: Whether detections with implausible points count, too.
        on_frame: Called with each frame's number before it is searched; an exception ends the run.

    Raises:
        StyleSwapError: No frames, a region that needs a parsing network, or a choice that the analysis cannot make.
    """
    choice = faces if isinstance(faces, FaceChoice) else FaceChoice.parse(faces)
    maker = _MaskMaker(options, (masks or FaceMasks()).with_landmarks(lambda: analysis.landmark_model()))
    check_batch(frames)
    found: list[FaceMask] = []
    problems: list[tuple[str, ...]] = []
    for number in range(len(frames)):
        on_frame(number)
        frame = _frame(frames, number)
        picked, missing = picked_faces(frame, analysis, choice, with_doubtful)
        placed = [place_points(number, face.points, FFHQ, _SIDE) for face in picked]
        found += maker.masks(frame, placed, [face.score for face in picked])
        problems.append(tuple(missing))
    return MaskedFaces(tuple(found), len(frames), (frames.shape[1], frames.shape[2]), tuple(problems))


def mask_placed(
    frames: torch.Tensor,
    placed: PlacedFaces,
    options: MaskOptions | None = None,
    *,
    masks: FaceMasks | None = None,
    on_frame: Callable[[int], None] = lambda frame: None,
) -> MaskedFaces:
    """Mask faces whose places are known, such as those of a swap.

    Args:
        frames: (B, H, W, 3 or 4) float, 0..1: those in which the faces were found, or their swap.
        placed: The faces.
        options: As for `mask_faces`.
        masks: As for `mask_faces`; by default five points and colors.
        on_frame: As for `mask_faces`.

    Raises:
        StyleSwapError: Frames that are not those of the faces, or a region that needs a parsing network.
    """
    maker = _MaskMaker(options, masks or FaceMasks())
    placed.check_batch(frames)
    found: list[FaceMask] = []
    for number in range(len(frames)):
        on_frame(number)
        if not (faces := placed.of_frame(number)):
            continue
        frame = _frame(frames, number)
        placed.check_frame(number, frame)
        again = [place_points(number, face.points, FFHQ, _SIDE) for _, face in faces]
        found += maker.masks(frame, again, [1.0] * len(again))
    return MaskedFaces(tuple(found), len(frames), placed.frame_size, ((),) * len(frames))


class _MaskMaker:
    """Makes the masks of the faces of a frame."""

    def __init__(self, options: MaskOptions | None, masks: FaceMasks) -> None:
        self._options = options or MaskOptions()
        self._regions = RegionMasks(self._options.regions, masks)

    def masks(self, frame: torch.Tensor, faces: Sequence[PlacedFace], scores: Sequence[float]) -> list[FaceMask]:
        """Masks of the faces of a frame (H, W, 3) float32, 0..1."""
        return [self._mask(frame, face, score) for face, score in zip(faces, scores, strict=True)]

    def _mask(self, frame: torch.Tensor, face: PlacedFace, score: float) -> FaceMask:
        # Small faces need no more than two pixels of the mask for each of the frame, and soft edges no fine ones.
        enough = 2 * _SIDE / float(matrix_scale(face.matrix[None]))
        if self._options.feather > 0:
            enough = min(enough, 2 * _MAX_SIGMA / self._options.feather)
        side = min(_SIDE, max(_LEAST_SIDE, math.ceil(enough)))
        seen = _SIDE if self._regions.masks.networks() else side
        crop = to_uint8(cut_crops(frame, [face], seen))[0]
        shown = self._regions.mask(crop, crop_points(face).numpy() * (seen / _SIDE))
        # The border of the crop must not show in regions that continue beyond it, such as hair.
        mask = resize_mask(torch.from_numpy(shown)[None, None].float() / 255 * border_fade(seen), side)
        grow, feather = round(self._options.grow * side), self._options.feather * side
        margin = max(grow, 0) + math.ceil(1.5 * feather)
        mask = F.pad(mask, (margin, margin, margin, margin))
        mask = feather_mask(grow_mask(mask, grow), feather)
        matrix = face.matrix[None] * (side / _SIDE)
        matrix[:, :, 2] += margin
        return _in_frame(mask, matrix, (frame.shape[0], frame.shape[1]), face.frame, score)


def _in_frame(mask: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], number: int, score: float) -> FaceMask:
    """A mask (1, 1, S, S) at its place in a frame.

    Args:
        mask: The mask.
        matrix: (1, 2, 3), frame -> mask.
        size: (height, width) of the frame.
        number: Number of the frame.
        score: The detector's confidence.
    """
    around = 1 + math.ceil(1.0 / float(matrix_scale(matrix)))
    x0, y0, x1, y1 = crop_box(matrix, mask.shape[-1], size, around)[0].tolist()
    to_box = invert_affine(shift_origin(matrix, torch.tensor([[x0, y0]])))
    values = warp(mask, to_box, (y1 - y0, x1 - x0), padding="zeros").clamp(0.0, 1.0)[0, 0]
    # Less than half a level of 255 is nothing: far ends of a feathered edge.
    shown = np.asarray(values > 0.5 / 255)
    rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
    if not len(rows):
        return FaceMask(number, None, values[:0, :0], score)
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    box = (x0 + int(left), y0 + int(top), x0 + int(right), y0 + int(bottom))
    return FaceMask(number, box, values[top:bottom, left:right].clone(), score)


def _add(mask: torch.Tensor, face: FaceMask) -> None:
    """Add a face to a mask (H, W) of its frame."""
    if face.box is not None:
        x0, y0, x1, y1 = face.box
        part = mask[y0:y1, x0:x1]
        torch.maximum(part, face.values.to(part), out=part)


def _frame(frames: torch.Tensor, number: int) -> torch.Tensor:
    """A frame as (H, W, 3) float32, 0..1, on the CPU."""
    return over_white(repair(frames[number : number + 1])[0][0])
