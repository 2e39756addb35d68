"""Frames of a video file with their times, in order, despite damage."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .frame_planes import FrameLayout, planar
from .video_source import Source, VideoInfo, describe_error, opened, own_seconds

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# A file that ends before this share of its announced duration is incomplete.
_MIN_SHARE = 0.98


class TimedFrame(NamedTuple):
    """A decoded frame in planar form.

    Attributes:
        pts: When it is shown, in units of the time base; strictly increasing within a video.
        duration: For how long, as announced; 0 if unknown.
        frame: The frame.
    """

    pts: int
    duration: int
    frame: "VideoFrame"


class TimedPicture(NamedTuple):
    """A frame that is converted to a picture when it is needed.

    Attributes:
        time: When it is shown, in seconds.
        layout: Its form.
        frame: The frame.
    """

    time: float
    layout: FrameLayout
    frame: "VideoFrame"

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, upright and with square pixels."""
        return self.layout.rgb(self.frame)


@dataclass
class Damage:
    """What was wrong with a video, counted while it is read.

    Attributes:
        lost_packets: Packets that could not be decoded; the frames before them are shown for longer.
        damaged_frames: Frames that were decoded from damaged data.
        corrected_times: Frames with a time that is not after that of the frame before.
        resized_frames: Frames of another size than the first, scaled to it.
        ended: What is known about a file that ends early; empty for others.
    """

    lost_packets: int = 0
    damaged_frames: int = 0
    corrected_times: int = 0
    resized_frames: int = 0
    ended: str = ""

    def sentences(self) -> list[str]:
        """What a user should know."""
        counted = (
            (self.lost_packets, "damaged packets were passed over; the frames before them are shown for longer"),
            (self.damaged_frames, "frames were decoded from damaged data"),
            (self.corrected_times, "frames had a time that was out of order; it was corrected"),
            (self.resized_frames, "frames differed in size from the first one; they were scaled to it"),
        )
        lines = [f"{count} {text}" for count, text in counted if count]
        if self.ended:
            lines.append(f"the file ends early ({self.ended}); the frames up to there were used")
        return lines


@dataclass
class VideoReader:
    """An open video.

    Attributes:
        container: The file.
        stream: The video stream.
        info: What it holds.
        damage: What was wrong so far.
    """

    container: "InputContainer"
    stream: "VideoStream"
    info: VideoInfo
    damage: Damage = field(default_factory=Damage)

    def frames(self, after: int | None = None, uniform: bool = True) -> Iterator[TimedFrame]:
        """All frames, or those after a time; once per reader.

        Args:
            after: Time of the last frame that is not wanted, in units of the time base.
            uniform: Whether frames of another size or pixel format than the first are converted to those.
        """
        step = self.info.step
        last: int | None = None
        for frame in self._decoded_from(after):
            pts = _time(frame)
            if pts is None:
                # Formats without times.
                pts = self.info.first_pts if last is None else last + step
            elif last is not None and pts <= last:
                self.damage.corrected_times += 1
                pts = last + 1
            last = pts
            if after is None or pts > after:
                self.damage.damaged_frames += bool(getattr(frame, "is_corrupt", False))
                frame = self._uniform(frame) if uniform else planar(frame)
                yield TimedFrame(pts, int(getattr(frame, "duration", 0) or 0), frame)
        self._check_end(last)

    def _check_end(self, last: int | None) -> None:
        """Note if the last frame comes long before the announced end."""
        announced = own_seconds(self.stream)
        if last is None or not announced or self.damage.ended:
            return
        shown = float((last + self.info.step - self.info.first_pts) * self.info.time_base)
        if shown < _MIN_SHARE * announced - 2 * float(self.info.step * self.info.time_base):
            self.damage.ended = f"after {shown:.1f} of {announced:.1f} s"

    def pictures(self) -> Iterator[TimedPicture]:
        """All frames as upright pictures in their own sizes; once per reader."""
        layouts: dict[tuple[int, int, str], FrameLayout] = {}
        first = self.info.layout
        for timed in self.frames(uniform=False):
            frame = timed.frame
            form = (frame.width, frame.height, frame.format.name)
            if form not in layouts:
                layouts[form] = FrameLayout.of(frame, first.tags, first.orientation, first.aspect, self.info.codec)
            yield TimedPicture(float(timed.pts * self.info.time_base), layouts[form], frame)

    def _uniform(self, frame: "VideoFrame") -> "VideoFrame":
        """The frame in the size and the pixel format of the first one."""
        layout = self.info.layout
        if (frame.width, frame.height) != (layout.width, layout.height):
            self.damage.resized_frames += 1
            frame = frame.reformat(width=layout.width, height=layout.height)
        frame = planar(frame)
        return frame if frame.format.name == layout.pixel_format else frame.reformat(format=layout.pixel_format)

    def _decoded_from(self, after: int | None) -> Iterator["VideoFrame"]:
        """Decoded frames from the start, or from some frame that is not after a time."""
        from av.error import FFmpegError

        if after is not None:
            try:
                self.container.seek(after, stream=self.stream)
                frames = self._decoded()
                first = next(frames, None)
                if first is not None and (_time(first) or 0) <= after:
                    yield first
                    yield from frames
                    return
                # A file whose index is wrong or missing.
                self.container.seek(min(self.info.first_pts, after), stream=self.stream)
            except FFmpegError:
                self.container.seek(0)
        yield from self._decoded()

    def _decoded(self) -> Iterator["VideoFrame"]:
        from av.error import FFmpegError

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self.damage.ended = describe_error(error)
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except FFmpegError:
                self.damage.lost_packets += 1
                continue
            yield from frames


@contextmanager
def open_video(source: Source, info: VideoInfo) -> Iterator[VideoReader]:
    """A video, opened to read its frames.

    Args:
        source: The file.
        info: What `video_source.read_info` says about it.

    Raises:
        UnreadableVideo: It cannot be opened any more.
    """
    with opened(source) as (container, stream):
        stream.thread_type = "AUTO"
        yield VideoReader(container, stream, info)


def frame_at(source: Source, info: VideoInfo, time: Fraction) -> TimedFrame | None:
    """The frame that is shown at a time in seconds; None before the first one.

    Raises:
        UnreadableVideo: The video cannot be opened any more.
    """
    pts = floor(time / info.time_base)
    shown: TimedFrame | None = None
    with open_video(source, info) as reader:
        # From a frame that is certainly not later.
        for timed in reader.frames(max(pts - 2 * info.step, info.first_pts) - 1):
            if timed.pts > pts and shown is not None:
                break
            if timed.pts > pts:
                return _earlier_frame(source, info, pts)
            shown = timed
    return shown


def frame_near(source: Source, info: VideoInfo, time: Fraction) -> TimedFrame | None:
    """`frame_at` for the time of a frame in another file, which its container may have rounded."""
    return frame_at(source, info, time + info.step * info.time_base / 4)


def _earlier_frame(source: Source, info: VideoInfo, pts: int) -> TimedFrame | None:
    """`frame_at` for frames that are shown for long, read from the start."""
    shown: TimedFrame | None = None
    with open_video(source, info) as reader:
        for timed in reader.frames():
            if timed.pts > pts:
                break
            shown = timed
    return shown


def _time(frame: "VideoFrame") -> int | None:
    return frame.pts if frame.pts is not None else frame.dts
