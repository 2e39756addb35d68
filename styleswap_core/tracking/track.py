"""One face followed through a scene."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..faces.detected import DetectedFace
from .face_flow import FaceMotion
from .steady_points import steady_points

# Floats per frame: points, detected points (NaN if the face was only followed), motion of the points to the next frame
# (NaN if unknown), box, score.
_POINTS, _DETECTED, _MOVES, _BOX, _SCORE = slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 34), 34
_WIDTH = 35
# Distances as shares of a face's side: of a face that is found again from where it was followed to, above which that is
# not believed; and from where it was last seen, above which it is not assumed to have moved there.
_ASTRAY, _ELSEWHERE = 0.25, 1.5


@dataclass(frozen=True, eq=False)
class Place:
    """Where a face is in one frame.

    Attributes:
        frame: Number of the frame.
        points: (5, 2).
        box: (4,).
        score: The detector's score, in this frame or in the last one with a detection.
    """

    frame: int
    points: np.ndarray
    box: np.ndarray
    score: float


class Track:
    """A face through consecutive frames; frames may be missing between them.

    Attributes:
        number: Counts the tracks of a video, from 0.
        last_detected: Number of the newest frame with a detection.
        missed: Number of the first frame since then in which the detector did not find the face; None if it did.
        votes: Weight of the frames that gave the face each place of the choice; None for not chosen.
        bridged: First and last frame of each time in which the detector did not find the face, and found it again.
        misfits: Number of detections in a row that do not fit the size of the face.
    """

    def __init__(self, number: int) -> None:
        """A track without frames."""
        self.number = number
        self.last_detected = -1
        self.missed: int | None = None
        self.votes: dict[int | None, float] = {}
        self.bridged: list[tuple[int, int]] = []
        self.misfits = 0
        # Compact, since a track may be as long as a film.
        self._frames = array("q")
        self._values = array("f")
        self._embedding: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def last(self) -> Place:
        """The newest frame."""
        row = np.array(self._values[-_WIDTH:], np.float32)
        return Place(self._frames[-1], row[_POINTS].reshape(5, 2), row[_BOX], float(row[_SCORE]))

    @property
    def embedding(self) -> np.ndarray | None:
        """Mean embedding, L2-normalized; None if there is none."""
        if self._embedding is None:
            return None
        return np.asarray(self._embedding / max(float(np.linalg.norm(self._embedding)), 1e-9), np.float32)

    def detected(self, frame: int, face: DetectedFace) -> None:
        """Add a frame in which the face was detected, in place of what was followed to it."""
        if self.missed is not None and self._frames:
            if _distance(self.last.box, face.box) > _ASTRAY:
                # What was followed is rather what hid the face.
                self._drop_unconfirmed()
            if self._frames and _distance(self.last.box, face.box) > _ELSEWHERE:
                self.missed = None
            elif self._frames:
                self._fill_gap(frame, face)
        if self._frames and self._frames[-1] == frame:
            self._drop_last()
        self._append(frame, face.points, face.box, face.score, face.points)
        self._found(frame, face)

    def confirmed(self, frame: int, face: DetectedFace) -> None:
        """The face was detected in the newest frame, but its points are not trusted."""
        self._found(frame, face)

    def followed(self, frame: int, motion: FaceMotion) -> None:
        """Add a frame to which the face was followed from the one before."""
        last = self.last
        moved = motion.moved(last.points)
        self._set_moves(moved - last.points)
        self._append(frame, moved, motion.moved_box(last.box), last.score, None)

    def preceded(self, places: Sequence[Place]) -> None:
        """Add frames before the first one, in order, from which the face was followed to it."""
        for place in places:
            if self._frames:
                self.joined_to(place.points)
            self._append(place.frame, place.points, place.box, place.score, None)

    def joined_to(self, points: np.ndarray) -> None:
        """Set where the points (5, 2) of the newest frame are in the next one."""
        self._set_moves(points - self.last.points)

    def vote(self, place: int | None, weight: float) -> None:
        """Count a frame in which the choice gave the face a place, or none."""
        self.votes[place] = self.votes.get(place, 0.0) + weight

    def drop_unconfirmed(self) -> None:
        """Forget the frames from the first one on in which the detector did not find the face any more."""
        self._drop_unconfirmed()
        self.missed = None
        if self._frames:
            self._set_moves(np.full((5, 2), np.nan))

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the frames (T,), and the values (T, ...) of each."""
        return np.array(self._frames, np.int64), np.array(self._values, np.float32).reshape(-1, _WIDTH)

    def _drop_unconfirmed(self) -> None:
        while self.missed is not None and self._frames and self._frames[-1] >= self.missed:
            self._drop_last()

    def _fill_gap(self, frame: int, face: DetectedFace) -> None:
        """Add the frames to which the face could not be followed, on a straight way to where it is found again."""
        last = self.last
        if last.frame == frame:
            return
        for number in range(last.frame + 1, frame):
            share = (number - last.frame) / (frame - last.frame)
            points = last.points + share * (face.points - last.points)
            self.joined_to(points)
            self._append(number, points, last.box + share * (face.box - last.box), min(last.score, face.score), None)
        self.joined_to(face.points)

    def _found(self, frame: int, face: DetectedFace) -> None:
        if self.missed is not None:
            self.bridged.append((self.missed, frame - 1))
        self.last_detected, self.missed = frame, None
        if face.id_embedding is not None:
            sum_before = 0.0 if self._embedding is None else self._embedding
            self._embedding = sum_before + face.id_embedding.astype(np.float64)

    def _append(
        self, frame: int, points: np.ndarray, box: np.ndarray, score: float, detected: np.ndarray | None
    ) -> None:
        row = np.full(_WIDTH, np.nan, np.float32)
        row[_POINTS], row[_BOX], row[_SCORE] = np.ravel(points), box, score
        if detected is not None:
            row[_DETECTED] = np.ravel(detected)
        self._frames.append(frame)
        self._values.frombytes(row.tobytes())

    def _drop_last(self) -> None:
        self._frames.pop()
        del self._values[-_WIDTH:]

    def _set_moves(self, moves: np.ndarray) -> None:
        start = len(self._values) - _WIDTH
        self._values[start + _MOVES.start : start + _MOVES.stop] = array("f", np.ravel(moves).tolist())


