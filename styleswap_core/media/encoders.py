"""Which encoder writes a swapped video, with which settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from .codecs import CODECS, ENCODERS
from .color_tags import LIMITED_RANGE, ColorTags
from .hdr_metadata import HdrMetadata
from .pixel_formats import closest_format, describe_format, keeps
from .video_source import VideoInfo

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

# Codecs that players expect in a container; the first is the usual one.
_CONTAINERS = {
    ".mp4": ("h264", "hevc", "av1", "vp9"),
    ".m4v": ("h264", "hevc"),
    ".mov": ("h264", "hevc", "prores"),
    ".mkv": ("h264", "hevc", "av1", "vp9", "ffv1", "prores"),
    ".webm": ("vp9", "av1"),
}
WRITTEN_SUFFIXES = tuple(_CONTAINERS)
"""Suffixes of the video files that can be written."""
_LOSSLESS = {
    "libx264": {"qp": "0"},
    "libx264rgb": {"qp": "0"},
    "libx265": {"x265-params": "lossless=1"},
    "libvpx-vp9": {"lossless": "1"},
    "ffv1": {},
}
_THREADS = 8
# A constant quality that is hard to tell from the source, and the option that sets it.
_QUALITY = {
    "libx264": ("crf", 18),
    "libx264rgb": ("crf", 18),
    "libx265": ("crf", 19),
    "libvpx-vp9": ("crf", 24),
    "libsvtav1": ("crf", 22),
    "libaom-av1": ("crf", 22),
    "nvenc": ("cq", 19),
    "qsv": ("global_quality", 19),
    "amf": ("qvbr_quality_level", 19),
}
# x264's macroblock tree reads memory that is not initialized: equal pictures, small ones above all, would not always
# give equal bytes.
_REPEATABLE = {"x264-params": "mbtree=0"}
_SETTINGS = {
    "libx264": _REPEATABLE,
    "libx264rgb": _REPEATABLE,
    "libx265": {"x265-params": "log-level=error:frame-threads=4"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "row-mt": "1", "b": "0"},
    "libsvtav1": {"preset": "8"},
    "libaom-av1": {"cpu-used": "6", "row-mt": "1", "b": "0"},
    "ffv1": {"level": "3", "slicecrc": "1", "g": "1"},
    "nvenc": {"rc": "vbr", "b": "0"},
    "amf": {"rc": "qvbr"},
}
_PARAMETERS = {
    "libx264": "x264-params",
    "libx264rgb": "x264-params",
    "libx265": "x265-params",
    "libsvtav1": "svtav1-params",
}
# These need sizes that are multiples of a chroma sample, or of two.
_NEED_EVEN = (
    "libx264",
    "libx264rgb",
    "libx265",
    "libopenh264",
    "libsvtav1",
    "nvenc",
    "qsv",
    "amf",
    "videotoolbox",
    "mf",
)


@dataclass(frozen=True)
class EncodingOptions:
    """A user's wishes for the encoder.

    Attributes:
        codec: One of CODECS, or an encoder of FFmpeg such as h264_nvenc; empty for the codec of the source if players
            expect it in the container, and otherwise for the usual one.
        quality: Constant quality on the encoder's own scale (CRF, CQ), lower is better; None for one that is hard to
            tell from the source.
        lossless: Whether the decoded samples must be those that were encoded.
    """

    codec: str = ""
    quality: float | None = None
    lossless: bool = False


@dataclass(frozen=True)
class EncoderPlan:
    """An encoder and all its settings.

    Attributes:
        encoder: FFmpeg's name.
        pixel_format: Format of the frames that it is given.
        width: Width in samples, rounded up if the encoder needs it.
        height: Height in samples, likewise.
        tags: Color tags of the result.
        aspect: Width of a sample divided by its height.
        time_base: Seconds per unit of time.
        rate: Average frames per second.
        options: Options of the encoder.
        interlaced: Whether fields are encoded separately.
        notes: What a user should know about the choice.
    """

    encoder: str
    pixel_format: str
    width: int
    height: int
    tags: ColorTags
    aspect: Fraction
    time_base: Fraction
    rate: Fraction
    options: Mapping[str, str]
    interlaced: bool = False
    notes: tuple[str, ...] = field(default=())

    def configure(self, codec: "VideoCodecContext") -> None:
        """Apply the settings to an encoder that is not open yet."""
        from av.codec.context import Flags

        codec.width, codec.height = self.width, self.height
        codec.pix_fmt = self.pixel_format
        codec.time_base = self.time_base
        codec.framerate = self.rate
        # The default depends on the machine, and what some encoders write depends on it.
        codec.thread_count = _THREADS
        codec.sample_aspect_ratio = self.aspect
        # Parameter sets belong into the headers of files.
        codec.flags |= Flags.global_header
        if self.interlaced:
            codec.flags |= Flags.interlaced_dct | Flags.interlaced_me
        self.tags.write_to(codec)
        codec.options = dict(self.options)
        if self.encoder == "libsvtav1":
            # It prints its settings otherwise; this level is for errors.
            os.environ.setdefault("SVT_LOG", "1")


def plan_encoder(info: VideoInfo, suffix: str, options: EncodingOptions | None = None) -> EncoderPlan:
    """Choose an encoder for a video.

    Args:
        info: The source.
        suffix: Suffix of the result, one of WRITTEN_SUFFIXES.
        options: A user's wishes.

    Raises:
        StyleSwapError: A container that cannot be written, or an encoder that is missing, unknown, or cannot store this
            video as asked.
    """
    options = options or EncodingOptions()
    source = info.layout.pixel_format
    encoder = _choose_encoder(info, suffix.lower(), options)
    if encoder == "libx264" and options.lossless and source.startswith("gbr"):
        encoder = "libx264rgb"
    chosen = closest_format(source, _pixel_formats(encoder), options.lossless or encoder == "ffv1")
    if options.lossless and not (encoder in _LOSSLESS and keeps(chosen, source)):
        raise StyleSwapError(
            f"{encoder} does not store {source} video without loss; use the codec ffv1 and a result that ends in .mkv"
        )
    notes = [] if keeps(chosen, source) else [f"the video is {source}, which {encoder} stores as {chosen}"]
    width, height = _size(info, encoder, chosen)
    if (width, height) != (info.layout.width, info.layout.height):
        notes.append(f"{encoder} needs even sizes; the last row or column of pixels is repeated")
    return EncoderPlan(
        encoder=encoder,
        pixel_format=chosen,
        width=width,
        height=height,
        tags=_tags(info, chosen),
        aspect=info.layout.aspect,
        time_base=info.time_base,
        rate=info.rate,
        options=_options(encoder, options, info.hdr),
        interlaced=info.interlaced and encoder in ("libx264", "libx264rgb"),
        notes=tuple(notes),
    )


def _choose_encoder(info: VideoInfo, suffix: str, options: EncodingOptions) -> str:
    if suffix not in _CONTAINERS:
        raise StyleSwapError(
            f"expected a result with one of the suffixes {', '.join(WRITTEN_SUFFIXES)}, got {suffix or 'none'}; .mkv"
            " holds every kind of video"
        )
    held = _CONTAINERS[suffix]
    if options.codec and options.codec not in ENCODERS:
        if not _is_video_encoder(options.codec):
            raise StyleSwapError(
                f"expected a codec out of {', '.join(CODECS)}, or a video encoder that this build of FFmpeg has, got"
                f" {options.codec!r}; choose one of them"
            )
        return options.codec
    if options.codec and options.codec not in held:
        raise StyleSwapError(
            f"{suffix} files do not hold {options.codec}; choose one of {', '.join(held)}, or a result in .mkv"
        )
    if options.codec:
        wanted = [options.codec]
    elif options.lossless and "ffv1" in held:
        wanted = ["ffv1"]
    else:
        wanted = sorted(held, key=lambda codec: codec != info.codec)
    found = [name for codec in wanted for name in ENCODERS[codec] if _is_video_encoder(name)]
    if not found:
        names = ", ".join(name for codec in wanted for name in ENCODERS[codec])
        raise StyleSwapError(f"this build of PyAV has none of the encoders {names}; choose another codec")
    # Such as 10 bits, which not every encoder of a container stores.
    return next((name for name in found if _keeps_depth(name, info.layout.pixel_format)), found[0])


def _is_video_encoder(name: str) -> bool:
    import av

    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:
        return False


def _keeps_depth(encoder: str, source: str) -> bool:
    wanted, form = describe_format(source), describe_format(closest_format(source, _pixel_formats(encoder), False))
    return wanted is None or form is None or form.bits >= wanted.bits


def _pixel_formats(encoder: str) -> list[str]:
    import av

    return [form.name for form in av.Codec(encoder, "w").video_formats or ()]


def _family(encoder: str) -> str:
    """Key of an encoder in the tables above: its name, or the hardware interface in its name."""
    return encoder if encoder in _QUALITY or encoder in _NEED_EVEN else encoder.rpartition("_")[2]


def _size(info: VideoInfo, encoder: str, pixel_format: str) -> tuple[int, int]:
    width, height = info.layout.width, info.layout.height
    form = describe_format(pixel_format)
    if form is None or _family(encoder) not in _NEED_EVEN:
        return width, height
    across, down = form.steps
    return -(-width // across) * across, -(-height // down) * down


def _tags(info: VideoInfo, pixel_format: str) -> ColorTags:
    """Tags of the source, or those that follow from the conversion of RGB."""
    layout, form = info.layout, describe_format(pixel_format)
    if layout.color.model == "rgb" and form is not None and form.model == "yuv":
        return replace(
            layout.tags, matrix=ColorTags().matrix_or_usual(layout.width, layout.height), range=LIMITED_RANGE
        )
    return layout.tags


def _options(encoder: str, options: EncodingOptions, hdr: HdrMetadata) -> dict[str, str]:
    family = _family(encoder)
    found = dict(_SETTINGS.get(family, {}))
    parameters = [found[name]] if (name := _PARAMETERS.get(encoder, "")) in found else []
    if options.lossless:
        lossless = dict(_LOSSLESS[encoder])
        parameters += [lossless.pop(name)] if name in lossless else []
        found |= lossless
    elif family in _QUALITY:
        option, usual = _QUALITY[family]
        found[option] = f"{usual if options.quality is None else options.quality:g}"
    parameters += hdr.encoder_parameters(encoder)
    if parameters:
        found[name] = ":".join(parameters)
    return found
