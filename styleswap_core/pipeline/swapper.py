"""The swapping pipeline: detect faces, choose, swap and paste them, in a picture, a batch or a stream of frames.

One code path serves all three. There is one result per frame, in order; frames are independent of each other; and
memory beyond the results does not grow with the number of frames.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from ..compositing.canvas import Canvas
from ..compositing.kept_regions import KeptRegions
from ..compositing.pixels import NodeFrame, Picture, pixels_of
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from ..io.images import bchw_to_bhwc, over_white, repair
from ..io.read_ahead import read_ahead
from ..masking.face_masks import FaceMasks
from ..swappers.network import SwappingNetwork, check_identity
from .face_jobs import FaceJob, SwapOptions, check_options, report_face, stack_crops, swap_jobs
from .frame_faces import AnalyzedFrame, FrameFaces, assign_identities
from .results import BatchResult, FrameReport, SwapResult

# Maximum number of pixels buffered before a batch is flushed: four frames of 1920 x 1080, whose results and masks take
# up to 130 MB.
MAX_BUFFERED_PIXELS = 8_400_000
# Maximum number of frames of a batch whose faces are measured, which takes two runs of the recognizer per face.
MEASURED_FRAMES = 16

Faces = FaceChoice | str | Sequence[int]
"""Faces to swap: a `FaceChoice`, or "largest", "all", "0,2", or [0, 2], numbered from the largest face."""


def _ignore(frame: int) -> None:
    """Do nothing; the default of `on_frame`."""


def _no_frame(frame: int) -> bool:
    return False


@dataclass(frozen=True, eq=False)
class _Request:
    """Arguments of a call, checked against the model and the face analysis.

    Attributes:
        identities: One for all chosen faces, or several: the k-th for place k of the choice.
        choice: Faces to swap.
        options: Options for swapping them.
        strict: Whether a requested face that cannot be swapped is an error instead of a problem in the report.
        keep: What stays as it is.
    """

    identities: tuple[Identity, ...]
    choice: FaceChoice
    options: SwapOptions
    strict: bool
    keep: KeptRegions


class Swapper:
    """A swapping network together with the face analysis that feeds it.

        swapper = Swapper(load_model(), load_face_analysis())
        result = swapper.swap(picture, identity)

    Attributes:
        model: The swapping network.
        analysis: The face analysis.
        options: Defaults for every call.
        masks: Masks that replace a missing mask of the network and limit an existing one; None to use the network's.
        crop_device: Device on which crops are cut and pasted.
        background_detection: Whether the next frames are analyzed in a thread while the network runs.
    """

    def __init__(
        self,
        model: SwappingNetwork,
        analysis: FaceAnalyzer,
        options: SwapOptions | None = None,
        *,
        masks: FaceMasks | None = None,
        crop_device: torch.device | str | None = None,
        background_detection: bool | None = None,
    ) -> None:
        """Combine a model with a face analysis.

        Args:
            model: A swapping network, such as `load_model` returns.
            analysis: A face analysis, such as `load_face_analysis` returns.
            options: Defaults for every call.
            masks: Masks that replace a missing mask of the network and limit an existing one. By default, a network
                without a mask gets the outline of the face (see `FaceMasks`).
            crop_device: By default that of the model.
            background_detection: By default only if the model does not run on the CPU, where both would compete for
                cores (docs/benchmarks).
        """
        self.model = model
        self.analysis = analysis
        self.options = SwapOptions() if options is None else options
        if masks is None and not model.has_mask:
            masks = FaceMasks()
        # Called when a mask needs landmarks, since loading them takes time.
        self.masks = None if masks is None else masks.with_landmarks(lambda: analysis.landmark_model())
        self.crop_device = model.device if crop_device is None else torch.device(crop_device)
        self.background_detection = model.device.type != "cpu" if background_detection is None else background_detection

    def swap(
        self,
        picture: Picture,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = True,
        keep: torch.Tensor | None = None,
    ) -> SwapResult:
        """Swap faces of one picture.

        Args:
            picture: (H, W, 3) uint8 RGB, or (3, H, W) float, -1..1; not modified.
            identity: Source identity for all chosen faces, or several: the k-th for place k of the choice.
            faces: Faces to swap, see `Faces`.
            options: Override those of the swapper.
            strict: Whether a requested face that is missing is an error instead of a problem in the report.
            keep: (h, w), 0..1: 1 where the picture stays as it is, such as hands or hair; scaled to the picture.

        Raises:
            StyleSwapError: The picture is invalid, an identity does not fit the model, the strength is out of range or,
                if `strict`, a requested face is missing.
        """
        request = self._request(identity, faces, options, strict, KeptRegions(keep, 1))
        analyzed = self._analyze(0, picture, request)
        if strict and analyzed.faces.problems:
            raise StyleSwapError(analyzed.faces.advice())
        (result,) = self._swap([analyzed], request.options, lambda frame: True)
        return result

    def swap_detected(
        self, picture: Picture, faces: Sequence[tuple[DetectedFace, Identity]], *, options: SwapOptions | None = None
    ) -> SwapResult:
        """Swap faces that are already detected, without measuring their similarity.

        Args:
            picture: As for `swap`.
            faces: The faces, each with the identity that it gets.
            options: Override those of the swapper.
        """
        options = options or self.options
        for _, identity in faces:
            self._check(identity, options)
        (result,) = self._swap([AnalyzedFrame(0, picture, FrameFaces(list(faces), len(faces)))], options, _no_frame)
        return result

    def swap_frames(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = False,
        on_frame: Callable[[int], None] = _ignore,
        measured: Callable[[int], bool] = _no_frame,
        keep: torch.Tensor | None = None,
    ) -> Iterator[SwapResult]:
        """Swap faces in a stream of frames, such as those of a video; yields one result per frame, in order.

        The next frames are fetched in a thread while the network runs, and analyzed there if `background_detection`. At
        most `options.batch_size` frames and MAX_BUFFERED_PIXELS are buffered. Closing the iterator early ends the
        thread.

        Args:
            frames: Iterable of pictures of any sizes, as for `swap`, or a batch (B, 3, H, W) float, -1..1; consumed in
                another thread, not modified.
            identity: As for `swap`.
            faces: As for `swap`.
            options: Override those of the swapper.
            strict: Whether a requested face that cannot be swapped is an error instead of a problem in the report.
            on_frame: Called with the number of each frame, in the caller's thread, before it is swapped; an exception
                ends the run.
            measured: Whether to report the faces' similarity to the source, by the number of the frame.
            keep: As for `swap`, or (N, h, w) with one mask for each frame.

        Raises:
            StyleSwapError: As for `swap`. Errors of the arguments are raised immediately, errors of a frame when it is
                reached.
        """
        request = self._request(identity, faces, options, strict, KeptRegions(keep))
        return self._stream(frames, request, on_frame, measured)

    def swap_batch(
        self,
        frames: torch.Tensor,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = False,
        on_frame: Callable[[int], None] = _ignore,
        result_device: torch.device | str | None = None,
        keep: torch.Tensor | None = None,
    ) -> BatchResult:
        """Swap faces in a batch in ComfyUI's layout.

        Args:
            frames: (B, H, W, 3 or 4) float, 0..1, on any device; not modified.
            identity: As for `swap`.
            faces: As for `swap`.
            options: Override those of the swapper.
            strict: As for `swap_frames`.
            on_frame: As for `swap_frames`.
            result_device: Device of the result; by default that of `frames`.
            keep: As for `swap_frames`.

        Raises:
            StyleSwapError: `frames` is empty or has the wrong shape, or as for `swap_frames`.
        """
        request = self._request(identity, faces, options, strict, KeptRegions(keep, len(frames)))
        if frames.ndim != 4 or 0 in frames.shape or frames.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected frames (B, H, W, 3 or 4) with at least one frame, got {tuple(frames.shape)};"
                " connect a batch of pictures"
            )
        count, height, width = frames.shape[:3]
        # The caller may be in inference mode, which applies to its thread only; a tensor that another thread writes to
        # must not be an inference tensor.
        with torch.inference_mode(False):
            images = torch.empty(frames.shape, dtype=torch.float32, device=result_device or frames.device)
        masks = torch.empty(count, height, width, dtype=torch.float32, device=images.device)
        measured = set(np.linspace(0, count - 1, min(count, MEASURED_FRAMES)).round().astype(int).tolist())
        crops: list[torch.Tensor] = []
        reports: list[FrameReport] = []
        repaired: list[int] = []

        def pictures() -> Iterator[NodeFrame]:
            for row in range(count):
                part, broken = repair(frames[row : row + 1])
                repaired.extend(row for _ in broken)
                images[row] = part[0]
                # Faces are pasted in place, on the CPU; into a copy if the result is on another device.
                yield NodeFrame(over_white(part[0]), images[row, ..., :3].cpu())

        for row, result in enumerate(self._stream(pictures(), request, on_frame, measured.__contains__)):
            if images.device.type != "cpu":
                images[row, ..., :3] = torch.as_tensor(result.image).to(images.device)
            masks[row] = result.mask
            crops += result.crops
            reports.append(result.report)
        stacked = bchw_to_bhwc(stack_crops(crops, self.model.size)).to(images.device)
        return BatchResult(images, masks, stacked, reports, repaired)

    def _request(
        self,
        identity: Identity | Sequence[Identity],
        faces: Faces,
        options: SwapOptions | None,
        strict: bool,
        keep: KeptRegions,
    ) -> _Request:
        identities = (identity,) if isinstance(identity, Identity) else tuple(identity)
        choice = faces if isinstance(faces, FaceChoice) else FaceChoice.parse(faces)
        options = options or self.options
        if not identities:
            raise StyleSwapError("expected at least one source identity, got none")
        for one in identities:
            self._check(one, options)
        people, references = len(identities), len(choice.references)
        if choice.rule == "by likeness" and people > 1 and people != references:
            raise StyleSwapError(
                f"expected one identity, or one for each of the {references} references, got {people}; pass as many"
                " identities as references"
            )
        return _Request(identities, choice, options, strict, keep)

    def _check(self, identity: Identity, options: SwapOptions) -> None:
        check_identity(self.model, identity, self.analysis.recognizer)
        check_options(options, self.analysis, identity)

    def _stream(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        request: _Request,
        on_frame: Callable[[int], None],
        measured: Callable[[int], bool],
    ) -> Iterator[SwapResult]:
        buffered: list[AnalyzedFrame] = []
        in_background = self.background_detection
        batch_size = request.options.batch_size
        with read_ahead(self._analyze_all(frames, request) if in_background else frames, depth=batch_size) as ahead:
            for analyzed in ahead if in_background else self._analyze_all(ahead, request):
                on_frame(analyzed.number)
                if analyzed.faces.problems and request.strict:
                    raise StyleSwapError(
                        f"frame {analyzed.number}: {analyzed.faces.advice()}, or allow frames without such a face"
                    )
                buffered.append(analyzed)
                if _is_full(buffered, batch_size):
                    yield from self._swap(buffered, request.options, measured)
                    buffered = []
            yield from self._swap(buffered, request.options, measured)

    def _analyze_all(self, frames: Iterable[Picture], request: _Request) -> Iterator[AnalyzedFrame]:
        for number, frame in enumerate(frames):
            yield self._analyze(number, frame, request)

    def _analyze(self, number: int, frame: Picture, request: _Request) -> AnalyzedFrame:
        """Detect the faces of a frame and match the chosen ones with identities."""
        choice, pixels = request.choice, pixels_of(frame)
        picture = pixels.uint8()
        found = self.analysis.detect(picture, choice.order, embed=choice.needs_embeddings)
        if choice.needs_gender_age:
            found = self.analysis.with_gender_age(picture, found, required=True)
        faces = assign_identities(found, choice, request.identities, request.options.swap_doubtful)
        return AnalyzedFrame(number, frame, faces, request.keep.of_frame(number, pixels.size))

    def _swap(
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


def references_for(identities: Sequence[Identity], analysis: FaceAnalyzer) -> tuple[np.ndarray, ...]:
    """Embeddings (512,) of reference identities, for a `FaceChoice` by likeness.

    Raises:
        StyleSwapError: One was made by another recognizer than that of the face analysis.
    """
    for identity in identities:
        if not identity.recognizer.matches(analysis.recognizer):
            raise StyleSwapError(
                f"the reference was made with the recognizer {identity.recognizer}, but the face analysis has"
                f" {analysis.recognizer}; extract the reference with this face analysis"
            )
    return tuple(identity.id_embedding.numpy() for identity in identities)


def _is_full(buffered: Sequence[AnalyzedFrame], batch_size: int) -> bool:
    faces = sum(len(analyzed.faces.chosen) for analyzed in buffered)
    pixels = sum(math.prod(pixels_of(analyzed.frame).size) for analyzed in buffered)
    return max(faces, len(buffered)) >= batch_size or pixels >= MAX_BUFFERED_PIXELS
