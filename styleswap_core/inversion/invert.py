"""Inversion from pictures of a person to an identity with `w_plus`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..faces.recognizer_id import check_recognizer
from ..identities.averaging import average_embeddings, find_outliers
from ..identities.identity import Identity
from ..model import Generator
from ..swappers.styleswap_network import required_recognizer
from .aligned_faces import AlignedFaces, align_faces
from .guides import render_guides
from .inversion_settings import MIN_GUIDES, InversionSettings
from .optimization import CANCELED, ENDED, NO_STEPS, NOT_FINITE, Callbacks, Outcome, optimize


@dataclass(frozen=True, eq=False)
class Inversion:
    """Result of an inversion.

    Attributes:
        identity: Identity with `w_plus`, bound to the generator.
        outcome: Result of the optimization.
        outliers: Indices of source pictures that seem to show another person; they were used nonetheless.
        guides_skipped: Number of guide pictures without a face.
        guides_rendered: Number of guides from the face world.
    """

    identity: Identity
    outcome: Outcome
    outliers: list[int]
    guides_skipped: int
    guides_rendered: int

    @property
    def canceled(self) -> bool:
        """Whether the caller canceled it."""
        return self.outcome.ended == CANCELED

    def summary(self) -> list[str]:
        """Lines that state the gain in likeness, the number of steps, the distance and the time."""
        outcome = self.outcome
        limit = "unbounded" if math.isinf(outcome.distance_limit) else f"at most {outcome.distance_limit:.2f}"
        guides = f"{outcome.held_out} held-out guides, optimized on {outcome.guides}"
        if self.guides_rendered:
            guides += f" ({self.guides_rendered} of all guides rendered)"
        gain = f"{outcome.likeness_before:.3f} -> {outcome.likeness:.3f}"
        unit = "1 is the person's distance from the average person"
        return [
            f"likeness {gain} (cosine similarity by the model's recognizer on {guides})",
            f"{outcome.steps_done} steps, {outcome.ended}; best at step {outcome.best_step}",
            f"distance from the plain identity {outcome.distance:.2f} ({limit}; {unit})",
            f"{outcome.seconds:.1f} s in {outcome.precision.name} ({outcome.precision.reason})",
        ]

    def notes(self) -> list[str]:
        """Sentences about anything that the user should know."""
        outcome, notes = self.outcome, []
        if outcome.ended == NO_STEPS:
            notes.append("no steps were requested: the result is plain W, the identity as the generator maps it")
        elif outcome.ended == NOT_FINITE:
            notes.append(
                f"stopped at step {outcome.steps_done + 1} because a value was not finite; "
                f"the best state, from step {outcome.best_step}, was kept"
            )
        elif outcome.ended == CANCELED:
            notes.append(
                f"canceled after {outcome.steps_done} steps; the best state, from step {outcome.best_step}, was kept"
            )
        elif outcome.ended == ENDED and outcome.distance_limit == 0.0:
            notes.append("a trust region of strength 1 leaves no room to move: the result is plain W")
        elif outcome.best_step == 0:
            notes.append("no step improved on plain W on the held-out guides: the result is plain W")
        notes += [f"source {index + 1} seems to show another person than the others" for index in self.outliers]
        if self.guides_skipped:
            notes.append(f"guide pictures without a face, skipped: {self.guides_skipped}")
        return notes


def invert(
    generator: Generator,
    analyzer: FaceAnalyzer,
    sources: Sequence[np.ndarray],
    guides: Sequence[np.ndarray] = (),
    *,
    generator_sha256: str,
    settings: InversionSettings | None = None,
    source_hashes: Sequence[str] = (),
    callbacks: Callbacks | None = None,
    recognizer: TorchRecognizer | None = None,
) -> Inversion:
    """Optimize the identity of one person for one generator.

    Args:
        generator: The inversion runs on its device.
        analyzer: Must have the recognizer that the generator was trained with.
        sources: (H, W, 3) uint8 RGB, one or more pictures of the person; the largest face of each is used.
        guides: Pictures of other people to swap onto during optimization; the largest face of each is used. With fewer
            than two faces, the face world renders `settings.rendered_guides` more.
        generator_sha256: SHA-256 of the generator's file, which the identity is bound to.
        settings: How to optimize; by default `InversionSettings()`.
        source_hashes: SHA-256 of the source files, stored in the identity.
        callbacks: Reports of progress, and cancellation.
        recognizer: The analyzer's recognizer as `torch_recognizer` returns it, if already loaded.

    Raises:
        StyleSwapError: There is no source, a source shows no face, guides are given and none shows a face, the
            analyzer's recognizer is not the generator's, or the generator's hash is missing.
        Canceled: The caller canceled before the search began, when there was no result to keep.
    """
    settings, callbacks = settings or InversionSettings(), callbacks or Callbacks()
    _check(generator, analyzer, sources, generator_sha256)
    aligned, detections, missing = align_faces(sources, analyzer, generator.config, callbacks.canceled)
    if missing:
        raise StyleSwapError(
            f"expected a face in every source, but picture {missing[0] + 1} of {len(sources)} shows none; "
            "use another picture, or lower the detection threshold"
        )
    embedding, outliers = _mean_embedding(detections)
    targets, skipped, rendered = _guides(generator, analyzer, guides, settings, callbacks.canceled)
    device = next(generator.parameters()).device
    recognizer = analyzer.torch_recognizer() if recognizer is None else recognizer
    outcome = optimize(generator, recognizer.to(device), aligned, embedding, targets, settings, callbacks)
    identity = Identity(
        embedding,
        analyzer.recognizer,
        tuple(source_hashes),
        outcome.w_plus,
        generator_sha256,
    )
    return Inversion(identity, outcome, outliers, skipped, rendered)


def _check(generator: Generator, analyzer: FaceAnalyzer, sources: Sequence[np.ndarray], sha256: str) -> None:
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


def _mean_embedding(faces: Sequence[DetectedFace]) -> tuple[torch.Tensor, list[int]]:
    """Mean embedding (D,), and the indices of faces that seem to belong to another person."""
    embeddings = [face.require_embedding() for face in faces]
    _, outliers = find_outliers(embeddings)
    return average_embeddings(embeddings), [index for index, outlier in enumerate(outliers) if outlier]


def _guides(
    generator: Generator,
    analyzer: FaceAnalyzer,
    pictures: Sequence[np.ndarray],
    settings: InversionSettings,
    canceled: Callable[[], bool],
) -> tuple[AlignedFaces | None, int, int]:
    """Guides, the number of pictures without a face, and the number of rendered guides."""
    if not settings.guided:
        return None, 0, 0
    given, _, missing = align_faces(pictures, analyzer, generator.config, canceled)
    if pictures and len(given) == 0:
        raise StyleSwapError(
            f"expected a face in at least one guide, but none of the {len(pictures)} pictures shows one; "
            "give other guides, or none to use rendered ones"
        )
    if len(given) >= MIN_GUIDES:
        return given, len(missing), 0
    rendered = render_guides(settings.rendered_guides, generator.config, settings.seed, canceled)
    guides = AlignedFaces(torch.cat([given.crops, rendered.crops]), torch.cat([given.points, rendered.points]))
    return guides, len(missing), settings.rendered_guides
