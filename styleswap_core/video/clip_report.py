"""Report on a swapped video."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from ..pipeline.results import FrameReport


@dataclass
class FrameCounts:
    """Numbers of frames, and of faces in them.

    Attributes:
        frames: Frames in the result.
        swapped_frames: Frames in which a face was swapped.
        swapped_faces: Swapped faces in all frames.
        frames_without_faces: Frames in which no face was found.
        frames_with_problems: Frames in which faces were found, but a requested one was not swapped.
    """

    frames: int = 0
    swapped_frames: int = 0
    swapped_faces: int = 0
    frames_without_faces: int = 0
    frames_with_problems: int = 0

    @classmethod
    def total(cls, parts: "list[Mapping[str, int]]") -> "FrameCounts":
        """Sum of counts as `as_json` returns them."""
        sums: Counter[str] = Counter()
        for part in parts:
            sums.update(part)
        return cls(**{one.name: sums[one.name] for one in fields(cls)})

    def add(self, report: FrameReport) -> None:
        """Count a frame."""
        self.frames += 1
        self.swapped_frames += bool(report.swapped)
        self.swapped_faces += len(report.swapped)
        self.frames_without_faces += not report.faces_found
        self.frames_with_problems += bool(report.faces_found and report.problems)

    def as_json(self) -> dict[str, int]:
        """As plain values."""
        return asdict(self)


@dataclass
class ClipReport:
    """What happened to a video.

    Attributes:
        counts: Numbers of frames.
        encoder: FFmpeg's name of the encoder.
        pixel_format: Format of the encoded frames.
        notes: What a user should know about source and result.
        interrupted: Whether the work ended before the video did.
    """

    counts: FrameCounts
    encoder: str
    pixel_format: str
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    def as_json(self) -> dict[str, object]:
        """As plain JSON values."""
        values = asdict(self)
        return {**values.pop("counts"), **values}
