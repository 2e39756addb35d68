"""Joining of segments to a video, with everything else of the source copied."""

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from ..io.files import Finish, atomic_write
from .encoders import EncoderPlan
from .other_streams import MUXERS, OtherStream, copy_stream
from .segment_file import Segment, read_segment
from .video_source import Source, VideoInfo, describe_error, is_attached_picture, opened

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

# Containers whose times begin anywhere.
_SHIFTED = ("mpegts", "mpeg", "mpegvideo", "avi", "flv")
# Starts of files are rounded to microseconds, and times of packets to the clock of their stream.
_TOLERANCE = Fraction(1, 1000)
# Players of Apple know HEVC by this tag only.
_HEVC_TAG = "hvc1"
# Metadata that muxers and demuxers make themselves, in lower case.
_OWN_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate")
_STATISTICS = ("bps", "number_of_", "_statistics_")


@dataclass(frozen=True)
class Cut:
    """Part of a video.

    Attributes:
        start: Seconds by which times are shifted to the start of the result.
        end: Seconds of the source at which the part ends; None for the end of the video.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None


def check_orientation(info: VideoInfo) -> None:
    """Check that the orientation of a video can be handed on.

    Raises:
        StyleSwapError: It is turned or mirrored, and this version of PyAV cannot say so in a file.
    """
    from av.video.stream import VideoStream

    if not info.layout.orientation.is_identity and not hasattr(VideoStream, "set_display_matrix"):
        raise StyleSwapError(
            f"{info.name} is turned or mirrored when it is shown, which this version of PyAV cannot hand on; run: pip"
            " install --upgrade av"
        )


def default_shift(source: Source, info: VideoInfo) -> Fraction:
    """Seconds by which the times of a whole video are shifted: 0 unless its container counts from anywhere."""
    if not set(_SHIFTED) & set(info.container.split(",")):
        return Fraction(0)
    from av import time_base

    with opened(source) as (container, _):
        return Fraction(container.start_time or 0, time_base)


def join_segments(
    out: Path,
    source: Source,
    info: VideoInfo,
    plan: EncoderPlan,
    segments: Sequence[Segment],
    streams: Sequence[OtherStream],
    cut: Cut,
    metadata: Mapping[str, str],
    finish: Finish | None = None,
) -> None:
    """Write the video of the segments, with the other streams, chapters and metadata of the source.

    Args:
        out: File to write; it is replaced only when the new one is complete.
        source: The source.
        info: What it holds.
        plan: The encoder.
        segments: In order, at least one.
        streams: What `other_streams` says.
        cut: Part of the source that the segments show.
        metadata: Metadata to add.
        finish: Called with the complete file before it gets its name.

    Raises:
        StyleSwapError: The file cannot be written.
    """
    import av

    muxer = MUXERS[out.suffix.lower()]
    with atomic_write(out, finish) as temporary, ExitStack() as stack:
        try:
            container, main = stack.enter_context(opened(source))
            result = stack.enter_context(
                av.open(
                    str(temporary),
                    "w",
                    format=muxer,
                    container_options=_muxer_options(muxer, container),
                    metadata_errors="replace",
                )
            )
            video = stack.enter_context(read_segment(segments[0].path))[0]
            targets = _add_streams(result, container, main, video, streams, plan, info)
            _copy_metadata(result, container, cut, metadata)
            packets: Iterator[tuple[Fraction, Packet[Any]]] = heapq.merge(
                _video_packets(segments, plan, targets[main.index], cut),
                _other_packets(container, {index: out for index, out in targets.items() if index != main.index}, cut),
                key=lambda timed: timed[0],
            )
            for _, packet in packets:
                result.mux(packet)
            result.close()
        except av.error.FFmpegError as error:
            raise StyleSwapError(
                f"cannot write {out}: {describe_error(error)}; make room on the disk, or use a result in .mkv"
            ) from error


def _muxer_options(muxer: str, container: "InputContainer") -> dict[str, str]:
    # Without the random numbers by which Matroska files are told apart: equal work gives equal files.
    options = {"fflags": "+bitexact"}
    if muxer in ("mp4", "mov"):
        # MP4 files have a cover, or metadata of any name, not both.
        covered = any(is_attached_picture(stream) for stream in container.streams.video)
        options["movflags"] = "faststart" if covered else "faststart+use_metadata_tags"
    return options


def _add_streams(
    result: "OutputContainer",
    container: "InputContainer",
    main: "VideoStream",
    encoded: "VideoStream",
    streams: Sequence[OtherStream],
    plan: EncoderPlan,
    info: VideoInfo,
) -> "dict[int, Stream]":
    """Streams of the result by number in the source, in its order."""
    kept = {stream.index for stream in streams if stream.kept}
    targets: dict[int, Stream] = {}
    for stream in container.streams:
        if stream.index == main.index:
            video = result.add_stream_from_template(encoded, opaque=True)
            plan.tags.write_to(video.codec_context)
            video.codec_context.sample_aspect_ratio = plan.aspect
            video.codec_context.framerate = plan.rate
            video.time_base = plan.time_base
            if info.matrix is not None and not info.layout.orientation.is_identity:
                video.set_display_matrix(info.matrix)
            if result.format.name in ("mp4", "mov") and plan.encoder.startswith(("libx265", "hevc")):
                video.codec_context.codec_tag = _HEVC_TAG
            targets[stream.index] = video
        elif stream.index in kept:
            copy = copy_stream(result, stream, container)
            if copy is None:
                continue
            targets[stream.index] = copy
        else:
            continue
        targets[stream.index].metadata.update(_foreign_metadata(stream.metadata))
        targets[stream.index].disposition = stream.disposition
    return targets


def _copy_metadata(
    result: "OutputContainer", container: "InputContainer", cut: Cut, metadata: Mapping[str, str]
) -> None:
    result.metadata.update(_foreign_metadata(container.metadata))
    if "use_metadata_tags" in result.container_options.get("movflags", "use_metadata_tags"):
        result.metadata.update(metadata)
    else:
        result.metadata["comment"] = "; ".join([*filter(None, [result.metadata.get("comment")]), *metadata.values()])
    # PyAV has chapters since version 15.
    if not hasattr(result, "set_chapters"):
        return
    chapters = []
    for chapter in container.chapters():
        unit = chapter["time_base"] or Fraction(1, 1000)
        start, end = (Fraction(chapter[name]) * unit for name in ("start", "end"))
        if end <= cut.start or (cut.end is not None and start >= cut.end):
            continue
        end = end if cut.end is None else min(end, cut.end)
        chapter["start"], chapter["end"] = (round(max(Fraction(0), time - cut.start) / unit) for time in (start, end))
        chapters.append(chapter)
    result.set_chapters(chapters)


def _foreign_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in metadata.items()
        if name.lower() not in _OWN_METADATA and not name.lower().startswith(_STATISTICS)
    }


def _video_packets(
    segments: Sequence[Segment], plan: EncoderPlan, target: "Stream", cut: Cut
) -> "Iterator[tuple[Fraction, Packet[VideoStream]]]":
    """Packets of all segments with their times, and the times by which they are ordered."""
    unit = plan.time_base
    shift = round(cut.start / unit)
    # A frame must be decoded before it is shown, and decoding times must increase: the times of all frames in order,
    # delayed by as many frames as the encoder reorders.
    delay = max(segment.reorder for segment in segments)
    first = segments[0].times[0] - shift
    step = (segments[0].times[1] if len(segments[0].times) > 1 else segments[0].end) - segments[0].times[0]
    decoding = deque(first - (delay - place) * step for place in range(delay))
    for segment in segments:
        times = [time - shift for time in segment.times]
        ends = [*times[1:], segment.end - shift]
        durations = {time: end - time for time, end in zip(times, ends, strict=True)}
        decoding.extend(times)
        start: int | None = None
        with read_segment(segment.path) as (_, packets):
            for packet in packets:
                # Muxers shift times so that none is negative. The first packet is the first frame.
                start = packet.pts if start is None else start
                packet.pts = times[0] + round(((packet.pts or 0) - (start or 0)) * packet.time_base / unit)
                packet.dts = decoding.popleft()
                packet.duration = durations[packet.pts]
                packet.time_base = unit
                packet.stream = target  # type: ignore[assignment]
                yield packet.dts * unit, packet


def _other_packets(
    container: "InputContainer", targets: "Mapping[int, Stream]", cut: Cut
) -> "Iterator[tuple[Fraction, Packet[Stream]]]":
    """Packets of the other streams within the part, and the times by which they are ordered."""
    from av.error import FFmpegError

    if not targets:
        return
    packets = container.demux([container.streams[index] for index in targets])
    last: dict[int, int] = {}
    latest = Fraction(0)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            # A truncated file.
            return
        if packet is None:
            return
        if not packet.size:
            continue
        if packet.dts is None:
            # Pictures that belong to the file.
            packet.dts = packet.pts = 0
        unit = packet.time_base
        shown = (packet.dts if packet.pts is None else packet.pts) * unit
        if cut.end is not None and shown >= cut.end:
            continue
        if cut.start and shown < cut.start - _TOLERANCE:
            continue
        shift = round(cut.start / unit)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        # Times that do not increase, as after damage, are refused by muxers.
        packet.dts = max(packet.dts, last.get(packet.stream_index, packet.dts - 1) + 1)
        packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
        last[packet.stream_index] = packet.dts
        packet.stream = targets[packet.stream_index]
        # The muxer sorts packets of different streams; this order only keeps its buffer short.
        latest = max(latest, packet.dts * unit)
        yield latest, packet