def _weights(scores: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Weights (T,) of detections: about 1, and much less for scores below the usual one, such as of covered faces."""
    usual = float(np.median(scores[found])) if found.any() else 1.0
    return np.asarray(np.clip((scores / max(usual, 1e-3)) ** 4, 0.02, 1.5))


def _distance(box: np.ndarray, other: np.ndarray) -> float:
    """Distance of the centers of two boxes, as a share of the larger side."""
    side = float(max(np.max(one[2:] - one[:2]) for one in (box, other)))
    return float(np.linalg.norm(box[:2] + box[2:] - other[:2] - other[2:])) / 2 / max(side, 1.0)


@dataclass(frozen=True, eq=False)
class SteadyTrack:
    """A finished track.

    Attributes:
        number: Its number.
        frames: (T,) int64, in order.
        points: (T, 5, 2) float32, steady.
        boxes: (T, 4) float32.
        scores: (T,) float32.
        detected: (T,) bool, whether the detector found the face in the frame.
        embedding: Mean embedding (D,); None if there is none.
        votes: Weight of the frames that gave the face each place of the choice.
        bridged: First and last frame of each time in which the detector did not find the face, and found it again.
    """

    number: int
    frames: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    detected: np.ndarray
    embedding: np.ndarray | None
    votes: dict[int | None, float]
    bridged: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, track: Track, window: float) -> "SteadyTrack":
        """A track with its points averaged along the motion over `window` frames."""
        frames, values = track.rows()
        count = len(frames)
        guesses, detected, moves = (values[:, part].reshape(count, 5, 2) for part in (_POINTS, _DETECTED, _MOVES))
        found = ~np.isnan(detected[:, 0, 0])
        # A motion to a frame that is not the next one does not count.
        followed = ~np.isnan(moves[:, 0, 0]) & np.append(np.diff(frames) == 1, False)
        weights = np.where(found, _weights(values[:, _SCORE], found), 0.0)
        doubtful = np.zeros(count, bool)
        for first, last in track.bridged:
            doubtful |= (frames >= first - 1) & (frames <= last)
        targets = np.where(found[:, None, None], detected, guesses)
        points = steady_points(guesses, targets, weights, moves, followed, window, doubtful)
        shift = points.mean(1) - guesses.mean(1)
        boxes = values[:, _BOX] + np.concatenate([shift, shift], 1)
        return cls(
            track.number,
            frames,
            points.astype(np.float32),
            boxes.astype(np.float32),
            values[:, _SCORE].copy(),
            found,
            track.embedding,
            dict(track.votes),
            tuple(track.bridged),
        )
