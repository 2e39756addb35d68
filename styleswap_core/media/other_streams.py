"""Streams of a video beside the one that is swapped: sound, subtitles, covers and others, which are copied."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from .video_source import Source, codec_name, is_attached_picture, opened

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's names of container formats by suffix."""
# Pictures that Matroska files hold as attachments.
_COVER_TYPES = {"png": "image/png", "mjpeg": "image/jpeg"}


@dataclass(frozen=True)
class OtherStream:
    """A stream of the source beside the swapped one.

    Attributes:
        index: Its number in the source.
        kind: "audio", "subtitle", "data", "attachment" or "video".
        codec: FFmpeg's name of its codec.
        kept: Whether the result can hold it.
    """

    index: int
    kind: str
    codec: str
    kept: bool


def other_streams(source: Source, suffix: str) -> list[OtherStream]:
    """Streams beside the swapped one, and which of them a container can hold.

    Args:
        source: The video.
        suffix: Suffix of the result.

    Raises:
        UnreadableVideo: Not a readable video.
    """
    with opened(source) as (container, main):
        return [
            OtherStream(stream.index, stream.type, codec_name(stream), _can_hold(suffix, stream, container))
            for stream in container.streams
            if stream.index != main.index
        ]


def check_streams(streams: Sequence[OtherStream], suffix: str) -> list[str]:
    """Notes about streams that the result will lack.

    Raises:
        StyleSwapError: Sound would be lost.
    """
    lost = [stream for stream in streams if not stream.kept]
    sound = next((stream for stream in lost if stream.kind == "audio"), None)
    if sound is not None:
        raise StyleSwapError(
            f"{suffix} files do not hold the sound of this video ({sound.codec}); use a result that ends in .mkv"
        )
    return [f"{suffix} files do not hold stream {stream.index} ({stream.kind}, {stream.codec})" for stream in lost]


def copy_stream(result: "OutputContainer", stream: "Stream", container: "InputContainer") -> "Stream | None":
    """Add a stream of the source to the result.

    Returns:
        The stream that takes the packets; None if the whole content is added already, as that of an attachment.
    """
    if not _is_matroska_cover(result.format.name, stream):
        return result.add_stream_from_template(stream, opaque=True)
    packet = next(container.demux(stream))
    suffix = "png" if stream.codec_context.name == "png" else "jpg"
    result.add_attachment(f"cover.{suffix}", _COVER_TYPES[stream.codec_context.name], bytes(packet))
    return None


def _is_matroska_cover(muxer: str, stream: "Stream") -> bool:
    return (
        muxer == "matroska"
        and stream.type == "video"
        and is_attached_picture(stream)
        and stream.codec_context.name in _COVER_TYPES
    )


def _can_hold(suffix: str, stream: "Stream", container: "InputContainer") -> bool:
    """Whether a container holds a stream, found by writing a header."""
    import av

    if stream.type == "data" and _is_made_by_the_muxer(stream, container):
        return False
    if _is_matroska_cover(MUXERS[suffix.lower()], stream):
        return hasattr(av.container.OutputContainer, "add_attachment")
    trial = av.open(BytesIO(), "w", format=MUXERS[suffix.lower()])
    try:
        copy = trial.add_stream_from_template(stream, opaque=True)
        copy.disposition = stream.disposition
        trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _is_made_by_the_muxer(stream: "Stream", container: "InputContainer") -> bool:
    """Whether a data stream repeats chapters, or a time code that is also in the metadata."""
    return (bool(container.chapters()) and stream.name in ("bin_data", "text")) or "timecode" in stream.metadata
