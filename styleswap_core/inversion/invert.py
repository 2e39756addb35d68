"""Inversion from pictures of a person to an identity for one network."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..faces.detected import FaceAnalyzer
from ..faces.recognizer_id import check_recognizer
from ..identities.averaging import average_faces
from ..identities.identity import Identity
from ..swappers.guest_network import GuestNetwork
from ..swappers.network import SwappingNetwork
from ..swappers.styleswap_network import StyleSwapNetwork
from .aligned_faces import AlignedFaces, align_faces
from .guides import render_guides
from .inversion_settings import MIN_GUIDES, InversionSettings
from .invertible import InvertibleNetwork
from .invertible_generator import InvertibleGenerator
from .invertible_guest import InvertibleGuest
from .optimization import CANCELED, ENDED, NO_STEPS, NOT_FINITE, Callbacks, Outcome, optimize


@dataclass(frozen=True, eq=False)
class Inversion:
    """Result of an inversion.

    Attributes:
        identity: Identity with `w_plus`, bound to the network.
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
            notes.append("no steps were requested: the result is the plain identity as the model maps it")
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
            notes.append("a trust region of strength 1 leaves no room to move: the result is the plain identity")
        elif outcome.best_step == 0:
            notes.append(
                "no step improved on the plain identity on the held-out guides: the result is the plain identity"
            )
        notes += [f"source {index + 1} seems to show another person than the others" for index in self.outliers]
        if self.guides_skipped:
            notes.append(f"guide pictures without a face, skipped: {self.guides_skipped}")
        return notes


def invertible(model: SwappingNetwork) -> InvertibleNetwork:
    """A swapping network, such as `load_model` returns, as `invert` takes it.

    Raises:
        StyleSwapError: A network of another program takes no numbers as its source, or its graph has operators that
            are not supported.
    """
    if isinstance(model, StyleSwapNetwork):
        return InvertibleGenerator(model.generator, model.sha256)
    if isinstance(model, GuestNetwork):
        return InvertibleGuest(model)
    raise StyleSwapError(f"expected a StyleSwap model or a network of another program, got {model.name}")


def invert(
    network: InvertibleNetwork,
    analyzer: FaceAnalyzer,
    sources: Sequence[np.ndarray],
    guides: Sequence[np.ndarray] = (),
    *,
    settings: InversionSettings | None = None,
    source_hashes: Sequence[str] = (),
    callbacks: Callbacks | None = None,
    recognizer: TorchRecognizer | None = None,
) -> Inversion:
    """Optimize the identity of one person for one network.

    Args:
        network: The network, from `invertible`; the inversion runs on its device.
        analyzer: Must have the recognizer that the network was trained with.
        sources: (H, W, 3) uint8 RGB, one or more pictures of the person; the largest face of each is used.
        guides: Pictures of other people to swap onto during optimization; the largest face of each is used. With fewer
            than two faces, the face world renders `settings.rendered_guides` more.
        settings: How to optimize; by default `InversionSettings()`.
        source_hashes: SHA-256 of the source files, stored in the identity.
        callbacks: Reports of progress, and cancellation.
        recognizer: The analyzer's recognizer as `torch_recognizer` returns it, if already loaded.

    Raises:
        StyleSwapError: There is no source, a source shows no face, guides are given and none shows a face, the
            analyzer's recognizer is not the network's, or the hash of the network's file is unknown.
        Canceled: The caller canceled before the search began, when there was no result to keep.
    """
    settings, callbacks = settings or InversionSettings(), callbacks or Callbacks()
    _check(network, analyzer, sources)
    form = network.template, network.size
    aligned, detections, missing = align_faces(sources, analyzer, *form, callbacks.canceled)
    if missing:
        raise StyleSwapError(
            f"expected a face in every source, but picture {missing[0] + 1} of {len(sources)} shows none; "
            "use another picture, or lower the detection threshold"
        )
    plain, _, outliers = average_faces(
        [face.require_embedding() for face in detections],
        [""] * len(detections),
        analyzer.recognizer,
        norms=[face.embedding_norm for face in detections],
    )
    targets, skipped, rendered = _guides(network, analyzer, guides, settings, callbacks.canceled)
    recognizer = analyzer.torch_recognizer() if recognizer is None else recognizer
    outcome = optimize(network, recognizer.to(network.device), aligned, plain, targets, settings, callbacks)
    identity = replace(plain, sources=tuple(source_hashes), w_plus=outcome.w_plus, generator_sha256=network.sha256)
    doubtful = [index for index, outlier in enumerate(outliers) if outlier]
    return Inversion(identity, outcome, doubtful, skipped, rendered)


def _check(network: InvertibleNetwork, analyzer: FaceAnalyzer, sources: Sequence[np.ndarray]) -> None:
    if not sources:
        raise StyleSwapError("expected at least one source picture, got none")
    if not network.sha256:
        raise StyleSwapError("an inverted identity is bound to its model; give the SHA-256 of the model's file")
    check_recognizer(
        network.recognizer,
        analyzer.recognizer,
        "the face analysis has",
        "use the face analysis pack that belongs to the model",
    )


def _guides(
    network: InvertibleNetwork,
    analyzer: FaceAnalyzer,
    pictures: Sequence[np.ndarray],
    settings: InversionSettings,
    canceled: Callable[[], bool],
) -> tuple[AlignedFaces | None, int, int]:
    """Guides, the number of pictures without a face, and the number of rendered guides."""
    if not settings.guided:
        return None, 0, 0
    form = network.template, network.size
    given, _, missing = align_faces(pictures, analyzer, *form, canceled)
    if pictures and len(given) == 0:
        raise StyleSwapError(
            f"expected a face in at least one guide, but none of the {len(pictures)} pictures shows one; "
            "give other guides, or none to use rendered ones"
        )
    if len(given) >= MIN_GUIDES:
        return given, len(missing), 0
    rendered = render_guides(settings.rendered_guides, *form, settings.seed, canceled)
    guides = AlignedFaces(torch.cat([given.crops, rendered.crops]), torch.cat([given.points, rendered.points]))
    return guides, len(missing), settings.rendered_guides
