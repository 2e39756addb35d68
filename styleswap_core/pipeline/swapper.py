"""The swapping pipeline: find faces, choose, swap, paste; for a picture, a batch of frames, or a stream of them.

One code path serves all three. As many frames come out as went in, in order; no frame depends on another; and memory
beyond the result stays constant however many frames there are.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..compositing.canvas import Canvas
from ..compositing.pixels import NodeFrame, Picture, pixels_of
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from ..io.images import bchw_to_bhwc, over_white, repair
from ..io.read_ahead import read_ahead
from ..swappers.network import SwappingNetwork, check_identity
from .face_jobs import FaceJob, SwapOptions, check_strength, report_face, swap_jobs
from .results import BatchResult, FrameReport, SwapResult

# Maximum number of pixels buffered before a batch is flushed: four frames of 1920 x 1080, whose results and masks take
# up to 130 MB.
MAX_BUFFERED_PIXELS = 8_400_000
# Number of frames of a batch whose faces are measured; each face costs two runs of the recognizer.
MEASURED_FRAMES = 16

Faces = FaceChoice | str | Sequence[int]
"""Which faces: a `FaceChoice`, or "largest", "all", "0,2", or [0, 2] counted from the largest face."""


def _ignore(frame: int) -> None:
    """Default callback."""


def _no_frame(frame: int) -> bool:
    return False


@dataclass(frozen=True, eq=False)
class _Request:
    """What one call asks for, checked against the model and the face analysis.

    Attributes:
        identities: One for all chosen faces, or several: the k-th for place k of the choice.
        choice: Which faces.
        options: How they are swapped.
        strict: A face that is asked for and cannot be swapped is an error instead of a line in the report.
    """

    identities: tuple[Identity, ...]
    choice: FaceChoice
    options: SwapOptions
    strict: bool


@dataclass(frozen=True, eq=False)
class _Analyzed:
    """A frame with its chosen faces, the number of faces in it, and the problems met in choosing."""

    number: int
    frame: Picture
    faces: list[tuple[DetectedFace, Identity]]
    faces_found: int
    problems: list[str]


class Swapper:
    """A swapping network together with the face analysis that feeds it.

        swapper = Swapper(load_model(), load_face_analysis())
        result = swapper.swap(picture, identity)

    Attributes:
        model: The swapping network.
        analysis: The face analysis.
        options: Defaults for every call.
        crop_device: Device on which crops are cut and pasted.
        detect_beside: Whether the next frames are analyzed in a thread beside the network instead of in turn with it.
    """

    def __init__(
        self,
        model: SwappingNetwork,
        analysis: FaceAnalyzer,
        options: SwapOptions | None = None,
        *,
        crop_device: torch.device | str | None = None,
        detect_beside: bool | None = None,
    ) -> None:
        """Put a model and a face analysis together.

        Args:
            model: A swapping network, such as `load_model` returns.
            analysis: A face analysis, such as `load_face_analysis` returns.
            options: Defaults for every call.
            crop_device: By default the model's.
            detect_beside: By default only if the model does not run on the CPU, where the two would compete for cores
                (docs/benchmarks).
        """
        self.model = model
        self.analysis = analysis
        self.options = SwapOptions() if options is None else options
        self.crop_device = model.device if crop_device is None else torch.device(crop_device)
        self.detect_beside = model.device.type != "cpu" if detect_beside is None else detect_beside

    def swap(
        self,
        picture: Picture,
        identity: Identity | Sequence[Identity],
        faces: Faces = "largest",
        *,
        options: SwapOptions | None = None,
        strict: bool = True,
    ) -> SwapResult:
        """Swap faces of one picture.

        Args:
            picture: (H, W, 3) uint8 RGB, or (3, H, W) float, -1..1; not modified.
            identity: Source identity for all chosen faces, or several: the k-th for place k of the choice.
            faces: Which faces, see `Faces`.
            options: In place of the swapper's.
            strict: Raise if a face that is asked for is not there; otherwise it is listed in the report.

        Raises:
            StyleSwapError: Not a picture, an identity that does not fit the model, a strength out of range, or, if
                `strict`, a missing face.
        """
        request = self._request(identity, faces, options, strict)
        analyzed = self._analyze(0, picture, request)
        if strict and analyzed.problems:
            raise StyleSwapError(_advise(analyzed))
        (result,) = self._swap([analyzed], request.options, lambda frame: True)
        return result

    def swap_detected(
        self, picture: Picture, faces: Sequence[tuple[DetectedFace, Identity]], *, options: SwapOptions | None = None
    ) -> SwapResult:
        """Swap faces that have been detected already, without measuring their similarity.

        Args:
            picture: As for `swap`.
            faces: Each face with the identity it gets.
            options: In place of the swapper's.
        """
        options = options or self.options
        for _, identity in faces:
            self._check(identity, options)
        (result,) = self._swap([_Analyzed(0, picture, list(faces), len(faces), [])], options, _no_frame)
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
    ) -> Iterator[SwapResult]:
        """Swap faces in a stream of frames, such as those of a video: as many come out as go in, in order.

        The next frames are fetched in a thread beside the network, and analyzed there if `detect_beside`. At most
        `options.batch_size` frames and MAX_BUFFERED_PIXELS are buffered. Closing the iterator early ends the thread.

        Args:
            frames: Iterable of pictures of any sizes, as for `swap`, or a batch (B, 3, H, W) float, -1..1; read in
                another thread, not modified.
            identity: As for `swap`.
            faces: As for `swap`.
            options: In place of the swapper's.
            strict: A frame in which a face that is asked for cannot be swapped raises an error.
            on_frame: Called with each frame's number in the caller's thread before it is worked on; an exception ends
                the run.
            measured: Selects the frames whose report states the faces' similarity to the source.

        Raises:
            StyleSwapError: What does not fit together is reported before any work; a frame that is not a picture, or
                that fails if `strict`, when it is reached.
        """
        request = self._request(identity, faces, options, strict)
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
    ) -> BatchResult:
        """Swap faces in a batch in ComfyUI's layout.

        Args:
            frames: (B, H, W, 3 or 4) float, 0..1, on any device; not modified.
            identity: As for `swap`.
            faces: As for `swap`.
            options: In place of the swapper's.
            strict: As for `swap_frames`.
            on_frame: As for `swap_frames`.
            result_device: Device of the result; by default that of `frames`.

        Raises:
            StyleSwapError: No frames, another shape, or as for `swap_frames`.
        """
        request = self._request(identity, faces, options, strict)
        if frames.ndim != 4 or 0 in frames.shape or frames.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected frames (B, H, W, 3 or 4) with at least one frame, got {tuple(frames.shape)};"
                " connect a batch of pictures"
            )
        count, height, width = frames.shape[:3]
        # The host may call in inference mode, which is per thread: a tensor that another thread writes to must not be
        # an inference tensor.
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
                # Swapped in place on the CPU, where faces are pasted; a copy if the result is on another device.
                yield NodeFrame(over_white(part[0]), images[row, ..., :3].cpu())

        for row, result in enumerate(self._stream(pictures(), request, on_frame, measured.__contains__)):
            if images.device.type != "cpu":
                images[row, ..., :3] = torch.as_tensor(result.image).to(images.device)
            masks[row] = result.mask
            crops.append(bchw_to_bhwc(result.crops).to(images.device))
            reports.append(result.report)
        return BatchResult(images, masks, torch.cat(crops), reports, repaired)

    def _request(
        self, identity: Identity | Sequence[Identity], faces: Faces, options: SwapOptions | None, strict: bool
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
                f"expected one identity, or one for each of the {references} references, got {people}; make both lists"
                " equally long"
            )
        return _Request(identities, choice, options, strict)

    def _check(self, identity: Identity, options: SwapOptions) -> None:
        check_identity(self.model, identity, self.analysis.recognizer)
        check_strength(options.strength, self.analysis, identity)

    def _stream(
        self,
        frames: Iterable[Picture] | torch.Tensor,
        request: _Request,
        on_frame: Callable[[int], None],
        measured: Callable[[int], bool],
    ) -> Iterator[SwapResult]:
        buffered: list[_Analyzed] = []
        beside = self.detect_beside
        batch_size = request.options.batch_size
        with read_ahead(self._analyze_all(frames, request) if beside else frames, depth=batch_size) as ahead:
            for analyzed in ahead if beside else self._analyze_all(ahead, request):
                on_frame(analyzed.number)
                if analyzed.problems and request.strict:
                    raise StyleSwapError(f"frame {analyzed.number}: {_advise(analyzed)}, or let such frames pass")
                buffered.append(analyzed)
                if _is_full(buffered, batch_size):
                    yield from self._swap(buffered, request.options, measured)
                    buffered = []
            yield from self._swap(buffered, request.options, measured)

    def _analyze_all(self, frames: Iterable[Picture], request: _Request) -> Iterator[_Analyzed]:
        for number, frame in enumerate(frames):
            yield self._analyze(number, frame, request)

    def _analyze(self, number: int, frame: Picture, request: _Request) -> _Analyzed:
        """Detect the faces of a frame and match the chosen ones with identities."""
        choice, identities = request.choice, request.identities
        found = self.analysis.detect(pixels_of(frame).uint8(), choice.order, embed=choice.needs_embeddings)
        picked, problems = choice.pick(found)
        if len(identities) == 1:
            return _Analyzed(number, frame, [(face, identities[0]) for _, face in picked], len(found), problems)
        people = len(identities)
        pairs = [(face, identities[place]) for place, face in picked if place < people]
        problems = problems + [
            f"face {face.index} stays: there are {people} identities, none for it"
            for place, face in picked
            if place >= people
        ]
        if found and choice.rule in ("all", "largest"):
            places = {place for place, _ in picked}
            problems += [f"no face for identity {place}" for place in range(people) if place not in places]
        return _Analyzed(number, frame, pairs, len(found), problems)

    def _swap(
        self, frames: Sequence[_Analyzed], options: SwapOptions, measured: Callable[[int], bool]
    ) -> Iterator[SwapResult]:
        """Run the network once, or in full batches, over the faces of all buffered frames."""
        if not frames:
            return
        canvas = Canvas([analyzed.frame for analyzed in frames])
        jobs = [[FaceJob(row, *pair) for pair in analyzed.faces] for row, analyzed in enumerate(frames)]
        all_jobs = [job for frame_jobs in jobs for job in frame_jobs]
        swapped = swap_jobs(canvas, all_jobs, self.model, self.analysis, options, self.crop_device)
        crops = swapped.split([len(frame_jobs) for frame_jobs in jobs])
        for row, analyzed in enumerate(frames):
            number = analyzed.number
            faces = [report_face(canvas, self.analysis, job, self.model, number, measured(number)) for job in jobs[row]]
            report = FrameReport(number, analyzed.faces_found, faces, analyzed.problems)
            image, mask = canvas.result(row)
            yield SwapResult(image, mask, crops[row], report)


def references_for(identities: Sequence[Identity], analysis: FaceAnalyzer) -> tuple[np.ndarray, ...]:
    """Embeddings (512,) of reference identities, for a `FaceChoice` by likeness.

    Raises:
        StyleSwapError: One was made with another recognizer than the face analysis has.
    """
    for identity in identities:
        if not identity.recognizer.matches(analysis.recognizer):
            raise StyleSwapError(
                f"the reference was made with the recognizer {identity.recognizer}, the face analysis has"
                f" {analysis.recognizer}; extract the reference with this face analysis"
            )
    return tuple(identity.id_embedding.numpy() for identity in identities)


def _is_full(buffered: Sequence[_Analyzed], batch_size: int) -> bool:
    faces = sum(len(analyzed.faces) for analyzed in buffered)
    pixels = sum(math.prod(pixels_of(analyzed.frame).size) for analyzed in buffered)
    return max(faces, len(buffered)) >= batch_size or pixels >= MAX_BUFFERED_PIXELS


def _advise(analyzed: _Analyzed) -> str:
    """First problem of a frame, and what to do about it."""
    if not analyzed.faces_found:
        return f"{analyzed.problems[0]}; use a picture with a visible face, or lower the detection threshold"
    return f"{analyzed.problems[0]}; choose other faces"
