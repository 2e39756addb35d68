"""Faces on their side and upside down, whose points a detector places as if they were upright.

Detectors are trained on upright faces. They find turned ones, often with a good score, but misplace their points. What
tells a face's turn is that the score is highest where the face appears upright. So each face is looked at again, small,
in six turns. Where the turn as found does not win clearly, it is looked at in twelve, which vote by score for the roll
that each of them sees: the right one is seen in several turns, wrong ones differ. Turned faces are then looked at once
more in their upright position and at a larger size, for their points.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .boxes import longer_side
from .close_looks import Place, angle_between, look_closely, roll_of
from .face_networks import Detection, FaceDetector

# Side of a place in lengths of the face's box.
_MARGIN = 1.6
_WIDE_MARGIN = 2.0
# First look: directions in degrees, and side of a cut in pixels.
_FIRST_TURNS, _FIRST_SIZE = range(0, 360, 60), 64
# A face counts as upright if its score leads those of its other turns by this much, and its points are turned by less.
# On 24 portraits in 11 turns this accepts none of 171 wrong ones, and all upright ones.
_CLEAR_LEAD = 0.03
_UPRIGHT_DEGREES = 25.0
# A face in a look is a neighbor of the one looked for if it is further away than this share of its size, or differs
# more in size; it is taken only if its score is higher by the malus.
_NEAR, _NEIGHBOR_MALUS = 0.5, 0.3
# Points that differ by a larger share of the face's size on average are not those of the same face.
_SAME_POINTS = 0.15
# Second look, and the difference in degrees up to which it confirms the turn as found.
_VOTING_TURNS, _VOTING_SIZE = range(0, 360, 30), 96
_SAME_DEGREES = 12.0
# Score of a vote without weight, and concentration of a vote about its roll (von Mises).
_NO_VOTE, _CONCENTRATION = 0.3, 8.0
# Last looks, each in the position that the one before found.
_FINE_SIZES = (64, 96, 128, 192, 256)
_MAX_FINE_LOOKS = 3
_SETTLED_DEGREES = 10.0


class SettledFace(NamedTuple):
    """A detection with the right turn.

    Attributes:
        face: The detection, with its points in the turn that was found.
        angle: Its roll in degrees, clockwise as seen in the picture.
        seen: Whether a close look found a face here.
    """

    face: Detection
    angle: float
    seen: bool


def settle_turns(detector: FaceDetector, picture: np.ndarray, found: Sequence[Detection]) -> list[SettledFace]:
    """The faces with points and angle in their right turn, in the same order; upright faces are kept as they are.

    Args:
        detector: The detector that found them.
        picture: (H, W, 3) uint8 RGB.
        found: The faces, in the picture's coordinates.
    """
    settled = [SettledFace(face, roll_of(face.points), True) for face in found]
    looks = _look_around(detector, picture, found, _FIRST_TURNS, _FIRST_SIZE)
    unclear = [number for number, row in enumerate(looks) if not _is_upright(settled[number], row)]
    votes = _look_around(detector, picture, [found[number] for number in unclear], _VOTING_TURNS, _VOTING_SIZE)
    changed: dict[int, SettledFace] = {}
    for number, row in zip(unclear, votes, strict=True):
        seen = [look for look in row if look is not None]
        if not seen:
            settled[number] = settled[number]._replace(seen=False)
        elif not _confirms(elected := _elected(seen), settled[number]):
            changed[number] = elected
    for number, face in zip(changed, _look_finely(detector, picture, list(changed.values())), strict=True):
        settled[number] = face
    return settled


def _look_around(
    detector: FaceDetector, picture: np.ndarray, faces: Sequence[Detection], turns: range, size: int
) -> list[list[Detection | None]]:
    """For each face its best detection in each turn, if any."""
    places = [(face, _place(face, turn, _MARGIN)) for face in faces for turn in turns]
    looks = look_closely(detector, picture, [place for _, place in places], size)
    best = [_best(look, face) for look, (face, _) in zip(looks, places, strict=True)]
    return [best[start : start + len(turns)] for start in range(0, len(best), len(turns))]


def _best(look: Sequence[Detection], face: Detection) -> Detection | None:
    """The best detection of a look, preferably of this face and not of its neighbor."""
    return max(look, key=lambda one: one.score - (0.0 if _is_near(one, face) else _NEIGHBOR_MALUS), default=None)


def _is_near(one: Detection, other: Detection) -> bool:
    """Whether two detections, which may differ in turn, can be the same face."""
    sizes = [longer_side(face.box) for face in (one, other)]
    distance = float(np.linalg.norm((one.box[:2] + one.box[2:] - other.box[:2] - other.box[2:]) / 2))
    return distance < _NEAR * max(sizes) and min(sizes) > _NEAR * max(sizes)


def _agree(one: Detection, other: Detection) -> bool:
    """Whether two detections have the same points, up to the precision of a small cut."""
    side = longer_side(other.box)
    return float(np.linalg.norm(one.points - other.points, axis=1).mean()) <= _SAME_POINTS * side


def _is_upright(found: SettledFace, looks: Sequence[Detection | None]) -> bool:
    own, *others = (0.0 if look is None else look.score for look in looks)
    confirmed = looks[0] is not None and _agree(looks[0], found.face)
    return confirmed and own >= max(others) + _CLEAR_LEAD and abs(found.angle) <= _UPRIGHT_DEGREES


def _elected(looks: Sequence[Detection]) -> SettledFace:
    """The roll for which most of the looks vote, and the best look that sees it."""
    rolls = np.radians([roll_of(look.points) for look in looks])
    weights = np.clip([look.score - _NO_VOTE for look in looks], 0.0, None) ** 2
    candidates = np.radians(np.arange(-180, 180, 2))
    closeness = np.exp(_CONCENTRATION * (np.cos(candidates[:, None] - rolls) - 1.0))
    angle = math.degrees(candidates[int((closeness * weights).sum(1).argmax())])
    best = max(looks, key=lambda look: look.score - angle_between(roll_of(look.points), angle) / 180)
    return SettledFace(best, angle, True)


def _confirms(elected: SettledFace, found: SettledFace) -> bool:
    return angle_between(elected.angle, found.angle) <= _SAME_DEGREES and _agree(elected.face, found.face)


def _look_finely(detector: FaceDetector, picture: np.ndarray, faces: Sequence[SettledFace]) -> list[SettledFace]:
    """Faces with points from looks in their upright position, until that no longer changes."""
    settled = list(faces)
    turning = set(range(len(settled)))
    for _ in range(_MAX_FINE_LOOKS):
        by_size: dict[int, list[int]] = {}
        for number in sorted(turning):
            by_size.setdefault(_fine_size(settled[number].face), []).append(number)
        for size, numbers in by_size.items():
            places = [_place(settled[number].face, settled[number].angle, _WIDE_MARGIN) for number in numbers]
            for number, look in zip(numbers, look_closely(detector, picture, places, size), strict=True):
                face, before = _best(look, settled[number].face), settled[number].angle
                if face is not None:
                    settled[number] = SettledFace(face, roll_of(face.points), True)
                if face is None or angle_between(settled[number].angle, before) < _SETTLED_DEGREES:
                    turning.discard(number)
    return settled


def _fine_size(face: Detection) -> int:
    """Side of a fine cut: the size in the picture, which enlarging would not improve, within limits."""
    side = longer_side(face.box) * _WIDE_MARGIN
    return next((size for size in _FINE_SIZES if size >= side), _FINE_SIZES[-1])


def _place(face: Detection, angle: float, margin: float) -> Place:
    return Place((face.box[:2] + face.box[2:]) / 2, longer_side(face.box) * margin, angle)
