"""Long batches of frames: as many come out as went in, in order, whatever could be swapped in each.

Memory beyond the result stays the same however many frames there are, and no frame depends on another, so that a
video may also come in parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from .canvas import Canvas
from .errors import StyleSwapError
from .faces.choice import FaceChoice
from .faces.detected import FaceAnalyzer
from .identity import Identity, is_recognizer
from .images import bchw_to_bhwc, bhwc_to_bchw, repair
from .model import GeneratorConfig
from .swap import FaceJob, Generate, SwapOptions, SwappedFace, check_identity, check_strength, report_face, swap_jobs

# Frames are worked on together up to this many pixels (four of 1920 x 1080): their working copies take some 500 MB.
MAX_PIXELS_AT_ONCE = 8_400_000
# Measuring a face costs two runs of the recogniser; that many frames tell how well a whole video went.
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
class FrameSwapper:
    """Everything that one call for a batch needs to know; made consistent on construction.

    Attributes:
        generate: runs the generator, see `swap.generate_faces`.
        config: of that generator.
        analyzer: finds the faces.
        identities: one for all chosen faces, or several: the k-th for place k of the choice.
        choice: which faces.
        options: how they are swapped.
        generator_sha256: of the generator's checkpoint.
        strict: a wanted face that cannot be swapped is an error, instead of a line in the report.
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
        """Swap the faces of all frames.

        Args:
            frames: (B, H, W, 3 or 4) float 0..1, on any device; not written to.
            on_frame: called before each frame is looked at; what it raises ends the run.
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
        images = torch.empty(frames.shape, dtype=torch.float32, device=device or frames.device)
        masks = torch.empty(count, height, width, dtype=torch.float32, device=images.device)
        at_once = max(1, min(self.options.batch_size, MAX_PIXELS_AT_ONCE // (height * width)))
        measured = set(np.linspace(0, count - 1, min(count, MEASURED_FRAMES)).round().astype(int).tolist())
        crops, reports, repaired = [], [], []
        for first in range(0, count, at_once):
            rows = slice(first, min(first + at_once, count))
            part, broken = repair(frames[rows])
            repaired += [first + row for row in broken]
            color, canvas = part[..., :3], Canvas(bhwc_to_bchw(part))
            made, told = self._swap_part(canvas, first, measured, on_frame)
            weight = canvas.result_mask()[:, 0]
            # Where nothing was swapped, the frame's own values: conversion there and back would cost the last bit.
            color = torch.where(weight[..., None] > 0, bchw_to_bhwc(canvas.image()), color)
            images[rows, ..., :3] = color.to(images.device)
            images[rows, ..., 3:] = part[..., 3:].to(images.device)
            masks[rows] = weight.to(masks.device)
            crops.append(bchw_to_bhwc(made).to(images.device))
            reports += told
        return FramesResult(images, masks, torch.cat(crops), reports, repaired)

    def _swap_part(
        self, canvas: Canvas, first: int, measured: set[int], on_frame: Callable[[int], None]
    ) -> tuple[torch.Tensor, list[FrameReport]]:
        """Swapped crops (N, 3, S, S) and reports of the frames on a canvas, of which the first has number `first`."""
        jobs: list[list[FaceJob]] = []
        found: list[tuple[int, list[str]]] = []
        for row in range(canvas.count):
            on_frame(first + row)
            chosen, faces_found, problems = self._choose(canvas, row)
            if problems and self.strict:
                raise StyleSwapError(f"frame {first + row}: {problems[0]}; choose other faces, or let such frames pass")
            jobs.append(chosen)
            found.append((faces_found, problems))
        crops = swap_jobs(canvas, sum(jobs, []), self.generate, self.config, self.analyzer, self.options)
        reports = [
            FrameReport(first + row, faces_found, self._report(canvas, jobs[row], first + row, measured), problems)
            for row, (faces_found, problems) in enumerate(found)
        ]
        return crops, reports

    def _choose(self, canvas: Canvas, row: int) -> tuple[list[FaceJob], int, list[str]]:
        """The jobs of a frame, how many faces it has, and what could not be done."""
        faces = self.analyzer.detect(canvas.pixels(row), self.choice.order, embed=self.choice.needs_embeddings)
        picked, problems = self.choice.pick(faces)
        if len(self.identities) == 1:
            return [FaceJob(row, face, self.identities[0]) for _, face in picked], len(faces), problems
        people = len(self.identities)
        jobs = [FaceJob(row, face, self.identities[place]) for place, face in picked if place < people]
        problems = problems + [
            f"face {face.index} stays: there are {people} identities, none for it" for place, face in picked if place >= people
        ]
        if faces and self.choice.rule in ("all", "largest"):
            places = {place for place, _ in picked}
            problems += [f"no face for identity {place}" for place in range(people) if place not in places]
        return jobs, len(faces), problems

    def _report(self, canvas: Canvas, jobs: list[FaceJob], frame: int, measured: set[int]) -> list[SwappedFace]:
        told = [report_face(canvas, self.analyzer, job, self.config, frame in measured) for job in jobs]
        return [replace(face, picture=frame) for face in told]


def references_for(identities: Sequence[Identity], analyzer: FaceAnalyzer) -> tuple[np.ndarray, ...]:
    """The embeddings of reference identities, for `FaceChoice`.

    Raises:
        StyleSwapError: one was made with another recogniser than the analysis has.
    """
    for identity in identities:
        if not is_recognizer(identity, analyzer):
            raise StyleSwapError(
                f"the reference was made with the recogniser {identity.recognizer!r}, the face analysis has"
                f" {analyzer.recognizer_name!r}; extract the reference with this face analysis"
            )
    return tuple(identity.id_embedding.numpy() for identity in identities)
