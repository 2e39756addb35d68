"""Streams of frames: read ahead, analyzed, and swapped together in full batches."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ..compositing.canvas import Canvas
from ..compositing.pixels import Picture, pixels_of
from ..compositing.steady_colors import SteadyColors
from ..errors import StyleSwapError
from ..io.read_ahead import read_ahead
from .face_jobs import FaceJob, FaceRenderer, RenderedPart, paste_part, stack_crops
from .frame_faces import AnalyzedFrame
from .frame_requests import FrameRequest
from .results import FrameReport, SwapResult
from .swap_options import SwapOptions

# Maximum number of pixels buffered before a batch is flushed: four frames of 1920 x 1080, whose results and masks take
# up to 130 MB.
MAX_BUFFERED_PIXELS = 8_400_000


@dataclass(frozen=True, eq=False)
class _RenderedFrames:
    """Frames whose faces ran through the network together, before they are pasted."""

    frames: Sequence[AnalyzedFrame]
    canvas: Canvas
    jobs: Sequence[FaceJob]
    parts: Sequence[RenderedPart]

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.frames[-1].number

    def faces(self) -> Iterator[tuple[RenderedPart, int, int, int]]:
        """Each face: its part, its index there, the number of its frame and its own number."""
        for part in self.parts:
            for index, row in enumerate(part.rows):
                job = self.jobs[row]
                yield part, index, self.frames[job.picture].number, job.face.index


@dataclass(frozen=True, eq=False)
class FrameStream:
    """Swaps streams of frames.

    Attributes:
        renderer: Runs their faces through the network.
        in_background: Whether the next frames are analyzed in a thread while the network runs.
    """

    renderer: FaceRenderer
    in_background: bool

    def run(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        analyze: Callable[[int, Picture], AnalyzedFrame],
        request: FrameRequest,
        on_frame: Callable[[int], None],
        measured: Callable[[int], bool],
        steady: SteadyColors | None = None,
    ) -> Iterator[SwapResult]:
        """Analyze and swap frames; yields one result per frame, in order.

        Args:
            frames: The frames, fetched in a thread.
            analyze: Finds the faces of a frame, by its number; called in that thread if `in_background`.
            request: Options, and whether problems are errors.
            on_frame: Called with the number of each frame before it is swapped.
            measured: Whether to measure the faces of a frame, by its number.
            steady: Averages the colors of faces with equal numbers over the frames around each one.

        Raises:
            StyleSwapError: A frame has problems, if `request.strict`.
        """
        rendered = self._render_all(frames, analyze, request, on_frame)
        for batch in rendered if steady is None else _with_steady_colors(rendered, steady):
            yield from self._paste(batch, request.options, measured)

    def swap(
        self, frames: Sequence[AnalyzedFrame], options: SwapOptions, measured: Callable[[int], bool]
    ) -> Iterator[SwapResult]:
        """Swap the faces of all buffered frames together, in full batches."""
        if frames:
            yield from self._paste(self._render(frames, options), options, measured)

    def _render_all(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        analyze: Callable[[int, Picture], AnalyzedFrame],
        request: FrameRequest,
        on_frame: Callable[[int], None],
    ) -> Iterator[_RenderedFrames]:
        """Run the faces of all frames through the network, in full batches; arguments as for `run`."""
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
                    yield self._render(buffered, request.options)
                    buffered = []
            if buffered:
                yield self._render(buffered, request.options)

    def _render(self, frames: Sequence[AnalyzedFrame], options: SwapOptions) -> _RenderedFrames:
        canvas = Canvas([analyzed.frame for analyzed in frames], [analyzed.kept for analyzed in frames])
        jobs = [FaceJob(row, *pair) for row, analyzed in enumerate(frames) for pair in analyzed.faces.chosen]
        return _RenderedFrames(frames, canvas, jobs, list(self.renderer.render(canvas, jobs, options)))

    def _paste(
        self, batch: _RenderedFrames, options: SwapOptions, measured: Callable[[int], bool]
    ) -> Iterator[SwapResult]:
        canvas = batch.canvas
        crops: dict[int, torch.Tensor] = {}
        for part in batch.parts:
            crops |= dict(zip(part.rows, paste_part(canvas, part), strict=True))
        for picture, analyzed in enumerate(batch.frames):
            number = analyzed.number
            rows = [row for row, job in enumerate(batch.jobs) if job.picture == picture]
            faces = [self.renderer.report(canvas, batch.jobs[row], options, number, measured(number)) for row in rows]
            about = analyzed.faces
            report = FrameReport(number, about.found, faces, about.problems, about.left_out)
            image, mask = canvas.result(picture)
            yield SwapResult(image, mask, stack_crops([crops[row] for row in rows], self.renderer.model.size), report)


def _with_steady_colors(batches: Iterable[_RenderedFrames], steady: SteadyColors) -> Iterator[_RenderedFrames]:
    """Batches with steady colors, each as soon as enough of the frames after it are there."""
    waiting: deque[_RenderedFrames] = deque()
    for batch in batches:
        for part, index, frame, face in batch.faces():
            steady.add(frame, face, part.rgb[index], part.crops[index], part.mask[index])
        waiting.append(batch)
        while batch.last - waiting[0].last >= steady.window:
            yield _steadied(waiting.popleft(), steady)
            if not waiting:
                break
    while waiting:
        yield _steadied(waiting.popleft(), steady)


def _steadied(batch: _RenderedFrames, steady: SteadyColors) -> _RenderedFrames:
    for part in batch.parts:
        faces = [(batch.frames[job.picture].number, job.face.index) for job in (batch.jobs[row] for row in part.rows)]
        part.rgb = part.rgb + torch.stack([steady.correction(*face, part.rgb.shape[-1]) for face in faces])
    steady.forget(batch.last + 1 - steady.window)
    return batch


def _is_full(buffered: Sequence[AnalyzedFrame], batch_size: int) -> bool:
    faces = sum(len(analyzed.faces.chosen) for analyzed in buffered)
    pixels = sum(math.prod(pixels_of(analyzed.frame).size) for analyzed in buffered)
    return max(faces, len(buffered)) >= batch_size or pixels >= MAX_BUFFERED_PIXELS
