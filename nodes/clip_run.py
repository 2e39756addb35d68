"""Swaps of a VIDEO from file to file, for Swap Face in Video, which imports this when it runs.

The modules that read and write video would take a quarter of the time in which the pack loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import torch
from comfy_api.latest import Input

from ..styleswap_core.compositing.frame_masks import CHOSEN
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.choice import FaceChoice
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.identities.provenance import MARK
from ..styleswap_core.media.encoders import EncodingOptions
from ..styleswap_core.media.video_source import UnreadableVideo
from ..styleswap_core.pipeline.swapper import Swapper
from ..styleswap_core.tracking.tracking_options import TrackingOptions
from ..styleswap_core.video.clip_pictures import doubtful_sheet
from ..styleswap_core.video.clip_plan import ClipOptions, ClipPlan, plan_clip
from ..styleswap_core.video.clip_report import ClipReport
from ..styleswap_core.video.clip_request import ClipRequest
from ..styleswap_core.video.swap_video import swap_planned
from .clip_progress import ClipProgress
from .clip_sources import ClipSource, open_clip, open_masks, temp_folder
from .host import result_device
from .segs import chosen_mask


@dataclass(frozen=True)
class ClipInputs:
    """The video and the masks of its frames, as they come from the sockets.

    Masks are a MASK or a gray VIDEO, with one frame for all frames or one for each.

    Attributes:
        video: The target.
        keep: Masks of what stays, or None.
        only_in: Masks of the faces that are swapped, or None.
        segs: The same as SEGS, or None.
    """

    video: Input.Video
    keep: torch.Tensor | Input.Video | None = None
    only_in: torch.Tensor | Input.Video | None = None
    segs: object = None

    def chosen(self) -> torch.Tensor | Input.Video | None:
        """Masks of the faces that are swapped, from both sockets.

        Raises:
            StyleSwapError: A video together with SEGS.
        """
        if self.only_in is None or isinstance(self.only_in, torch.Tensor):
            return chosen_mask(self.only_in, self.segs, (0, 0))
        if self.segs is not None:
            raise StyleSwapError(
                "expected a mask in only_in together with segs, got a video; connect only one of the two"
            )
        return self.only_in


@dataclass(frozen=True)
class ClipEncoding:
    """Values of the widgets that choose a part of the video and its encoder; empty texts leave the choice to the core.

    Attributes:
        container: Suffix of the file without its dot.
        codec: Codec, or encoder of FFmpeg.
        quality: Constant quality on the encoder's own scale; 0 for one that is hard to tell from the target.
        lossless: Whether frames are encoded without any loss.
        start: Seconds that are left out.
        duration: Seconds of the part; 0 for all that follows.
    """

    container: str = ""
    codec: str = ""
    quality: float = 0.0
    lossless: bool = False
    start: float = 0.0
    duration: float = 0.0

    def plan(self, source: ClipSource, folder: Path, tracking: TrackingOptions | None) -> tuple[ClipPlan, Path]:
        """Plan of the result, and its file in a folder.

        Raises:
            StyleSwapError: The video cannot be read, or none of the containers can hold the result.
        """
        encoding = EncodingOptions(self.codec, self.quality or None, self.lossless)
        options = ClipOptions(encoding, *source.part(self.start, self.duration), tracking)
        out = folder / f"styleswap_{uuid4().hex}"
        if self.container:
            out = out.with_suffix(f".{self.container}")
            return plan_clip(source.readable, out, options, source.original), out
        try:
            # The only container that ComfyUI's Save Video writes.
            out = out.with_suffix(".mp4")
            return plan_clip(source.readable, out, options, source.original), out
        except UnreadableVideo:
            raise
        except StyleSwapError:
            out = out.with_suffix(".mkv")
            return plan_clip(source.readable, out, options, source.original), out


class SwappedClip(NamedTuple):
    """A swapped video: its file, what happened, and a sheet (1, H, W, 3) of its doubtful frames."""

    file: Path
    report: ClipReport
    sheet: torch.Tensor


def swap_clip(
    swapper: Swapper,
    identities: Sequence[Identity],
    choice: FaceChoice,
    inputs: ClipInputs,
    encoding: ClipEncoding,
    *,
    tracking: TrackingOptions | None,
    require_faces: bool,
    mark: str,
) -> SwappedClip:
    """Swap a video into a file in ComfyUI's temp folder.

    Args:
        swapper: Network, face analysis and options.
        identities: The sources.
        choice: Faces that are swapped.
        inputs: Video and masks.
        encoding: Part and encoder.
        tracking: How faces are followed; None to swap every frame independently.
        require_faces: Refuse a video without a chosen face, instead of passing it through.
        mark: Text that marks the file as swapped.

    Raises:
        StyleSwapError: The video cannot be read, the result cannot be written, or no face was swapped although one is
            required.
    """
    with (
        open_clip(inputs.video) as source,
        open_masks(inputs.keep, encoding.start) as kept,
        open_masks(inputs.chosen(), encoding.start, CHOSEN) as chosen,
    ):
        plan, out = encoding.plan(source, temp_folder(), tracking)
        request = ClipRequest(swapper, identities, choice, keep=kept, only_in=chosen)
        report = swap_planned(
            plan,
            out,
            request,
            ClipProgress(plan.frames, tracking is not None).callbacks,
            resumable=False,
            require_faces=require_faces,
            metadata={MARK: mark},
        )
        return SwappedClip(out, report, _sheet(plan, out, report))


def _sheet(plan: ClipPlan, out: Path, report: ClipReport) -> torch.Tensor:
    """Contact sheet (1, H, W, 3) of the doubtful frames, black if there are none."""
    picture = doubtful_sheet(plan, out, report.doubtful) if report.doubtful else np.zeros((64, 64, 3), np.uint8)
    return (torch.from_numpy(picture)[None].float() / 255).to(result_device())
