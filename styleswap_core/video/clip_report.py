"""Report on a swapped video."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..pipeline.results import FrameReport
from ..pipeline.tracked_faces import TrackReport

MEASURED_EVERY = 32
"""Interval of the frames whose faces are compared with the source, at two runs of the recognizer per face."""
MAX_DOUBTFUL = 24
# Doubtful frames that follow each other show the same.
_APART = 12
_LOST_FACE, _IMPLAUSIBLE = 0.3, 0.0


@dataclass(frozen=True)
class DoubtfulFrame:
    """One of the frames in which the swap is least certain.

    Attributes:
        frame: Its number, from 0.
        pts: Its time in units of the source's time base.
        time: The same in seconds.
        confidence: The lower, the more doubtful: the detector's score, or less where points are implausible or a face
            is lost that the frame before shows.
        reason: Why.
        box: The face in the upright picture, x0, y0, x1, y1 in pixels; empty for a frame without one.
    """

    frame: int
    pts: int
    time: float
    confidence: float
    reason: str
    box: tuple[float, ...] = ()


@dataclass
class FrameCounts:
    """Numbers of frames, and of faces in them.

    Attributes:
        frames: Frames in the result.
        swapped_frames: Frames in which a face was swapped.
        swapped_faces: Swapped faces in all frames.
        frames_without_faces: Frames in which no face was found.
        frames_with_problems: Frames in which faces were found, but a requested one was not swapped.
        measured_faces: Swapped faces whose similarity to the source was measured.
        similarity_before: Sum of their cosine similarities to the source before the swap.
        similarity: The same after the swap.
    """

    frames: int = 0
    swapped_frames: int = 0
    swapped_faces: int = 0
    frames_without_faces: int = 0
    frames_with_problems: int = 0
    measured_faces: int = 0
    similarity_before: float = 0.0
    similarity: float = 0.0

    def add(self, report: FrameReport) -> None:
        """Count a frame."""
        self.frames += 1
        self.swapped_frames += bool(report.swapped)
        self.swapped_faces += len(report.swapped)
        self.frames_without_faces += not report.faces_found
        self.frames_with_problems += bool(report.faces_found and report.problems)
        for face in report.swapped:
            if face.similarity is not None and face.similarity_before is not None:
                self.measured_faces += 1
                self.similarity_before += face.similarity_before
                self.similarity += face.similarity

    def __add__(self, other: "FrameCounts") -> "FrameCounts":
        """Sum of two parts."""
        mine, others = asdict(self), asdict(other)
        return FrameCounts(**{name: value + others[name] for name, value in mine.items()})


@dataclass
class PartReport:
    """Report on consecutive frames, which is stored with their segment.

    Attributes:
        counts: Numbers of frames.
        doubtful: The most doubtful frames.
        likeness: Number of measured faces, and sums of their similarities before and after, by number of the track.
    """

    counts: FrameCounts = field(default_factory=FrameCounts)
    doubtful: list[DoubtfulFrame] = field(default_factory=list)
    likeness: dict[int, list[float]] = field(default_factory=dict)
    _face_before: bool = False

    def add(self, report: FrameReport, frame: int, pts: int, time: float) -> None:
        """Count a frame."""
        self.counts.add(report)
        found = _doubt(report, self._face_before)
        if found is not None:
            self.doubtful.append(DoubtfulFrame(frame, pts, time, *found))
        self._face_before = bool(report.swapped)
        for face in report.swapped:
            if face.similarity is not None and face.similarity_before is not None:
                sums = self.likeness.setdefault(face.face.index, [0, 0.0, 0.0])
                for place, value in enumerate((1, face.similarity_before, face.similarity)):
                    sums[place] += value

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "counts": asdict(self.counts),
            "doubtful": [asdict(one) for one in most_doubtful(self.doubtful)],
            "likeness": list(self.likeness.items()),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PartReport":
        """Inverse of `as_json`."""
        doubtful = [_doubtful_frame(one) for one in values["doubtful"]]
        return cls(FrameCounts(**values["counts"]), doubtful, dict(values["likeness"]))


@dataclass(frozen=True)
class ClipTrack(TrackReport):
    """Report on one track of a video.

    Attributes:
        similarity_before: Mean cosine similarity to the source before the swap; None if it was not measured.
        similarity: The same after the swap.
    """

    similarity_before: float | None = None
    similarity: float | None = None


@dataclass
class ClipReport:
    """What happened to a video.

    Attributes:
        counts: Numbers of frames.
        encoder: FFmpeg's name of the encoder.
        pixel_format: Format of the encoded frames.
        notes: What a user should know about source and result.
        interrupted: Whether the work ended before the video did.
        doubtful: The most doubtful frames, in order.
        tracks: The tracks, with their similarities to the source; empty if faces were not followed.
        detections: Number of frames in which faces were detected to follow them.
    """

    counts: FrameCounts
    encoder: str
    pixel_format: str
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    doubtful: list[DoubtfulFrame] = field(default_factory=list)
    tracks: list[ClipTrack] = field(default_factory=list)
    detections: int = 0

    @property
    def similarities(self) -> tuple[float, float] | None:
        """Mean cosine similarity of the measured faces to the source, before and after; None if none was measured."""
        count = self.counts.measured_faces
        return (self.counts.similarity_before / count, self.counts.similarity / count) if count else None

    def as_json(self) -> dict[str, object]:
        """As plain JSON values."""
        values = asdict(self)
        counts = values.pop("counts")
        before, after = self.similarities or (None, None)
        counts |= {"similarity_before": _rounded(before), "similarity": _rounded(after)}
        return {**counts, **values}


def most_doubtful(frames: Iterable[DoubtfulFrame]) -> list[DoubtfulFrame]:
    """The MAX_DOUBTFUL most doubtful frames that are some frames apart, in order."""
    chosen: list[DoubtfulFrame] = []
    for one in sorted(frames, key=lambda one: (one.confidence, one.frame)):
        if len(chosen) < MAX_DOUBTFUL and all(abs(one.frame - other.frame) >= _APART for other in chosen):
            chosen.append(one)
    return sorted(chosen, key=lambda one: one.frame)


def clip_tracks(reports: Iterable[TrackReport], parts: Iterable[PartReport]) -> list[ClipTrack]:
    """Reports on tracks with the similarities that were measured in all parts of a video."""
    sums: dict[int, list[float]] = {}
    for part in parts:
        for track, values in part.likeness.items():
            sums[track] = [one + other for one, other in zip(sums.get(track, [0, 0.0, 0.0]), values, strict=True)]
    found = []
    for report in reports:
        count, before, after = sums.get(report.track, [0, 0.0, 0.0])
        likeness = (_rounded(before / count), _rounded(after / count)) if count else (None, None)
        found.append(ClipTrack(**asdict(report), similarity_before=likeness[0], similarity=likeness[1]))
    return found


def _doubtful_frame(values: Mapping[str, Any]) -> DoubtfulFrame:
    return DoubtfulFrame(**{**values, "box": tuple(values["box"])})


def _doubt(report: FrameReport, face_before: bool) -> tuple[float, str, tuple[float, ...]] | None:
    """Confidence in a frame, the reason for it and the box of the face; None for a frame without faces."""
    if not report.swapped:
        problem = report.problems[0] if report.problems else "no face was found"
        return (_LOST_FACE, problem, ()) if face_before else None
    face = min((one.face for one in report.swapped), key=lambda face: (not face.doubtful, face.score))
    box = tuple(round(float(value), 1) for value in face.box)
    if face.doubtful:
        return _IMPLAUSIBLE, face.doubtful, box
    return round(float(face.score), 4), f"detected with a score of {face.score:.2f}", box


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
