"""Following of faces through the frames of a video.

Faces are detected every few frames and followed by optical flow between them. Detections are assigned to tracks by
overlap with where the flow expects the face, and by embedding. Tracks end at cuts, and where a face is lost for longer.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..faces.boxes import longer_side
from ..faces.detected import DetectedFace
from .face_flow import face_motion
from .scene_cuts import SceneCuts
from .track import Place, Track
from .tracking_options import TrackingOptions

Detect = Callable[[bool], list[DetectedFace]]
"""Detects the faces of the current frame; with their embeddings or without."""

# Overlap from which a detection may be that of a track, and the bonus of a similar embedding.
_MIN_OVERLAP, _LIKENESS_WEIGHT = 0.2, 1.0
# Cosine similarities below which two faces differ, and above which a lost face is the same again.
_DIFFERENT, _SAME = 0.1, 0.4
# Frames after which a lost face is forgotten.
_MEMORY = 60
# Deviation of a detection from where the flow expects it, as a share of the face's side, from which faces are detected
# more often, and below which less often.
_SURPRISING, _EXPECTED = 0.08, 0.04
# Motion in one frame, as a share of the face's side, after which faces are detected at once.
_FAST = 0.15
# Change of a face's size since the frame before, or since it was seen last, from which a detection does not fit, and
# how many of them in a row are passed over. They surprise as much as `_MISFIT`.
_MAX_GROWTH, _MISFITS, _MISFIT = 1.4, 3, 1.0


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame to track faces in.

    Attributes:
        gray: (H, W) uint8.
        detect: Detects its faces.
    """

    gray: np.ndarray
    detect: Detect


