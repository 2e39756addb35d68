"""Animated pictures: GIF, WebP and APNG as sources and results.

They have neither sound nor orientation, count in other units of time, and say how often they are repeated.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from ..errors import StyleSwapError, decoding, one_line
from ..io.files import Finish, atomic_write
from .animated_files import opened_animation
from .frame_planes import FrameLayout, planar
from .segment_file import Segment, decode_segment
from .video_source import Source, UnreadableVideo, describe_error, source_name

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.filter import Graph
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ANIMATION_SUFFIXES = (".gif", ".webp", ".apng", ".png")
"""Suffixes of animated pictures; a .webp or .png file may also hold a single picture."""
_MILLISECOND = Fraction(1, 1000)
_FOREVER = 0
_WEBP_QUALITY = 90
# Of the frames of an animated WebP, which are decoded whole, several times at once; 8K video has 33 million.
_MAX_PIXELS = 40_000_000


@dataclass(frozen=True)
class _Form:
    """How an animation is encoded: FFmpeg's muxer and encoder, clock, pixel formats without and with transparency."""

    muxer: str
    encoder: str
    time_base: Fraction
    opaque: str
    transparent: str
    loop_option: str


_GIF = _Form("gif", "gif", Fraction(1, 100), "pal8", "pal8", "loop")
_WEBP = _Form("webp", "libwebp_anim", _MILLISECOND, "bgra", "bgra", "loop")
_APNG = _Form("apng", "apng", _MILLISECOND, "rgb24", "rgba", "plays")
_FORMS = {".gif": _GIF, ".webp": _WEBP, ".apng": _APNG, ".png": _APNG}


def repetitions(source: Source) -> int:
    """How often an animation is shown, 0 for without end; 0 for other videos."""
    with opened_animation(source) as picture:
        if picture is None:
            return _FOREVER
        return int(picture.info.get("loop", _FOREVER if picture.format != "GIF" else 1))


@contextmanager
def decodable(source: Source) -> Iterator[Source]:
    """A source in a form that FFmpeg decodes: animated WebP is unpacked to a temporary file, others are not changed.

    Raises:
        UnreadableVideo: A damaged animation.
    """
    with ExitStack() as stack:
        picture = stack.enter_context(opened_animation(source))
        if picture is None or picture.format != "WEBP":
            yield source
            return
        if picture.width * picture.height > _MAX_PIXELS:
            size = f"{picture.width} x {picture.height}"
            limit = f"at most {_MAX_PIXELS // 1_000_000} million pixels"
            raise UnreadableVideo(
                source_name(source), f"has frames of {size} pixels", f"use one with {limit} per frame"
            )
        path = Path(stack.enter_context(TemporaryDirectory(prefix="styleswap-"))) / "webp.nut"
        try:
            with decoding("it is damaged", "save it again"):
                _unpack(picture, path)
        except StyleSwapError as error:
            reason = one_line(error.__cause__ or error)
            raise UnreadableVideo(source_name(source), f"is damaged ({reason})", "save it again") from error
        yield path


def _unpack(picture: Image.Image, path: Path) -> None:
    """Write the frames of an animation as lossless video."""
    import av

    with av.open(str(path), "w", format="nut") as container:
        stream = cast("VideoStream", container.add_stream("ffv1", rate=25))
        stream.width, stream.height = picture.size
        stream.pix_fmt = "bgra" if "A" in picture.mode else "bgr0"
        stream.codec_context.time_base = _MILLISECOND
        for frame in _pillow_frames(picture):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _pillow_frames(picture: Image.Image) -> "Iterator[VideoFrame]":
    from av.video.frame import VideoFrame

    start = 0
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        picture.load()
        array = np.asarray(picture.convert("RGBA" if "A" in picture.mode else "RGB"))
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(array), "rgba" if array.shape[2] == 4 else "rgb24")
        frame.pts, frame.time_base = start, _MILLISECOND
        start += max(1, round(float(picture.info.get("duration") or 100)))
        yield frame


