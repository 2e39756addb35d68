"""Segments: consecutive encoded frames in a file of their own, which are joined to a video at the end.

Each segment is encoded independently of the others, so that work can go on after an interruption, or be shared.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from ..errors import StyleSwapError
from ..io.files import atomic_write
from ..io.json_text import read_record
from .color_tags import FULL_RANGE, LIMITED_RANGE
from .encoders import EncoderPlan
from .frame_planes import FrameLayout
from .pixel_formats import describe_format
from .video_source import describe_error

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SUFFIX = ".nut"
_ANY_TYPE = 0


@dataclass(frozen=True)
class Segment:
    """A finished segment.

    Attributes:
        path: Its file.
        times: When its frames are shown, in units of the time base, in order.
        end: When its last frame is no longer shown.
        reorder: By how many places a frame is at most encoded before its turn.
        report: What is told about its frames, as JSON values.
    """

    path: Path
    times: Sequence[int]
    end: int
    reorder: int
    report: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Segment | None":
        """The segment in a file; None if it is missing or was not finished."""
        values = read_record(_record(path), times=list, end=int, reorder=int, report=dict)
        try:
            return None if values is None or not path.is_file() else cls(path=path, **values)
        except TypeError:
            return None

    def save(self) -> None:
        """Mark the segment as finished."""
        with atomic_write(_record(self.path)) as temporary:
            values = {name: value for name, value in asdict(self).items() if name != "path"}
            temporary.write_text(json.dumps(values), encoding="utf-8")

    def remove(self) -> None:
        """Delete the files."""
        _record(self.path).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


class SegmentWriter:
    """Encodes the frames of a segment.

    Times in the file are relative to the first frame.
    """

    def __init__(self, path: Path, plan: EncoderPlan, layout: FrameLayout) -> None:
        """Start a segment.

        Args:
            path: File to write; what it holds is replaced when the segment is finished.
            plan: The encoder.
            layout: Form of the frames.

        Raises:
            StyleSwapError: The encoder does not start, such as that of hardware that is missing.
        """
        import av

        self._path, self._plan, self._layout = path, plan, layout
        # Two processes may be at work on one segment, if the first one does not know yet that it is no longer wanted.
        self._unfinished = path.with_name(f"unfinished-{uuid4().hex}{SUFFIX}")
        self._times: list[int] = []
        self._encoded: list[int] = []
        self._container: OutputContainer = av.open(str(self._unfinished), "w", format=_container_of(plan.encoder))
        try:
            self._stream = cast("VideoStream", self._container.add_stream(plan.encoder, rate=plan.rate))
            plan.configure(self._stream.codec_context)
            self._stream.codec_context.open()
        except (av.error.FFmpegError, ValueError) as error:
            self._container.close()
            self._unfinished.unlink(missing_ok=True)
            raise StyleSwapError(
                f"the encoder {plan.encoder} does not start ({describe_error(error)}); choose another codec, such as"
                " h264"
            ) from error

    @property
    def frames(self) -> int:
        """Number of frames so far."""
        return len(self._times)

    def write(self, pts: int, frame: "VideoFrame") -> None:
        """Encode a frame, in planar form as the source's layout says.

        Args:
            pts: When it is shown, later than the frame before.
            frame: The frame, which is modified.

        Raises:
            StyleSwapError: The encoder fails, or the file cannot be written.
        """
        self._times.append(pts)
        frame = _encodable(frame, self._plan, self._layout)
        frame.pts, frame.time_base = pts - self._times[0], self._plan.time_base
        # The encoder chooses its own key frames.
        frame.pict_type = _ANY_TYPE
        self._encode(frame)

    def finish(self, end: int, report: Mapping[str, Any]) -> Segment:
        """Complete the segment.

        Args:
            end: When the last frame is no longer shown.
            report: What is told about its frames.

        Raises:
            StyleSwapError: The encoder fails, or the file cannot be written.
        """
        self._encode(None)
        with self._errors():
            self._container.close()
        _record(self._path).unlink(missing_ok=True)
        os.replace(self._unfinished, self._path)
        order = sorted(self._encoded)
        rank = {pts: place for place, pts in enumerate(order)}
        reorder = max((place - rank[pts] for place, pts in enumerate(self._encoded)), default=0)
        segment = Segment(self._path, self._times, end, reorder, report)
        segment.save()
        return segment

    def abandon(self) -> None:
        """Delete the unfinished segment."""
        self._container.close()
        self._unfinished.unlink(missing_ok=True)

    def _encode(self, frame: "VideoFrame | None") -> None:
        with self._errors():
            for packet in self._stream.encode(frame):
                if packet.pts is not None:
                    self._encoded.append(packet.pts)
                    self._container.mux(packet)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from av.error import FFmpegError

        try:
            yield
        except FFmpegError as error:
            raise StyleSwapError(
                f"cannot encode with {self._plan.encoder} into {self._path.parent} ({describe_error(error)}); make room"
                " on the disk, or choose another codec"
            ) from error


@contextmanager
def read_segment(path: Path) -> "Iterator[tuple[VideoStream, Iterator[Packet[VideoStream]]]]":
    """The stream of a segment, and its packets in the order of decoding."""
    import av

    with av.open(str(path), "r") as container:
        stream = container.streams.video[0]
        yield stream, (packet for packet in container.demux(stream) if packet.size)


def decode_segment(path: Path) -> "Iterator[VideoFrame]":
    """The frames of a segment, in order."""
    import av

    with av.open(str(path), "r") as container:
        yield from container.decode(container.streams.video[0])


def _container_of(encoder: str) -> str:
    """Container of the segments of an encoder: NUT, which stores times in any time base, but no ProRes."""
    return "mov" if encoder.startswith("prores") else "nut"


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _encodable(frame: "VideoFrame", plan: EncoderPlan, layout: FrameLayout) -> "VideoFrame":
    """The frame in the format and the size of the encoder."""
    if (plan.width, plan.height) != (layout.width, layout.height):
        frame = layout.extended(frame, plan.width, plan.height)
    if frame.format.name == plan.pixel_format:
        return frame
    form = describe_format(plan.pixel_format)
    full = layout.color.full_range
    wanted = full if form is not None and form.model == layout.color.model else plan.tags.is_full_range("")
    return frame.reformat(
        format=plan.pixel_format,
        src_colorspace=layout.tags.swscale_matrix(layout.width, layout.height),
        dst_colorspace=plan.tags.swscale_matrix(plan.width, plan.height),
        src_color_range=FULL_RANGE if full else LIMITED_RANGE,
        dst_color_range=FULL_RANGE if wanted else LIMITED_RANGE,
    )