class FaceTracker:
    """Builds the tracks of a video, frame by frame.

    Attributes:
        tracks: All tracks so far, in the order of their first frames.
        detections: Number of frames in which faces were detected.
        cuts: Numbers of the first frames after a cut.
    """

    def __init__(self, options: TrackingOptions, embed: bool = False) -> None:
        """Start before the first frame.

        Args:
            options: Settings.
            embed: Whether every detection needs embeddings, even of a single face.
        """
        self._options, self._embed = options, embed
        self.tracks: list[Track] = []
        self.detections = 0
        self.cuts: list[int] = []
        self._active: list[Track] = []
        self._lost: list[Track] = []
        self._recent: deque[np.ndarray] = deque(maxlen=options.detection_interval)
        self._scenes = SceneCuts()
        self._frame = -1
        self._last_turn = -1
        self._interval, self._due = options.detection_interval, 0

    def add(self, frame: Frame) -> list[tuple[Track, DetectedFace]]:
        """Take the next frame.

        Returns:
            Tracks and faces that were detected in it; empty if the frame was not a turn of the detector.
        """
        self._frame += 1
        if self._scenes.is_cut(frame.gray):
            self.cuts.append(self._frame)
            self._end_scene()
        self._follow(frame.gray)
        found: list[tuple[Track, DetectedFace]] = []
        if self._frame >= self._due:
            found = self._detect(frame)
            self._due = self._frame + self._interval
        self._recent.append(frame.gray)
        return found

    def finish(self) -> list[Track]:
        """The tracks, after the last frame."""
        self._end_scene()
        return self.tracks

    def _end_scene(self) -> None:
        for track in self._active:
            track.drop_unconfirmed()
        self._active, self._lost = [], []
        self._recent.clear()
        self._interval, self._due = self._options.detection_interval, self._frame

    def _follow(self, gray: np.ndarray) -> None:
        """Move the tracks from the frame before to this one."""
        if not self._recent:
            return
        for track in self._active:
            last = track.last
            if last.frame != self._frame - 1:
                continue
            motion = face_motion(self._recent[-1], gray, last.box)
            if motion is None:
                # Another look at once.
                self._due = self._frame
                continue
            track.followed(self._frame, motion)
            shift = float(np.linalg.norm(track.last.points.mean(0) - last.points.mean(0)))
            if shift > _FAST * longer_side(last.box):
                self._due = self._frame

    def _detect(self, frame: Frame) -> list[tuple[Track, DetectedFace]]:
        faces = frame.detect(self._embed or len(self._active) > 1 or bool(self._lost))
        self.detections += 1
        pairs = _assign(self._active, faces)
        deviations = [self._update(track, face) for track, face in pairs]
        surprise = max(deviations, default=0.0)
        assigned = {id(face) for _, face in pairs}
        pairs = [pair for pair, deviation in zip(pairs, deviations, strict=True) if deviation < _MISFIT]
        found = [*pairs, *((self._begin(face, frame.gray), face) for face in faces if id(face) not in assigned)]
        self._end_lost({track.number for track, _ in found})
        if surprise > _SURPRISING:
            self._interval = max(1, self._interval // 2)
        elif surprise < _EXPECTED:
            self._interval = min(self._options.detection_interval, self._interval + 1)
        self._last_turn = self._frame
        return found

    def _update(self, track: Track, face: DetectedFace) -> float:
        """Add a detection to a track; returns its deviation from where the flow expects the face."""
        last = track.last
        growth = longer_side(face.box) / max(longer_side(last.box), 1.0)
        if not 1 / _MAX_GROWTH < growth < _MAX_GROWTH and track.misfits < _MISFITS:
            # Half a face behind a hand is found at any size. Another look soon.
            track.misfits += 1
            return _MISFIT
        track.misfits = 0
        if last.frame != self._frame:
            track.detected(self._frame, face)
            return 0.0
        if face.doubtful:
            track.confirmed(self._frame, face)
            return 0.0
        track.detected(self._frame, face)
        return _deviation(last, face)

    def _begin(self, face: DetectedFace, gray: np.ndarray) -> Track:
        """A new track, or one that was lost and is found again."""
        hidden = [one for one in self._active if one.missed is not None]
        track = _same_face([*self._lost, *hidden], face)
        if track is None:
            track = Track(len(self.tracks))
            self.tracks.append(track)
            places = self._backwards(face, gray)
            track.preceded(places)
            if places:
                track.joined_to(face.points)
        elif track in self._lost:
            self._lost.remove(track)
        track.detected(self._frame, face)
        if track not in self._active:
            self._active.append(track)
        return track

    def _backwards(self, face: DetectedFace, gray: np.ndarray) -> list[Place]:
        """Where a face was in the frames since the last turn of the detector, in order."""
        places: list[Place] = []
        after, box, points = gray, face.box, face.points
        for steps, before in enumerate(reversed(self._recent), start=1):
            frame = self._frame - steps
            if frame <= self._last_turn:
                break
            motion = face_motion(after, before, box)
            if motion is None or not _inside(motion.moved(points), before.shape):
                break
            points, box = motion.moved(points), motion.moved_box(box)
            places.append(Place(frame, points, box, face.score))
            after = before
        return places[::-1]

    def _end_lost(self, found: set[int]) -> None:
        """Tracks that are not found for too long are lost, and forgotten later."""
        for track in list(self._active):
            if track.number in found:
                continue
            if track.missed is None:
                track.missed = self._frame
            if self._frame - track.last_detected > self._options.bridge:
                track.drop_unconfirmed()
                self._active.remove(track)
                self._lost.append(track)
        self._lost = [track for track in self._lost if self._frame - track.last_detected <= _MEMORY]


def _assign(tracks: Sequence[Track], faces: Sequence[DetectedFace]) -> list[tuple[Track, DetectedFace]]:
    """Pairs of tracks and faces, the surest first; each is used at most once."""
    scored = []
    for track in tracks:
        for face in faces:
            overlap, likeness = _overlap(track.last.box, face.box), _likeness(track, face)
            if overlap < _MIN_OVERLAP or (likeness is not None and likeness < _DIFFERENT):
                continue
            scored.append((overlap + _LIKENESS_WEIGHT * (likeness or 0.0), track, face))
    scored.sort(key=lambda entry: (-entry[0], entry[1].number, entry[2].index))
    pairs: list[tuple[Track, DetectedFace]] = []
    used: set[int] = set()
    for _, track, face in scored:
        if id(track) not in used and id(face) not in used:
            used |= {id(track), id(face)}
            pairs.append((track, face))
    return pairs


def _same_face(lost: Sequence[Track], face: DetectedFace) -> Track | None:
    """The lost track of a face that is found again."""
    best, track = 0.0, None
    for one in lost:
        likeness = _likeness(one, face)
        score = _overlap(one.last.box, face.box) if likeness is None else likeness - _SAME
        if score > best:
            best, track = score, one
    return track


def _likeness(track: Track, face: DetectedFace) -> float | None:
    mine = track.embedding
    return None if mine is None or face.id_embedding is None else float(mine @ face.id_embedding)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    across, down = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = max(float(across), 0.0) * max(float(down), 0.0)
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return common / max(sum(areas) - common, 1e-9)


def _deviation(expected: Place, face: DetectedFace) -> float:
    """Mean distance between expected and detected points, as a share of the face's side."""
    distance = float(np.linalg.norm(expected.points - face.points, axis=1).mean())
    return distance / max(longer_side(face.box), 1.0)


def _inside(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    return bool((points >= 0).all() and (points < np.array(shape[1::-1])).all())
