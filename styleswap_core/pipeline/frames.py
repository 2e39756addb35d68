"""Long batches of frames: as many come out as went in, in order, whatever could be swapped in each.

Memory beyond the result stays the same however many frames there are, and no frame depends on another, so that a
video may also come in parts.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..compositing.canvas import Canvas
from ..compositing.pixels import NodeFrame, Picture, pixels_of
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity, is_recognizer
from ..io.images import bchw_to_bhwc, over_white, repair
from ..io.read_ahead import lookahead
from ..model import Generator, GeneratorConfig
from ..swappers.baked_cache import BakedCache, BakedFaces
from .swap import FaceJob, Generate, SwapOptions, SwappedFace, check_identity, check_strength, report_face, swap_jobs

# Frames wait for each other up to this many pixels (four of 1920 x 1080): results and masks of such take up to 130 MB.
MAX_PIXELS_AT_ONCE = 8_400_000
# Measuring a face costs two runs of the recognizer; that many frames tell how well a whole video went.
MEASURED_FRAMES = 16


@dataclass(frozen=True, eq=False)
class FrameReport:
    """What happened in one frame.

    Attributes:
        frame: its number in the batch.
        faces_found: by the detector.
        swapped: the faces that were swapped.
        problems: one sentence for each wanted face that was not.
    """

    frame: int
    faces_found: int
    swapped: list[SwappedFace]
    problems: list[str]


@dataclass(frozen=True, eq=False)
class FramesResult:
    """A batch after swapping.

    Attributes:
        images: (B, H, W, C) float32 0..1, C as it came; a fourth channel is untouched.
        masks: (B, H, W) float32 0..1, how much of each pixel is new.
        crops: (N, S, S, 3) float32 0..1, the swapped aligned crops of all frames in order; N may be 0.
        reports: B of them, in order.
        repaired: frames that held values outside 0..1, or none at all (NaN), and were clipped.
    """

    images: torch.Tensor
    masks: torch.Tensor
    crops: torch.Tensor
    reports: list[FrameReport]
    repaired: list[int]


@dataclass(frozen=True, eq=False)
class SwappedFrame:
    """One frame of a stream after swapping.

    Attributes:
        image: as it came: (H, W, 3) uint8, or (3, H, W) float -1..1; outside of swapped faces its exact values.
        mask: (H, W) float32 0..1, how much of each pixel is new.
        crops: (N, 3, S, S) float32 -1..1, its swapped aligned crops; N may be 0.
        report: what happened.
    """

    image: Picture
    mask: torch.Tensor
    crops: torch.Tensor
    report: FrameReport


@dataclass(frozen=True, eq=False)
class _FoundFrame:
    """A frame whose faces are known: who each of the chosen ones becomes, how many there are, what could not be done."""

    number: int
    frame: Picture
    faces: list[tuple[DetectedFace, Identity]]
    faces_found: int
    problems: list[str]


@dataclass(frozen=True, eq=False)
class FrameSwapper:
    """Everything that one call for a batch needs to know; made consistent on construction.

    Attributes:
        generate: runs the generator: a `baking.BakedFaces`, or what `swap.generate_faces` does.
        config: of that generator.
        analyzer: finds the faces.
        identities: one for all chosen faces, or several: the k-th for place k of the choice.
        choice: which faces.
        options: how they are swapped.
        generator_sha256: of the generator's checkpoint.
        strict: a wanted face that cannot be swapped is an error, instead of a line in the report.
        device: where crops are cut and pasted; best the generator's.
        detect_beside: search the next frames for faces in a thread beside the generator, instead of in turn with it. None:
            where `device` is not the CPU. On a CPU the two would fight for its cores and take longer (docs/benchmarks).

    Raises:
        StyleSwapError: no identity, or identities, references, strength and generator that do not go together.
    """

    generate: Generate
    config: GeneratorConfig
    analyzer: FaceAnalyzer
    identities: Sequence[Identity]
    choice: FaceChoice = FaceChoice()
    options: SwapOptions = SwapOptions()
    generator_sha256: str = ""
    strict: bool = False
    device: torch.device | str = "cpu"
    detect_beside: bool | None = None

    def __post_init__(self) -> None:
        if not self.identities:
            raise StyleSwapError("expected at least one source identity, got none")
        for identity in self.identities:
            check_identity(self.config, identity, self.generator_sha256)
            check_strength(self.options.strength, self.analyzer, identity)
        people, references = len(self.identities), len(self.choice.references)
        if self.choice.rule == "by likeness" and people > 1 and people != references:
            raise StyleSwapError(
                f"expected one identity, or one for each of the {references} references, got {people}; make both lists"
                " equally long"
            )

    def run(
        self,
        frames: torch.Tensor,
        on_frame: Callable[[int], None] = lambda frame: None,
        device: torch.device | str | None = None,
    ) -> FramesResult:
        """Swap the faces of all frames of a batch.

        Args:
            frames: (B, H, W, 3 or 4) float 0..1, on any device; not written to.
            on_frame: called before each frame is worked on; what it raises ends the run.
            device: where the result lies; by default where the frames lie.

        Raises:
            StyleSwapError: no frames, another shape, or, if `strict`, a frame in which something could not be swapped.
        """
        if frames.ndim != 4 or 0 in frames.shape or frames.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected frames (B, H, W, 3 or 4) with at least one frame, got {tuple(frames.shape)};"
                " connect a batch of pictures"
            )
        count, height, width = frames.shape[:3]
        # A host program may call in inference mode, which ends at its thread: what another thread writes to is made outside.
        with torch.inference_mode(False):
            images = torch.empty(frames.shape, dtype=torch.float32, device=device or frames.device)
        masks = torch.empty(count, height, width, dtype=torch.float32, device=images.device)
        measured = set(np.linspace(0, count - 1, min(count, MEASURED_FRAMES)).round().astype(int).tolist())
        crops, reports, repaired = [], [], []

        def pictures() -> Iterator[NodeFrame]:
            for row in range(count):
                part, broken = repair(frames[row : row + 1])
                repaired.extend(row for _ in broken)
                images[row] = part[0]
                # Swapped in its place; a copy where that is on another device, since faces are pasted on the CPU.
                result = images[row, ..., :3].cpu()
                yield NodeFrame(over_white(part[0]), result)

        for row, done in enumerate(self.stream(pictures(), on_frame, measured.__contains__)):
            if images.device.type != "cpu":
                images[row, ..., :3] = done.image.to(images.device)
            masks[row] = done.mask
            crops.append(bchw_to_bhwc(done.crops).to(images.device))
            reports.append(done.report)
        return FramesResult(images, masks, torch.cat(crops), reports, repaired)

    def stream(
        self,
        frames: Iterable[Picture],
        on_frame: Callable[[int], None] = lambda frame: None,
        measured: Callable[[int], bool] = lambda frame: False,
    ) -> Iterator[SwappedFrame]:
        """Swap the faces of frames that come one by one, such as those of a video: as many come out, in order.

        The next frames are fetched in a thread beside the generator, and searched for faces there if `detect_beside`.
        Memory is bounded by `options.batch_size` frames and MAX_PIXELS_AT_ONCE. Closing the iterator early ends the thread.

        Args:
            frames: (H, W, 3) uint8 RGB, or (3, H, W) float -1..1 each, of any sizes; read in another thread, not written
                to.
            on_frame: called in the caller's thread before each frame is worked on; what it raises ends the run.
            measured: for which frames the report tells the faces' likeness to the source, which costs two runs of the
                recognizer for each face.

        Raises:
            StyleSwapError: what is no frame, or, if `strict`, a frame in which something could not be swapped.
        """
        waiting: list[_FoundFrame] = []
        beside = torch.device(self.device).type != "cpu" if self.detect_beside is None else self.detect_beside
        with lookahead(self._find(frames) if beside else frames, self.options.batch_size) as ahead:
            for next_frame in ahead if beside else self._find(ahead):
                on_frame(next_frame.number)
                if next_frame.problems and self.strict:
                    raise StyleSwapError(
                        f"frame {next_frame.number}: {next_frame.problems[0]}; choose other faces, or let such frames pass"
                    )
                waiting.append(next_frame)
                if self._is_enough(waiting):
                    yield from self._swap(waiting, measured)
                    waiting = []
            yield from self._swap(waiting, measured)

    def _find(self, frames: Iterable[Picture]) -> Iterator[_FoundFrame]:
        for number, frame in enumerate(frames):
            yield _FoundFrame(number, frame, *self._choose(pixels_of(frame).uint8()))

    def _is_enough(self, waiting: Sequence[_FoundFrame]) -> bool:
        faces = sum(len(frame.faces) for frame in waiting)
        pixels = sum(math.prod(pixels_of(frame.frame).size) for frame in waiting)
        return max(faces, len(waiting)) >= self.options.batch_size or pixels >= MAX_PIXELS_AT_ONCE

    def _swap(self, waiting: Sequence[_FoundFrame], measured: Callable[[int], bool]) -> Iterator[SwappedFrame]:
        """Run the generator once, or in full batches, over the faces of all frames that wait."""
        if not waiting:
            return
        canvas = Canvas.of_frames([frame.frame for frame in waiting])
        jobs = [[FaceJob(row, *pair) for pair in frame.faces] for row, frame in enumerate(waiting)]
        crops = swap_jobs(
            canvas, sum(jobs, []), self.generate, self.config, self.analyzer, self.options, self.device
        ).split([len(own) for own in jobs])
        for row, frame in enumerate(waiting):
            swapped = self._report(canvas, jobs[row], frame.number, measured(frame.number))
            report = FrameReport(frame.number, frame.faces_found, swapped, frame.problems)
            yield SwappedFrame(*canvas.result(row), crops[row], report)

    def _choose(self, picture: np.ndarray) -> tuple[list[tuple[DetectedFace, Identity]], int, list[str]]:
        """Faces of a frame with who they become, how many faces it has, and what could not be done."""
        faces = self.analyzer.detect(picture, self.choice.order, embed=self.choice.needs_embeddings)
        picked, problems = self.choice.pick(faces)
        if len(self.identities) == 1:
            return [(face, self.identities[0]) for _, face in picked], len(faces), problems
        people = len(self.identities)
        pairs = [(face, self.identities[place]) for place, face in picked if place < people]
        problems = problems + [
            f"face {face.index} stays: there are {people} identities, none for it"
            for place, face in picked
            if place >= people
        ]
        if faces and self.choice.rule in ("all", "largest"):
            places = {place for place, _ in picked}
            problems += [f"no face for identity {place}" for place in range(people) if place not in places]
        return pairs, len(faces), problems

    def _report(self, canvas: Canvas, jobs: list[FaceJob], frame: int, measure: bool) -> list[SwappedFace]:
        told = [report_face(canvas, self.analyzer, job, self.config, measure) for job in jobs]
        return [replace(face, picture=frame) for face in told]


def references_for(identities: Sequence[Identity], analyzer: FaceAnalyzer) -> tuple[np.ndarray, ...]:
    """The embeddings of reference identities, for `FaceChoice`.

    Raises:
        StyleSwapError: one was made with another recognizer than the analysis has.
    """
    for identity in identities:
        if not is_recognizer(identity, analyzer):
            raise StyleSwapError(
                f"the reference was made with the recognizer {identity.recognizer!r}, the face analysis has"
                f" {analyzer.recognizer_name!r}; extract the reference with this face analysis"
            )
    return tuple(identity.id_embedding.numpy() for identity in identities)


def swap_frames(
    generator: Generator,
    analyzer: FaceAnalyzer,
    frames: Iterable[Picture] | torch.Tensor,
    identity: Identity | Sequence[Identity],
    choice: FaceChoice = FaceChoice("largest"),
    options: SwapOptions = SwapOptions(),
    *,
    generator_sha256: str = "",
    cache: BakedCache | None = None,
    dtype: torch.dtype | None = None,
    strict: bool = False,
    on_frame: Callable[[int], None] = lambda frame: None,
) -> Iterator[SwappedFrame]:
    """Swap faces in any number of frames, with the generator baked for each identity; see `FrameSwapper.stream`.

    Args:
        frames: an iterable of (H, W, 3) uint8 or (3, H, W) float -1..1, or a batch (B, 3, H, W) float -1..1.
        identity: one for all chosen faces, or several: the k-th for place k of the choice.
        generator_sha256, cache, dtype: see `baking.BakedFaces`.
        strict: a wanted face that cannot be swapped is an error, instead of a line in the report.
        on_frame: called before each frame is worked on, with its number; what it raises ends the run.

    Raises:
        StyleSwapError: as `FrameSwapper` and its `stream`; what does not go together is told before any work.
    """
    identities = [identity] if isinstance(identity, Identity) else list(identity)
    faces = BakedFaces(generator, generator_sha256, cache, dtype)
    swapper = FrameSwapper(
        faces, generator.config, analyzer, identities, choice, options, generator_sha256, strict, faces.device
    )
    return swapper.stream(frames, on_frame)
