"""Fine search of large pictures: overlapping tiles, one level of detail after the other, merged without doubles."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .boxes import longer_side
from .detailed_parts import has_detail
from .face_networks import Detection, FaceDetector

# Longer side of the whole picture at each level, and of a tile, in the detector's pixels.
LEVELS = (1280, 2560, 5120)
_TILE = 1280
# Tiles share this many of the detector's pixels, so that each face that needs their level is whole in one of them.
_OVERLAP = 128
# Boxes that end this close to a tile's edge inside the picture are cut off there.
_EDGE = 2.0
# Faces that are smaller at the scale of their pass gain from a finer one, and show that there may be others.
SMALL_FACE = 32.0
# Faces of this size have better points in the coarser of two passes.
_LARGE_FACE = 96.0
_SAME_FACE_IOU = 0.4
_SAME_FACE_PART = 0.8


def search_finely(
    detector: FaceDetector, picture: np.ndarray, found: Sequence[Detection], size: int, always: bool
) -> list[Detection]:
    """The faces found before together with those of finer levels, as long as these pay.

    A finer level is searched if nothing was found, if the smallest face is small for the last level, and the first one
    also if `always`; those after it only if the last one added faces.

    Args:
        detector: The detector.
        picture: (H, W, 3) uint8 RGB.
        found: What passes over the whole picture found.
        size: Side to which they scaled its longer side.
        always: Whether the first level is searched in any case.
    """
    longer = max(picture.shape[:2])
    found = list(found)
    for level in LEVELS:
        if size >= longer:
            break
        if found and not always and smallest_side(found) * size / longer >= SMALL_FACE:
            break
        before, finer = len(found), min(level, longer)
        found = merge(found, _search_level(detector, picture, finer), size / longer)
        size, always = finer, False
        if len(found) == before:
            break
    return found


def tile_starts(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Start and end of the fewest equal tiles of at most `tile` that cover a length and share at least `overlap`."""
    count = 1 if length <= tile else -(-(length - overlap) // (tile - overlap))
    side = -(-(length + (count - 1) * overlap) // count)
    starts = [round(number * (length - side) / max(count - 1, 1)) for number in range(count)]
    return [(start, start + side) for start in starts]


def merge(coarse: Iterable[Detection], fine: Iterable[Detection], coarse_scale: float) -> list[Detection]:
    """Detections of two levels, each face once: large faces from the coarse level, small ones from the fine one.

    Args:
        coarse: Faces of the coarse level.
        fine: Faces of the fine level.
        coarse_scale: The detector's pixels per pixel of the picture at the coarse level.
    """
    ranked = [(longer_side(face.box) * coarse_scale < _LARGE_FACE, face) for face in coarse]
    first = [face for small, face in ranked if not small]
    last = [face for small, face in ranked if small]
    return without_doubles([*first, *fine, *last])


def without_doubles(faces: Iterable[Detection]) -> list[Detection]:
    """The faces without those that show the same head as another one.

    Of two boxes that coincide, the earlier is kept; of a box and a part of it, the one with the higher score.
    """
    kept: list[Detection] = []
    for face in faces:
        doubles = [(other, _overlap(face, other)) for other in kept]
        doubles = [(other, overlap) for other, overlap in doubles if overlap.is_same_head]
        if all(overlap.of_union < _SAME_FACE_IOU and face.score > other.score for other, overlap in doubles):
            replaced = {id(other) for other, _ in doubles}
            kept = [other for other in kept if id(other) not in replaced] + [face]
    return kept


class _Overlap(NamedTuple):
    """The common area of two boxes, as a share of their union and of the smaller box."""

    of_union: float
    of_smaller: float

    @property
    def is_same_head(self) -> bool:
        return self.of_union >= _SAME_FACE_IOU or self.of_smaller >= _SAME_FACE_PART


def _overlap(face: Detection, other: Detection) -> _Overlap:
    sides = np.minimum(face.box[2:], other.box[2:]) - np.maximum(face.box[:2], other.box[:2])
    common = float(np.prod(np.clip(sides, 0, None)))
    areas = [float(np.prod(np.clip(box[2:] - box[:2], 0, None))) for box in (face.box, other.box)]
    return _Overlap(common / max(sum(areas) - common, 1e-9), common / max(min(areas), 1e-9))


def smallest_side(faces: Sequence[Detection]) -> float:
    """Side of the smallest face in pixels."""
    return min(longer_side(face.box) for face in faces)


def _search_level(detector: FaceDetector, picture: np.ndarray, size: int) -> list[Detection]:
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    tile, overlap = round(_TILE / scale), round(_OVERLAP / scale)
    faces = []
    for top, bottom in tile_starts(height, tile, overlap):
        for left, right in tile_starts(width, tile, overlap):
            corner, edge = np.array([left, top]), _EDGE / scale
            part = picture[top:bottom, left:right]
            part_size = round(max(part.shape[:2]) * scale)
            # The level before has seen what has no detail.
            if detector.any_shape and not has_detail(part, part_size):
                continue
            for face in detector.detect(part, part_size):
                box = face.box + np.tile(corner, 2)
                cut_low = (box[:2] < corner + edge) & (corner > 0)
                cut_high = (box[2:] > [right - edge, bottom - edge]) & (np.array([right, bottom]) < [width, height])
                if not (cut_low | cut_high).any():
                    faces.append(Detection(box, face.score, face.points + corner))
    return without_doubles(sorted(faces, key=lambda face: -face.score))
