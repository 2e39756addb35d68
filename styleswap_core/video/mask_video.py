"""Masks of a swap as a gray video, or as numbered pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.images import save_image
from ..io.sheets import mask_picture
from ..media.color_tags import FULL_RANGE, ColorTags
from ..media.encoders import WRITTEN_SUFFIXES, EncoderPlan, EncodingOptions, plan_encoder
from ..media.frame_planes import FrameLayout
from ..media.hdr_metadata import HdrMetadata
from ..media.joined_file import Cut, join_segments
from ..media.orientation import Orientation
from ..media.segment_file import Segment, decode_segment
from ..media.video_source import Source, VideoInfo

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_LOSSLESS = ".mkv"


@dataclass(frozen=True)
class MaskPlan:
    """Where the masks of a video go.

    Attributes:
        out: A video, or a folder of pictures.
        info: Form of the masks.
        encoder: Their encoder.
    """

    out: Path
    info: VideoInfo
    encoder: EncoderPlan

    @property
    def is_folder(self) -> bool:
        """Whether they become pictures."""
        return not self.out.suffix


def plan_masks(info: VideoInfo, out: Path) -> MaskPlan:
    """Plan the masks of a video, upright and with square pixels; in .mkv files and as pictures without loss.

    Args:
        info: The video.
        out: File for the masks; without a suffix, a folder for one picture for each frame.

    Raises:
        StyleSwapError: The file cannot hold them.
    """
    from av.video.frame import VideoFrame

    suffix = out.suffix.lower() or _LOSSLESS
    if suffix not in WRITTEN_SUFFIXES:
        raise StyleSwapError(
            f"expected a video for the masks with one of the suffixes {', '.join(WRITTEN_SUFFIXES)}, or a folder for"
            f" pictures without a suffix, got {out}"
        )
    height, width = info.layout.size
    frame = VideoFrame(width, height, "gray")
    layout = FrameLayout.of(frame, ColorTags(range=FULL_RANGE), Orientation(), Fraction(1), "")
    own = replace(info, layout=layout, matrix=None, codec="", interlaced=False, hdr=HdrMetadata())
    return MaskPlan(out, own, plan_encoder(own, suffix, EncodingOptions(lossless=suffix == _LOSSLESS)))


def mask_frame(mask: torch.Tensor) -> "VideoFrame":
    """A mask (H, W), 0..1, as a gray frame."""
    from av.video.frame import VideoFrame

    frame = VideoFrame.from_ndarray(np.ascontiguousarray(mask_picture(mask.numpy())), "gray")
    frame.color_range = FULL_RANGE
    return frame


def write_masks(plan: MaskPlan, source: Source, segments: Sequence[Segment], cut: Cut) -> None:
    """Write the masks of all segments.

    Args:
        plan: The plan.
        source: The video that was swapped.
        segments: Segments of masks, in order.
        cut: Part of the source that they show.

    Raises:
        StyleSwapError: The file or a picture cannot be written.
    """
    if not plan.is_folder:
        join_segments(plan.out, source, plan.info, plan.encoder, segments, (), cut, {})
        return
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleSwapError(f"cannot write into {plan.out}: {error.strerror}; choose another folder") from error
    for number, frame in enumerate(_frames(segments)):
        save_image(plan.out / f"{number:08d}.png", frame.to_ndarray())


def _frames(segments: Sequence[Segment]) -> "Iterator[VideoFrame]":
    for segment in segments:
        yield from decode_segment(segment.path)