def write_animation(
    out: Path,
    segments: Sequence[Segment],
    layout: FrameLayout,
    time_base: Fraction,
    *,
    loop: int = _FOREVER,
    quality: float | None = None,
    lossless: bool = False,
    finish: Finish | None = None,
) -> None:
    """Write the frames of lossless segments as an animation, upright and with square pixels.

    Args:
        out: File to write, with one of ANIMATION_SUFFIXES; it is replaced only when the new one is complete.
        segments: In order, at least one.
        layout: Form of their frames.
        time_base: Unit of their times, in seconds.
        loop: How often it is shown; 0 for without end.
        quality: Quality of WebP, 0 to 100, higher is better; None for 90.
        lossless: Whether WebP keeps the exact colors.
        finish: Called with the complete file before it gets its name.

    Raises:
        StyleSwapError: The file cannot be written.
    """
    from av.error import FFmpegError

    first = segments[0].times[0]
    with atomic_write(out, finish) as temporary:
        try:
            form = _FORMS[out.suffix.lower()]
            options = {form.loop_option: str(-1 if form is _GIF and loop == 1 else loop)}
            if form is _APNG:
                options["final_delay"] = f"{round((segments[-1].end - segments[-1].times[-1]) * time_base * 1000)}/1000"
            writer = _AnimationWriter(temporary, form, layout, options, _webp_options(quality, lossless))
            for segment in segments:
                for time, frame in zip(segment.times, decode_segment(segment.path), strict=True):
                    writer.write((time - first) * time_base, layout.shown(planar(frame)))
            writer.finish((segments[-1].end - first) * time_base)
        except FFmpegError as error:
            raise StyleSwapError(
                f"cannot write {out}: {describe_error(error)}; make room on the disk, or choose another folder"
            ) from error


def _webp_options(quality: float | None, lossless: bool) -> dict[str, str]:
    return {"lossless": "1"} if lossless else {"quality": f"{_WEBP_QUALITY if quality is None else quality:g}"}


class _AnimationWriter:
    def __init__(
        self, path: Path, form: _Form, layout: FrameLayout, options: dict[str, str], webp_options: dict[str, str]
    ) -> None:
        import av

        self._form = form
        self._container: OutputContainer = av.open(str(path), "w", format=form.muxer, container_options=options)
        self._stream = cast("VideoStream", self._container.add_stream(form.encoder, rate=25))
        self._stream.height, self._stream.width = layout.size
        self._stream.pix_fmt = form.transparent if layout.has_alpha else form.opaque
        self._stream.codec_context.time_base = form.time_base
        if form is _WEBP:
            self._stream.codec_context.options = webp_options
        self._palettes = _palette_graph(layout, form.time_base) if form is _GIF else None
        self._waiting: tuple[int, VideoFrame] | None = None

    def write(self, time: Fraction, picture: np.ndarray) -> None:
        """Encode a picture (H, W, 3 or 4) uint8 that is shown from a time in seconds on."""
        from av.video.frame import VideoFrame

        frame = VideoFrame.from_ndarray(picture, "rgba" if picture.shape[2] == 4 else "rgb24")
        pts = round(time / self._form.time_base)
        if self._waiting is not None:
            # The clock may be coarser than the frames.
            pts = max(pts, self._waiting[0] + 1)
            self._encode(pts)
        self._waiting = (pts, frame)

    def finish(self, end: Fraction) -> None:
        """Complete the file; the last picture is shown until `end`."""
        self._encode(round(end / self._form.time_base))
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _encode(self, until: int) -> None:
        if self._waiting is None:
            return
        pts, frame = self._waiting
        duration = max(1, until - pts)
        frame.pts, frame.time_base = pts, self._form.time_base
        if self._palettes is not None:
            self._palettes.push(frame)
            frame = cast("VideoFrame", self._palettes.pull())
        else:
            frame = frame.reformat(format=self._stream.pix_fmt)
        frame.pts, frame.time_base, frame.duration = pts, self._form.time_base, duration
        for packet in self._stream.encode(frame):
            packet.duration = duration
            self._container.mux(packet)


def _palette_graph(layout: FrameLayout, time_base: Fraction) -> "Graph":
    """Filters that give every frame a palette of its own colors."""
    from av import VideoFormat
    from av.filter import Graph

    graph = Graph()
    height, width = layout.size
    form = VideoFormat("rgba" if layout.has_alpha else "rgb24", width, height)
    source = graph.add_buffer(width=width, height=height, format=form, time_base=time_base)
    split, sink = graph.add("split"), graph.add("buffersink")
    made, used = graph.add("palettegen", "stats_mode=single"), graph.add("paletteuse", "new=1:dither=sierra2_4a")
    source.link_to(split)
    split.link_to(used, 0, 0)
    split.link_to(made, 1, 0)
    made.link_to(used, 0, 1)
    used.link_to(sink)
    graph.configure()
    return graph
