"""From pictures of a person to an identity with `w_plus`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.analysis import InsightFaceAnalyzer
from ..faces.arcface import TorchRecognizer
from ..faces.detected import DetectedFace
from ..faces.recognizer_id import check_recognizer
from ..identities.averaging import average_embeddings, find_outliers
from ..identities.identity import Identity
from ..model import Generator
from ..swappers.styleswap_network import required_recognizer
from .aligned_faces import AlignedFaces, align_faces
from .guides import render_guides
from .inversion_settings import LEAST_GUIDES, InversionSettings
from .optimization import CANCELED, ENDED, NO_STEPS, NOT_FINITE, Callbacks, Outcome, optimize


@dataclass(frozen=True, eq=False)
class Inversion:
    """What came of an inversion.

    Attributes:
        identity: with `w_plus`, bound to the generator.
        outcome: of the optimization.
        outliers: indices of source pictures that seem to show another person; they were used all the same.
        guides_skipped: guide pictures without a face.
        guides_rendered: guides that came from the face world.
    """

    identity: Identity
    outcome: Outcome
    outliers: list[int]
    guides_skipped: int
    guides_rendered: int

    @property
    def canceled(self) -> bool:
        """Whether the caller stopped it."""
        return self.outcome.ended == CANCELED

    def summary(self) -> list[str]:
        """What was gained and at what price: lines."""
        outcome = self.outcome
        limit = "unbound" if math.isinf(outcome.distance_limit) else f"at most {outcome.distance_limit:.2f}"
        guides = f"{outcome.held_out} held-out guides, optimized on {outcome.guides}"
        if self.guides_rendered:
            guides += f" ({self.guides_rendered} of them all rendered)"
        return [
            f"likeness {outcome.likeness_before:.3f} -> {outcome.likeness:.3f} (cosine by the model's recognizer on {guides})",
            f"{outcome.steps_done} steps, {outcome.ended}; best at step {outcome.best_step}",
            f"distance from the plain identity {outcome.distance:.2f} ({limit}; 1 is as far as the person is from the average)",
            f"{outcome.seconds:.1f} s in {'bfloat16' if outcome.bf16 else 'float32'}",
        ]

    def notes(self) -> list[str]:
        """What the user should read: sentences."""
        outcome, notes = self.outcome, []
        if outcome.ended == NO_STEPS:
            notes.append("no steps were asked for: this is plain W, the identity as the generator maps it")
        elif outcome.ended == NOT_FINITE:
            notes.append(
                f"stopped at step {outcome.steps_done + 1}, where a number was no longer finite; "
                f"the best state, of step {outcome.best_step}, is kept"
            )
        elif outcome.ended == CANCELED:
            notes.append(
                f"canceled after {outcome.steps_done} steps; the best state, of step {outcome.best_step}, is kept"
            )
        elif outcome.ended == ENDED and outcome.distance_limit == 0.0:
            notes.append("a trust region of strength 1 leaves no room to move: this is plain W")
        elif outcome.best_step == 0:
            notes.append("no step was better than plain W on the held-out guides, so this is plain W")
        notes += [f"source {index + 1} looks like another person than the others" for index in self.outliers]
        if self.guides_skipped:
            notes.append(f"{self.guides_skipped} guide pictures have no face and were skipped")
        return notes


def invert(
    generator: Generator,
    analyzer: InsightFaceAnalyzer,
    sources: Sequence[np.ndarray],
    guides: Sequence[np.ndarray] = (),
    *,
    generator_sha256: str,
    settings: InversionSettings = InversionSettings(),
    source_hashes: Sequence[str] = (),
    callbacks: Callbacks = Callbacks(),
    recognizer: TorchRecognizer | None = None,
) -> Inversion:
    """Optimize the identity of one person for one generator.

    Args:
        generator: runs on the device it is on.
        analyzer: with the recognizer that the generator was trained with.
        sources: (H, W, 3) uint8 RGB, one or more pictures of the person; the largest face of each counts.
        guides: other pictures to swap onto while optimizing; without any the face world renders
            `settings.rendered_guides`, and it adds some to a single one. The largest face of each counts.
        generator_sha256: of the generator's file; the identity is bound to it.
        source_hashes: SHA-256 of the source files, to be kept in the identity.
        recognizer: the analyzer's, as `torch_recognizer` gives it, if it is at hand already.

    Raises:
        StyleSwapError: no source, a source without a face, guides that all lack one, another recognizer than the
            generator's, or no hash of the generator.
        Canceled: the caller said so before the search began, when there was nothing yet to keep.
    """
    _check(generator, analyzer, sources, generator_sha256)
    aligned, found, missing = align_faces(sources, analyzer, generator.config, callbacks.canceled)
    if missing:
        raise StyleSwapError(
            f"expected a face in every source, picture {missing[0] + 1} of {len(sources)} shows none; "
            "use another picture, or lower the detection threshold"
        )
    embedding, outliers = _identity_of(found)
    others, skipped, rendered = _guides(generator, analyzer, guides, settings, callbacks.canceled)
    device = next(generator.parameters()).device
    recognizer = analyzer.torch_recognizer() if recognizer is None else recognizer
    outcome = optimize(generator, recognizer.to(device), aligned, embedding, others, settings, callbacks)
    identity = Identity(
        embedding,
        analyzer.recognizer,
        tuple(source_hashes),
        outcome.w_plus,
        generator_sha256,
    )
    return Inversion(identity, outcome, outliers, skipped, rendered)


def _check(generator: Generator, analyzer: InsightFaceAnalyzer, sources: Sequence[np.ndarray], sha256: str) -> None:
    if not sources:
        raise StyleSwapError("expected at least one source picture, got none")
    if not sha256:
        raise StyleSwapError("an inverted identity is bound to its generator; give the SHA-256 of the generator's file")
    check_recognizer(
        required_recognizer(generator.config),
        analyzer.recognizer,
        "the face analysis has",
        "use the face analysis pack that belongs to the model",
    )


def _identity_of(faces: Sequence[DetectedFace]) -> tuple[torch.Tensor, list[int]]:
    """Mean embedding (512,), and which faces fall away from the rest."""
    embeddings = [face.require_embedding() for face in faces]
    _, outliers = find_outliers(embeddings)
    return average_embeddings(embeddings), [index for index, outlier in enumerate(outliers) if outlier]


def _guides(
    generator: Generator,
    analyzer: InsightFaceAnalyzer,
    pictures: Sequence[np.ndarray],
    settings: InversionSettings,
    canceled: Callable[[], bool],
) -> tuple[AlignedFaces | None, int, int]:
    """Guides, how many pictures had no face, and how many guides were rendered."""
    if not settings.guided:
        return None, 0, 0
    aligned, _, missing = align_faces(pictures, analyzer, generator.config, canceled)
    if pictures and aligned is None:
        raise StyleSwapError(
            f"expected a face in at least one guide, none of the {len(pictures)} pictures shows one; "
            "give other guides, or none at all to use rendered ones"
        )
    if aligned is not None and len(aligned) >= LEAST_GUIDES:
        return aligned, len(missing), 0
    rendered = render_guides(settings.rendered_guides, generator.config, settings.seed, canceled)
    if aligned is not None:
        rendered = AlignedFaces(
            torch.cat([aligned.crops, rendered.crops]), torch.cat([aligned.points, rendered.points])
        )
    return rendered, len(missing), settings.rendered_guides
