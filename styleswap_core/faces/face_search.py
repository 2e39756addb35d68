"""Search for the faces of a picture: passes of the detector, finer ones for small faces, and turned ones.

The passes over the whole picture are enough for most pictures. A finer search follows where small faces are likely, and
looks with a border and at the whole picture turned where nothing was found. Each face is then looked at closely; see
turned_faces.py.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .close_looks import Place, look_closely
from .detailed_parts import search_details
from .face_networks import Detection, FaceDetector
from .insightface_networks import MIN_SIDE, STRIDE
from .plausibility import doubt_about
from .recognition import MAX_ANALYZED_SIDE, Reduced, reduced
from .tiles import search_finely, smallest_side, without_doubles
from .turned_faces import SettledFace, settle_turns

# The smaller size finds large faces; detectors are trained on photographs with few faces that fill the frame.
DETECTION_SIZES = (640, 256)
# Side in pixels of faces that are found as surely in parts of a picture as in the whole.
_SMALL_IN_PARTS = 48
# Side in pixels of the largest faces that a pass finds as surely as smaller ones. Two detectors find faces of all sizes
# in frames of 16:9 at 640 px, up to 1.6 times as high as the frame.
_LARGEST_SEEN = 400
# Border, as a fraction of the sides, that is added to a picture without detections for another attempt.
PADDING = 0.5
# Side in pixels of the looks at a picture without detections: one with a border, and three turns.
_LOOK_SIZE = 256
_MIN_POINT_SPREAD = 1.0
# Points that must lie in the picture.
_MIN_VISIBLE_POINTS = 3


class FoundFace(NamedTuple):
    """A face of a picture.

    Attributes:
        detection: Box, score and points in continuous pixels of the picture.
        angle: Roll in degrees, clockwise as seen in the picture.
        doubtful: Why the detection is in doubt; empty if it is not.
    """

    detection: Detection
    angle: float
    doubtful: str


class FaceSearch:
    """A detector, and the sizes at which it runs."""

    def __init__(self, detector: FaceDetector, size: int | None = None) -> None:
        """Prepare searches.

        Args:
            detector: The detector.
            size: Side to which a picture's longer side is scaled, also if that enlarges it; None for automatic:
                `DETECTION_SIZES`, and finer ones where they pay, none of which enlarges.
        """
        self.detector = detector
        self.size = size

    def find(self, picture: np.ndarray, quick: bool = False, known: Reduced | None = None) -> list[FoundFace]:
        """All faces of a picture, in no particular order.

        Args:
            picture: (H, W, 3) uint8 RGB.
            quick: End if the passes over the whole picture find nothing, or doubtful faces only.
            known: What `reduced` makes of it, if that is known.
        """
        small, factors = known or reduced(picture)
        found, turned = [_scaled(face, factors) for face in self._passes(small)], list[Detection]()
        if quick:
            seen = _all_judged(picture, settle_turns(self.detector, picture, _visible(found, picture)))
            if all(face.doubtful for face in seen):
                return seen
        if not found:
            found, turned = ([_scaled(face, factors) for face in faces] for faces in self._looks(small))
        if self.size is None:
            found = self._finely(picture, found)
        settled = settle_turns(self.detector, picture, _visible(found, picture))
        if not settled and turned:
            settled = settle_turns(self.detector, picture, turned)
        return _all_judged(picture, settled)

    def _passes(self, picture: np.ndarray) -> list[Detection]:
        """The faces that passes over the whole picture find; those at larger sizes take precedence."""
        longer, shorter = max(picture.shape[:2]), min(picture.shape[:2])
        sizes = [self.size] if self.size else _fitting(DETECTION_SIZES, longer)
        if self.size or longer < DETECTION_SIZES[0]:
            # Nothing to save in small pictures.
            return without_doubles(_faces(face for size in sizes for face in self.detector.detect(picture, size)))
        fine, coarse = sizes
        found, whole = search_details(self.detector, picture, fine)
        found = _faces(found)
        # Others may be as small, and clearer with all of their surroundings.
        if not whole and found and smallest_side(found) * fine < _SMALL_IN_PARTS * longer:
            found, whole = _faces(self.detector.detect(picture, fine)), True
        # No face is too large for the fine pass if the picture is not.
        sure = whole and shorter * fine <= _LARGEST_SEEN * longer and any(not doubt_about(face) for face in found)
        if not sure:
            found += _faces(self.detector.detect(picture, coarse))
        return without_doubles(found)

    def _looks(self, picture: np.ndarray) -> tuple[list[Detection], list[Detection]]:
        """Faces that fill the picture, found with a border around it, and those that are found once it is turned."""
        height, width = picture.shape[:2]
        center, longer = np.array([width, height]) / 2, max(width, height)
        places = [Place(center, (1 + 2 * PADDING) * longer, 0)]
        if self.size is None:
            places += [Place(center, longer, angle) for angle in (90, 180, 270)]
        bordered, *turned = look_closely(self.detector, picture, places, self.size or _LOOK_SIZE)
        ranked = sorted((face for look in turned for face in look), key=lambda face: -face.score)
        return (
            without_doubles(_faces(bordered)),
            without_doubles(_visible(ranked, picture)),
        )

    def _finely(self, picture: np.ndarray, found: Sequence[Detection]) -> list[Detection]:
        longer = max(picture.shape[:2])
        return _faces(
            search_finely(self.detector, picture, found, DETECTION_SIZES[0], always=longer > MAX_ANALYZED_SIDE)
        )


def _fitting(sizes: Sequence[int], side: int) -> list[int]:
    """Detection sizes limited to a picture's longer side, without repeats: enlarging adds no detail."""
    least = max(MIN_SIDE, -(-side // STRIDE) * STRIDE)
    return list(dict.fromkeys(min(size, least) for size in sizes))


def _scaled(face: Detection, factors: np.ndarray) -> Detection:
    return Detection(face.box * np.tile(factors, 2), face.score, face.points * factors)


def _each_once(settled: Sequence[SettledFace]) -> list[SettledFace]:
    """Several detections of a turned head become the same one when they are looked at closely."""
    by_face = {id(face.face): face for face in settled}
    ranked = sorted(settled, key=lambda face: (not face.seen, -face.face.score))
    return [by_face[id(face)] for face in without_doubles(face.face for face in ranked)]


def _all_judged(picture: np.ndarray, settled: Sequence[SettledFace]) -> list[FoundFace]:
    return [_judged(face) for face in _each_once(settled) if _is_visible(face.face, picture)]


def _judged(settled: SettledFace) -> FoundFace:
    doubt = doubt_about(settled.face)
    if not doubt and not settled.seen:
        doubt = "a closer look finds no face here"
    return FoundFace(settled.face, settled.angle, doubt)


def _faces(detections: Iterable[Detection]) -> list[Detection]:
    return [face for face in detections if _is_face(face.points)]


def _is_face(points: np.ndarray) -> bool:
    # The points of a false detection can coincide, and then define no crop.
    return bool(np.isfinite(points).all()) and float(np.ptp(points, axis=0).max()) > _MIN_POINT_SPREAD


def _visible(faces: Sequence[Detection], picture: np.ndarray) -> list[Detection]:
    return [face for face in faces if _is_visible(face, picture)]


def _is_visible(face: Detection, picture: np.ndarray) -> bool:
    """Whether most of the five points lie in the picture.

    A face mostly beyond the picture's edge is unusable, and false detections are often much larger than the picture.
    """
    height, width = picture.shape[:2]
    inside = (face.points > -0.5).all(1) & (face.points < [width + 0.5, height + 0.5]).all(1)
    return int(inside.sum()) >= _MIN_VISIBLE_POINTS
