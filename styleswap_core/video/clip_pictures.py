"""Contact sheets of a video: a preview before the work, and the doubtful frames after it."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import numpy as np

from ..compositing.frame_masks import FrameMasks
from ..compositing.pixels import pixels_of
from ..compositing.video_picture import VideoPicture
from ..io.sheets import pair_sheet
from ..media.animations import decodable
from ..media.frame_reader import frame_at, frame_near
from ..media.video_source import Source, read_info
from .clip_plan import ClipPlan, no_frames
from .clip_report import DoubtfulFrame
from .clip_request import ClipRequest
from .frame_blending import blend_frame

PREVIEW_FRAMES = 8
# Shown around a face, as a share of it.
_MARGIN = 0.5


def preview_sheet(plan: ClipPlan, request: ClipRequest, count: int = PREVIEW_FRAMES) -> np.ndarray:
    """Contact sheet (H, W, 3) uint8 of evenly spaced frames before and after the swap.

    Raises:
        StyleSwapError: No frame can be read, or as for `Swapper.swap`.
    """
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    captions: list[str] = []
    for time in _evenly_spaced(plan, count):
        timed = frame_at(plan.source, plan.info, time)
        if timed is None:
            continue
        picture = plan.info.layout.picture(timed.frame)
        before = pixels_of(picture).uint8()
        blending, keep = plan.options.blending, request.keep.at(time)
        result = request.swapper.swap(
            picture,
            request.identity,
            request.faces,
            options=request.options,
            strict=False,
            keep=None if blending is not None else keep,
            only_in=request.only_in.at(time),
        )
        if not isinstance(result.image, VideoPicture):
            continue
        if blending is not None:
            blend_frame(picture, result.mask, blending, FrameMasks(keep, 1).of_frame(0, plan.info.layout.size))
        pairs.append((before, pixels_of(result.image).uint8()))
        problem = "" if result.faces else f": {(result.report.problems or ['no face'])[0]}"
        captions.append(f"{_clock(float(time))}{problem}")
    if not pairs:
        raise no_frames(plan.info)
    return pair_sheet(pairs, captions)


def doubtful_sheet(plan: ClipPlan, out: Path, doubtful: Sequence[DoubtfulFrame]) -> np.ndarray:
    """Contact sheet (H, W, 3) uint8 of the doubtful frames before and after the swap.

    Args:
        plan: The plan of the swap.
        out: Its result.
        doubtful: The frames, at least one.

    Raises:
        StyleSwapError: A file cannot be read.
    """
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    captions: list[str] = []
    with decodable(out) as result:
        for one in doubtful:
            time = one.pts * plan.info.time_base
            before, after = _picture_at(plan.source, time), _picture_at(result, time - plan.cut.start)
            if before is None or after is None:
                continue
            pairs.append((_around(before, one.box), _around(after, one.box)))
            captions.append(f"frame {one.frame}, {_clock(one.time)}: {one.reason}")
    return pair_sheet(pairs, captions)


def _around(picture: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Part of a picture around a face, or all of it."""
    if not box:
        return picture
    height, width = picture.shape[:2]
    reach = max(box[2] - box[0], box[3] - box[1]) * (0.5 + _MARGIN)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = max(0, floor(x - reach)), max(0, floor(y - reach))
    part = picture[top : min(height, ceil(y + reach)), left : min(width, ceil(x + reach))]
    return part if part.size else picture


def _picture_at(source: Source, time: Fraction) -> np.ndarray | None:
    info = read_info(source)
    timed = frame_near(source, info, time)
    return None if timed is None else info.layout.rgb(timed.frame)


def _evenly_spaced(plan: ClipPlan, count: int) -> list[Fraction]:
    """Times in seconds, the middles of equal parts."""
    info = plan.info
    first = max(plan.cut.start, info.first_pts * info.time_base)
    length = plan.frames / info.rate if plan.frames else Fraction(count)
    return [first + length * Fraction(2 * part + 1, 2 * count) for part in range(count)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:05.2f}" if hours else f"{minutes}:{rest:05.2f}"
