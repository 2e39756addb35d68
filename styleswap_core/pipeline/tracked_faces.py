"""Faces of a whole video, followed before they are swapped: who each one becomes is decided once for its track."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..compositing.pixels import AnyPixels, Picture, pixels_of
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from ..tracking.face_tracker import FaceTracker, Frame
from ..tracking.track import SteadyTrack
from ..tracking.track_files import load_tracks, save_tracks
from ..tracking.tracking_options import TrackingOptions
from .empty_frames import EmptyFrames
from .frame_faces import FrameFaces, identity_of_place
from .frame_requests import FrameRequest, find_faces

# Frames that are looked up together.
_BLOCK = 256
# Share of a track's frames from which another one with the same place is in its way.
_SHARED = 0.5
# Share of a face from which another one hides it.
_COVERED = 0.25


@dataclass(frozen=True)
class TrackReport:
    """Report on one track.

    Attributes:
        track: Its number; `DetectedFace.index` of its faces in reports.
        first: Number of its first frame.
        last: Number of its last frame.
        frames: Number of its frames.
        detected: Number of frames in which the detector found the face; in the others it was followed.
        missing: Number of frames between the first and the last in which the face is not known, and not swapped.
        bridged: First and last frame of each time in which the detector did not find the face, such as behind a hand,
            and it was followed all the same.
        place: Place of the choice that decides its identity, in turn its number among the identities; None if it is not
            swapped.
        score: Mean score of the detector.
    """

    track: int
    first: int
    last: int
    frames: int
    detected: int
    missing: int
    place: int | None
    score: float
    bridged: tuple[tuple[int, int], ...] = ()


class TrackedFaces:
    """The tracks of a video and the identity of each.

    Attributes:
        tracks: The tracks.
        places: Place of the choice by number of the track; None for tracks that are not swapped.
        detections: Number of frames in which faces were detected.
        cuts: Numbers of the first frames after a cut.
    """

    def __init__(
        self,
        tracks: Sequence[SteadyTrack],
        identities: Sequence[Identity],
        choice: FaceChoice,
        detections: int = 0,
        cuts: Sequence[int] = (),
        smoothing: float = 0.0,
    ) -> None:
        """Decide about tracks.

        Args:
            tracks: The tracks of a video.
            identities: As for `Swapper.swap`.
            choice: The choice whose places the tracks have votes for.
            detections: Number of frames in which faces were detected.
            cuts: Numbers of the first frames after a cut.
            smoothing: The one of `TrackingOptions`; colors are averaged over as many frames before and after.
        """
        self.tracks, self._identities, self._choice = list(tracks), tuple(identities), choice
        self.places = _places(self.tracks, choice.takes_every_face and len(self._identities) == 1)
        self.detections, self.cuts, self._smoothing = detections, list(cuts), smoothing
        self._blocks: dict[int, list[SteadyTrack]] = defaultdict(list)
        for track in self.tracks:
            for block in np.unique(track.frames // _BLOCK).tolist():
                self._blocks[block].append(track)

    @property
    def color_window(self) -> int:
        """Number of frames before and after each one over which colors are averaged."""
        return round(self._smoothing)

    @property
    def any_chosen(self) -> bool:
        """Whether any face is swapped in any frame."""
        places = [place for place in self.places.values() if place is not None]
        return any(self._identity(place) is not None for place in places)

    def of_frame(self, number: int) -> FrameFaces:
        """The faces of a frame by its number."""
        near = self._blocks.get(number // _BLOCK, [])
        seen = [(track, row) for track in near if (row := _row(track, number)) is not None]
        if not seen:
            return FrameFaces([], 0, ["no face found"])
        behind = {track.number for track, row in seen if _is_behind(track, row, seen)}
        best: dict[int, tuple[SteadyTrack, int]] = {}
        chosen: list[tuple[SteadyTrack, int]] = []
        for track, row in seen:
            place = self.places[track.number]
            if place is None or track.number in behind:
                continue
            if self._choice.takes_every_face and len(self._identities) == 1:
                chosen.append((track, row))
            elif place not in best or track.votes[place] > best[place][0].votes[place]:
                best[place] = track, row
        pairs = []
        for track, row in [*chosen, *best.values()]:
            identity = self._identity(self.places[track.number] or 0)
            if identity is not None:
                pairs.append((_face(track, row), identity))
        pairs.sort(key=lambda pair: pair[0].index)
        hidden = [
            f"face {number} is behind another one" for number in sorted(behind) if self.places[number] is not None
        ]
        return FrameFaces(pairs, len(seen), [] if pairs else [f"none of {len(seen)} faces is chosen"], hidden)

    def _identity(self, place: int) -> Identity | None:
        return identity_of_place(self._identities, place, self._choice.deals_in_turn)

    def report(self) -> list[TrackReport]:
        """Report on all tracks."""
        return [
            TrackReport(
                track=track.number,
                first=int(track.frames[0]),
                last=int(track.frames[-1]),
                frames=len(track.frames),
                detected=int(track.detected.sum()),
                missing=int(track.frames[-1] - track.frames[0]) + 1 - len(track.frames),
                place=self._reported_place(track),
                score=round(float(track.scores.mean()), 4),
                bridged=track.bridged,
            )
            for track in self.tracks
        ]

    def _reported_place(self, track: SteadyTrack) -> int | None:
        place = self.places[track.number]
        return place if place is None or not self._choice.deals_in_turn else place % len(self._identities)

    def save(self, path: Path) -> None:
        """Write the tracks to a .npz file.

        Raises:
            StyleSwapError: It cannot be written.
        """
        save_tracks(path, self.tracks, [self.detections, *self.cuts], self._smoothing)

    @classmethod
    def load(cls, path: Path, identities: Sequence[Identity], choice: FaceChoice) -> "TrackedFaces | None":
        """The tracks in a file; None if it is missing or damaged."""
        found = load_tracks(path)
        if found is None:
            return None
        tracks, (detections, *cuts), smoothing = found
        return cls(tracks, identities, choice, detections, cuts, smoothing)


class FaceFollower:
    """Follows the faces of a video for a choice, frame by frame."""

    def __init__(self, analysis: FaceAnalyzer, request: FrameRequest, options: TrackingOptions) -> None:
        """Start before the first frame."""
        self._analysis, self._request, self._options = analysis, request, options
        self._tracker = FaceTracker(options, request.choice.needs_embeddings)
        self._size: tuple[int, int] | None = None
        self._empty, self._number = EmptyFrames(request.options.swap_doubtful), -1

    def add(self, frame: Picture) -> None:
        """Take the next frame.

        Raises:
            StyleSwapError: It has another size than the ones before.
        """
        pixels = pixels_of(frame)
        if self._size is not None and pixels.size != self._size:
            raise StyleSwapError(f"expected frames of one size to follow faces, got {self._size} and {pixels.size}")
        self._size = pixels.size
        self._number += 1
        # Read in any case, since masks may be a stream.
        only_in = self._request.faces_mask(self._number, pixels.size)
        found = self._tracker.add(Frame(pixels.gray(), lambda embed: self._detect(pixels, embed)))
        if not found:
            return
        # Doubtful faces neither win nor lose a vote.
        if not self._request.options.swap_doubtful:
            found = [(track, face) for track, face in found if not face.doubtful]
        picked, _ = self._request.choice.pick([face for _, face in found], only_in)
        places = {id(face): place for place, face in picked}
        for track, face in found:
            track.vote(places.get(id(face)), max(face.score, 0.01) * float(np.sqrt(max(face.area, 1.0))))

    def finish(self) -> TrackedFaces:
        """The tracks, after the last frame."""
        tracks = [track for track in self._tracker.finish() if len(track)]
        steady = [SteadyTrack.of(track, self._options.smoothing) for track in tracks]
        return TrackedFaces(
            steady,
            self._request.identities,
            self._request.choice,
            self._tracker.detections,
            self._tracker.cuts,
            self._options.smoothing,
        )

    def _detect(self, pixels: AnyPixels, embed: bool) -> list[DetectedFace]:
        picture = pixels.uint8()
        embed = embed and bool(self._analysis.recognizer)

        def detect(quick: bool) -> list[DetectedFace]:
            return find_faces(self._analysis, picture, self._request.choice, embed, quick)

        return self._empty.search(self._number, picture, detect)


def _places(tracks: Sequence[SteadyTrack], alike: bool) -> dict[int, int | None]:
    """Place of each track by its number: the one with most weight; None if the face is not chosen in most frames.

    A place that another track with more weight has at the same time goes to that one, and the track gets its next one.

    Args:
        tracks: The tracks.
        alike: Whether all places have the same identity.
    """
    wishes = {track.number: _ordered_places(track) for track in tracks}
    places = {number: ordered[0] for number, ordered in wishes.items()}
    if alike:
        return places
    taken: dict[int, np.ndarray] = {}
    for track in sorted(tracks, key=lambda track: -max(track.votes.values(), default=0.0)):
        for place in wishes[track.number]:
            if place is None:
                break
            frames = taken.setdefault(place, np.zeros(0, bool))
            if len(frames) <= track.frames[-1]:
                frames = taken[place] = np.append(frames, np.zeros(track.frames[-1] + 1, bool))
            if frames[track.frames].mean() <= _SHARED:
                frames[track.frames] = True
                places[track.number] = place
                break
    return places


def _ordered_places(track: SteadyTrack) -> list[int | None]:
    """The places that a track has votes for, the one with most weight first."""
    ordered = sorted(track.votes, key=lambda place: (-track.votes[place], place is not None, place or 0))
    return ordered or [None]


def _is_behind(track: SteadyTrack, row: int, seen: Sequence[tuple[SteadyTrack, int]]) -> bool:
    """Whether the detector does not find a face because another one is in front of it."""
    if not _is_bridged(track, row):
        return False
    box = track.boxes[row]
    area = max(float(np.prod(box[2:] - box[:2])), 1e-9)
    for other, place in seen:
        if other is track or _is_bridged(other, place):
            continue
        front = other.boxes[place]
        across, down = np.minimum(box[2:], front[2:]) - np.maximum(box[:2], front[:2])
        if max(float(across), 0.0) * max(float(down), 0.0) > _COVERED * area:
            return True
    return False


def _is_bridged(track: SteadyTrack, row: int) -> bool:
    return any(first <= track.frames[row] <= last for first, last in track.bridged)


def _row(track: SteadyTrack, number: int) -> int | None:
    row = int(np.searchsorted(track.frames, number))
    return row if row < len(track.frames) and track.frames[row] == number else None


def _face(track: SteadyTrack, row: int) -> DetectedFace:
    return DetectedFace(track.number, float(track.scores[row]), track.boxes[row], track.points[row], track.embedding)
