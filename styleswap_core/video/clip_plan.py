"""Everything about a video and its result that is decided before the first frame is swapped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from ..compositing.composite import BlendOptions
from ..errors import StyleSwapError
from ..media.animations import ANIMATION_SUFFIXES
from ..media.encoders import EncoderPlan, EncodingOptions, plan_encoder
from ..media.joined_file import Cut, check_orientation, default_shift
from ..media.other_streams import OtherStream, check_streams, other_streams
from ..media.video_source import Source, VideoInfo, exact_seconds, read_info, source_name
from ..tracking.tracking_options import TrackingOptions
from .mask_video import MaskPlan, plan_masks

SEGMENT_FRAMES = 256
"""Frames that are encoded together; an interruption costs at most this many."""


@dataclass(frozen=True)
class ClipOptions:
    """How a video is read, blended and written.

    Attributes:
        encoding: The encoder.
        start: Seconds of the video that are left out at its start.
        duration: Seconds of the video that are swapped; None for all that follow.
        tracking: Settings with which faces are followed; None swaps every frame independently.
        blending: How swapped faces are blended over the frames; None keeps them as they are pasted.
        mask_out: File for a gray video of what was replaced in each frame, without loss in .mkv; without a suffix, a
            folder for numbered pictures. None for none.
        segment_frames: Number of frames in a segment.
        workers: Number of processes among which the segments are shared; 0 for one, or with `ray` for one for each GPU
            of the cluster, or each machine if no GPU is used.
        ray: Address of a Ray cluster whose machines share the segments, or "local"; empty for this process alone, or
            processes of this machine.

    Raises:
        StyleSwapError: A negative number of workers.
    """

    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    start: float = 0.0
    duration: float | None = None
    tracking: TrackingOptions | None = field(default_factory=TrackingOptions)
    blending: BlendOptions | None = None
    mask_out: Path | None = None
    segment_frames: int = SEGMENT_FRAMES
    workers: int = 0
    ray: str = ""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise StyleSwapError(f"expected a number of workers of 0 or more, got {self.workers}")

    @property
    def shared(self) -> bool:
        """Whether segments are made by other processes."""
        return self.workers > 1 or bool(self.ray)


@dataclass(frozen=True)
class ClipPlan:
    """Plan of a swap.

    Attributes:
        source: The video, in a form that FFmpeg decodes.
        original: The video as it was given.
        info: What it holds.
        options: How it is read and written.
        encoder: The encoder of the segments.
        streams: The other streams.
        cut: The part of the video that is swapped.
        masks: Where the masks go; None if they are not wanted.
        notes: What a user should know.
    """

    source: Source
    original: Source
    info: VideoInfo
    options: ClipOptions
    encoder: EncoderPlan
    streams: Sequence[OtherStream]
    cut: Cut
    masks: MaskPlan | None
    notes: tuple[str, ...]

    @property
    def before(self) -> int | None:
        """Time after which the part begins, in units of the time base; None for the start of the video."""
        start = round(self.cut.start / self.info.time_base)
        return start - 1 if start > self.info.first_pts else None

    @property
    def frames(self) -> int:
        """Approximate number of frames of the part; 0 if unknown."""
        whole, rate = self.info.frames, self.info.rate
        first = Fraction(0) if self.before is None else self.cut.start - self.info.first_pts * self.info.time_base
        rest = max(0, whole - round(first * rate))
        if self.cut.end is None:
            return rest
        wanted = max(0, round((self.cut.end - self.info.first_pts * self.info.time_base - first) * rate))
        return min(rest, wanted) if whole else wanted


def plan_clip(
    source: Source, out: Path, options: ClipOptions | None = None, original: Source | None = None
) -> ClipPlan:
    """Plan the swap of a video.

    Args:
        source: The video, as `media.animations.decodable` returns it.
        out: The result; its suffix chooses the container.
        options: How to read and write.
        original: The video as it was given, if that is another file.

    Raises:
        UnreadableVideo: The source is not a readable video.
        StyleSwapError: The result cannot hold the video, or an option is out of range.
    """
    options = options or ClipOptions()
    if options.start < 0 or (options.duration is not None and options.duration <= 0):
        raise StyleSwapError(
            f"expected a start of 0 s or later and a duration above 0 s, got {options.start} and {options.duration}"
        )
    original = source if original is None else original
    info = read_info(source, source_name(original))
    if info.frames and round(Fraction(options.start) * info.rate) >= info.frames:
        raise no_frames(info)
    suffix = out.suffix.lower()
    masks = None if options.mask_out is None else plan_masks(info, options.mask_out)
    if suffix in ANIMATION_SUFFIXES:
        return _plan_animation(source, original, suffix, info, options, masks)
    check_orientation(info)
    encoder = plan_encoder(info, suffix, options.encoding)
    streams = other_streams(source, suffix)
    notes = (*encoder.notes, *check_streams(streams, suffix))
    return ClipPlan(source, original, info, options, encoder, streams, _cut(source, info, options), masks, notes)


def no_frames(info: VideoInfo) -> StyleSwapError:
    """Error for a part of a video that has no frames."""
    return StyleSwapError(f"{info.name} has no frames in this part; choose another start or duration")


def _plan_animation(
    source: Source, original: Source, suffix: str, info: VideoInfo, options: ClipOptions, masks: MaskPlan | None
) -> ClipPlan:
    """Frames of animations wait in segments without loss."""
    if options.encoding.codec:
        raise StyleSwapError(f"{suffix} files have a codec of their own, got {options.encoding.codec!r}; name no codec")
    if suffix == ".gif" and options.encoding.lossless:
        raise StyleSwapError(".gif files hold 256 colors at most, so they cannot be lossless; use .webp or .apng")
    encoder = plan_encoder(info, ".mkv", EncodingOptions("ffv1", lossless=True))
    lost = {stream.kind for stream in other_streams(source, ".mkv")} & {"audio", "subtitle"}
    notes = [f"{suffix} files do not hold {kind}" for kind in sorted(lost)]
    if suffix == ".gif":
        notes.append("each frame is reduced to 256 colors")
    return ClipPlan(source, original, info, options, encoder, (), _cut(source, info, options), masks, tuple(notes))


def _cut(source: Source, info: VideoInfo, options: ClipOptions) -> Cut:
    shift = default_shift(source, info)
    if not options.start and options.duration is None:
        return Cut(shift)
    begin = info.first_pts * info.time_base + exact_seconds(options.start)
    end = None if options.duration is None else begin + exact_seconds(options.duration)
    return Cut(begin if options.start else shift, end)
