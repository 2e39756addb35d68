"""Streams of frames: read ahead, analyzed, and swapped together in full batches."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from ..compositing.canvas import Canvas
from ..compositing.pixels import Picture, pixels_of
from ..errors import StyleSwapError
from ..faces.detected import FaceAnalyzer
from ..io.read_ahead import read_ahead
from ..masking.face_masks import FaceMasks
from ..swappers.network import SwappingNetwork
from .face_jobs import FaceJob, SwapOptions, report_face, stack_crops, swap_jobs
from .frame_faces import AnalyzedFrame
from .frame_requests import FrameRequest
from .results import FrameReport, SwapResult

# Maximum number of pixels buffered before a batch is flushed: four frames of 1920 x 1080, whose results and masks take
# up to 130 MB.
MAX_BUFFERED_PIXELS = 8_400_000


@dataclass(frozen=True, eq=False)
class FrameStream:
    """Swaps streams of frames.

    Attributes:
        model: The swapping network.
        analysis: The face analysis.
        masks: Masks beside that of the network.
        crop_device: Device on which crops are cut and pasted.
        in_background: Whether the next frames are analyzed in a thread while the network runs.
    """

    model: SwappingNetwork
    analysis: FaceAnalyzer
    masks: FaceMasks | None
    crop_device: torch.device
    in_background: bool

    def run(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        analyze: Callable[[int, Picture], AnalyzedFrame],
        request: FrameRequest,
        on_frame: Callable[[int], None],
        measured: Callable[[int], bool],
    ) -> Iterator[SwapResult]:
        """Analyze and swap frames; yields one result per frame, in order.

        Args:
            frames: The frames, fetched in a thread.
            analyze: Finds the faces of a frame, by its number; called in that thread if `in_background`.
            request: Options, and whether problems are errors.
            on_frame: Called with the number of each frame before it is swapped.
            measured: Whether to measure the faces of a frame, by its number.

        Raises:
            StyleSwapError: A frame has problems, if `request.strict`.
        """
        buffered: list[AnalyzedFrame] = []
        in_background = self.in_background
        batch_size = request.options.batch_size

        def analyzed_frames(pictures: Iterable[Picture]) -> Iterator[AnalyzedFrame]:
            return (analyze(number, frame) for number, frame in enumerate(pictures))

        with read_ahead(analyzed_frames(frames) if in_background else frames, depth=batch_size) as ahead:
            for analyzed in ahead if in_background else analyzed_frames(ahead):
                on_frame(analyzed.number)
                if analyzed.faces.problems and request.strict:
                    raise StyleSwapError(
                        f"frame {analyzed.number}: {analyzed.faces.advice()}, or allow frames without such a face"
                    )
                buffered.append(analyzed)
                if _is_full(buffered, batch_size):
                    yield from self.swap(buffered, request.options, measured)
                    buffered = []
            yield from self.swap(buffered, request.options, measured)

    def swap(
        self, frames: Sequence[AnalyzedFrame], options: SwapOptions, measured: Callable[[int], bool]
    ) -> Iterator[SwapResult]:
        """Swap the faces of all buffered frames together, in full batches."""
        if not frames:
            return
        canvas = Canvas([analyzed.frame for analyzed in frames], [analyzed.kept for analyzed in frames])
        jobs = [[FaceJob(row, *pair) for pair in analyzed.faces.chosen] for row, analyzed in enumerate(frames)]
        all_jobs = [job for frame_jobs in jobs for job in frame_jobs]
        swapped = iter(swap_jobs(canvas, all_jobs, self.model, self.analysis, options, self.crop_device, self.masks))
        for row, analyzed in enumerate(frames):
            number = analyzed.number
            faces = [
                report_face(canvas, self.analysis, job, self.model, options, number, measured(number))
                for job in jobs[row]
            ]
            crops = stack_crops(list(islice(swapped, len(jobs[row]))), self.model.size)
            about = analyzed.faces
            report = FrameReport(number, about.found, faces, about.problems, about.left_out)
            image, mask = canvas.result(row)
            yield SwapResult(image, mask, crops, report)


def _is_full(buffered: Sequence[AnalyzedFrame], batch_size: int) -> bool:
    faces = sum(len(analyzed.faces.chosen) for analyzed in buffered)
    pixels = sum(math.prod(pixels_of(analyzed.frame).size) for analyzed in buffered)
    return max(faces, len(buffered)) >= batch_size or pixels >= MAX_BUFFERED_PIXELS
