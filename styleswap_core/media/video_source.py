"""Video files and what they hold."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from ..errors import StyleSwapError, one_line
from .color_tags import ColorTags
from .frame_planes import FrameLayout, planar
from .hdr_metadata import HdrMetadata
from .orientation import Orientation

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Source = Path | BytesIO
"""A video file, or one in memory."""

# Python reads the file for FFmpeg; the default of 32 KB costs many calls.
_BUFFER_BYTES = 1 << 18
_USUAL_RATE = Fraction(25)
_TICKS_PER_SECOND = 1_000_000
# Rates of streams that announce their clock instead.
_MAX_RATE = 1000
# Codecs whose frames name their color profile in side data. PyAV (18.1) frees that name twice, which ends the process.
_NAMED_PROFILES = ("apng", "png")


class UnreadableVideo(StyleSwapError):
    """A file that cannot be read as a video.

    Attributes:
        fault: What is wrong with it, as the rest of a sentence that begins with its name.
    """

    def __init__(self, name: str, fault: str, advice: str = "convert it to H.264 in .mp4") -> None:
        self.fault = fault
        super().__init__(f"{name} {fault}; {advice}")


@dataclass(frozen=True)
class VideoInfo:
    """A video stream and its file.

    Attributes:
        name: Name of the file, for messages.
        container: FFmpeg's names of the container format, separated by commas.
        codec: FFmpeg's name of the codec.
        layout: Form of its frames.
        matrix: The display matrix; None if there is none.
        time_base: Seconds per unit of time.
        rate: Average frames per second.
        first_pts: Time of the first frame, in units of the time base.
        frames: Number of frames that the file announces, or an estimate from its duration; 0 if unknown.
        interlaced: Whether the first frame is interlaced.
        hdr: Light levels.
    """

    name: str
    container: str
    codec: str
    layout: FrameLayout
    matrix: tuple[int, ...] | None
    time_base: Fraction
    rate: Fraction
    first_pts: int
    frames: int
    interlaced: bool
    hdr: HdrMetadata

    @property
    def step(self) -> int:
        """Usual duration of a frame in units of the time base."""
        return max(1, round(1 / (self.rate * self.time_base)))


@contextmanager
def opened(source: Source) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """An open file and its video stream: the first one that is not an attached picture, such as a cover.

    Raises:
        UnreadableVideo: Not a readable video.
        StyleSwapError: PyAV is not installed.
    """
    name = source_name(source)
    try:
        import av
    except ImportError as error:
        raise StyleSwapError(f"{name} is a video, and reading videos needs PyAV; run: pip install av") from error
    with ExitStack() as stack:
        try:
            if isinstance(source, Path):
                if source.stat().st_size == 0:
                    raise UnreadableVideo(name, "is empty (0 bytes)", "save it again")
                # As a file object, since FFmpeg interprets protocols and patterns in names.
                file: BinaryIO = stack.enter_context(open(source, "rb"))
            else:
                source.seek(0)
                file = source
            container = av.open(file, "r", metadata_errors="replace", buffer_size=_BUFFER_BYTES)
        except av.error.FFmpegError as error:
            raise UnreadableVideo(name, f"is not a readable video ({error.strerror})") from error
        except OSError as error:
            raise UnreadableVideo(name, f"cannot be read ({error.strerror})", "check the path") from error
        stack.enter_context(container)
        yield container, _video_stream(container, name)


def _video_stream(container: "InputContainer", name: str) -> "VideoStream":
    streams = [stream for stream in container.streams.video if not is_attached_picture(stream)]
    if not streams:
        raise UnreadableVideo(name, "contains no video stream", "name a file with pictures")
    if streams[0].codec_context is None:
        raise UnreadableVideo(
            name,
            "contains video that FFmpeg cannot decode, such as one with copy protection (DRM)",
            "use a copy without protection",
        )
    return streams[0]


def is_attached_picture(stream: "Stream") -> bool:
    """Whether a video stream is a picture that belongs to the file, such as a cover."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def source_name(source: Source) -> str:
    """Name of a video for messages."""
    return str(source) if isinstance(source, Path) else "the video"


def read_info(source: Source, name: str = "") -> VideoInfo:
    """What a video holds, from its header and its first frame.

    Args:
        source: The video.
        name: Name for messages; by default that of the file.

    Raises:
        UnreadableVideo: Not a readable video, or one without a frame.
        StyleSwapError: PyAV is not installed, or a pixel format or colors that cannot be swapped in place.
    """
    name = name or source_name(source)
    with opened(source) as (container, stream):
        frame = _first_frame(container, stream)
        if frame is None:
            raise UnreadableVideo(name, "contains no readable frame")
        codec = codec_name(stream)
        side_data = codec not in _NAMED_PROFILES
        matrix = display_matrix(frame) if side_data else None
        layout = FrameLayout.of(
            planar(frame),
            ColorTags.of(frame, stream),
            Orientation() if matrix is None else Orientation.of_matrix(matrix),
            Fraction(stream.sample_aspect_ratio or 1),
            codec,
        )
        rate = _rate(stream)
        first = frame.pts if frame.pts is not None else frame.dts
        return VideoInfo(
            name=name,
            container=container.format.name,
            codec=codec,
            layout=layout,
            matrix=matrix,
            time_base=Fraction(stream.time_base or 1 / rate),
            rate=rate,
            first_pts=first or 0,
            frames=stream.frames or round(_seconds(container, stream) * rate),
            interlaced=bool(frame.interlaced_frame),
            hdr=HdrMetadata.of(frame) if side_data else HdrMetadata(),
        )


def _first_frame(container: "InputContainer", stream: "VideoStream") -> "VideoFrame | None":
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return None
        if packet is None:
            return None
        try:
            frames = packet.decode()
        except FFmpegError:
            # A damaged start; later packets may be whole.
            continue
        if frames:
            return frames[0]


def display_matrix(frame: "VideoFrame") -> tuple[int, ...] | None:
    """The display matrix of a frame, nine numbers; None if it has none."""
    from av.sidedata.sidedata import Type

    # PyAV declares the names of its entries only.
    data = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)
    return None if data is None else tuple(np.frombuffer(bytes(data), np.int32).tolist())


def codec_name(stream: "Stream") -> str:
    """FFmpeg's name of the codec, which may differ from that of the decoder."""
    # Not every kind of stream has a codec.
    codec = getattr(stream.codec_context, "codec", None)
    return str(stream.name or "unknown") if codec is None else str(getattr(codec, "canonical_name", codec.name))


def _rate(stream: "VideoStream") -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= _MAX_RATE:
            return Fraction(rate)
    return _USUAL_RATE


def _seconds(container: "InputContainer", stream: "VideoStream") -> float:
    """Announced duration; 0 if unknown."""
    from av import time_base

    own = own_seconds(stream)
    return own or (container.duration / time_base if container.duration else 0.0)


def own_seconds(stream: "VideoStream") -> float:
    """Duration that the file announces for this stream, rather than for all streams together; 0 if unknown."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # Matroska's statistics tag.
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3]) if found else 0.0


def exact_seconds(value: float) -> Fraction:
    """A time that a user gives in seconds, rounded to microseconds."""
    return Fraction(value).limit_denominator(_TICKS_PER_SECOND)


def describe_error(error: Exception) -> str:
    """FFmpeg's words for an error."""
    return str(getattr(error, "strerror", "") or one_line(error))
