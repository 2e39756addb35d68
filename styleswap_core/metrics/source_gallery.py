"""Evaluators of samples, and the gallery of source faces to which results are compared; see samples.py."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.detected import FaceAnalyzer
from ..faces.recognition import OnnxRecognizer
from ..identities.averaging import average_faces
from ..identities.identity import Identity
from ..identities.portraits import cut_portrait
from .attribute_evaluators import AttributeEvaluator
from .evaluated_swappers import FaceSwapper
from .frechet import FeatureNetwork
from .identity_similarity import retrieval_hits


@dataclass(frozen=True, eq=False)
class Evaluators:
    """What measures the samples, and what swaps those that have no result.

    Attributes:
        analyzer: Detects faces; its recognizer embeds the sources for the swapper.
        recognizer: Measures identity; a recognizer that has no part in the swap.
        attributes: Measures pose and expression.
        swapper: Produces missing results.
        frechet: Compute the Fréchet distance.
        feature_network: Features for the Fréchet distance; None uses the embeddings of `recognizer`.
        portraits: Whether the swapper takes a picture of the source instead of an embedding.
    """

    analyzer: FaceAnalyzer
    recognizer: OnnxRecognizer
    attributes: AttributeEvaluator
    swapper: FaceSwapper | None = None
    frechet: bool = False
    feature_network: FeatureNetwork | None = None
    portraits: bool = False


@dataclass(frozen=True, eq=False)
class SourceFaces:
    """Source of one or more samples.

    Attributes:
        person: Number of the person.
        embedding: (1, D) mean embedding by the evaluation recognizer.
        identity: Identity for the swapper; None without a swapper.
    """

    person: int
    embedding: Tensor
    identity: Identity | None


@dataclass(eq=False)
class Gallery:
    """All source faces.

    Attributes:
        embeddings: (D,) each, by the evaluation recognizer.
        people: For each embedding the number of the person.
        numbers: Numbers of people by name.
        sources: Sources by path.
    """

    embeddings: list[Tensor] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    sources: dict[Path, SourceFaces] = field(default_factory=dict)

    def add(self, evaluators: Evaluators, key: Path, person: str, pictures: Sequence[np.ndarray]) -> None:
        """Add a source: the largest face of each picture, skipping pictures without a face.

        Raises:
            StyleSwapError: None of the pictures shows a face.
        """
        embeddings, swapped, portraits = [], [], []
        for picture in pictures:
            faces = evaluators.analyzer.detect(picture, embed=evaluators.swapper is not None)
            if faces:
                embeddings.append(torch.from_numpy(evaluators.recognizer.embed(picture, faces[0].points)))
                if evaluators.swapper is not None:
                    swapped.append(faces[0])
                if evaluators.portraits:
                    portraits.append(cut_portrait(picture, faces[0].points))
        if not embeddings:
            raise StyleSwapError(f"no face found in the source {key.name}")
        number = self.numbers.setdefault(person, len(self.numbers))
        identity = None
        if swapped:
            identity, *_ = average_faces(
                [face.require_embedding() for face in swapped],
                [key.name] * len(swapped),
                evaluators.analyzer.recognizer,
                norms=[face.embedding_norm for face in swapped],
                portraits=portraits,
            )
        self.embeddings += embeddings
        self.people += [number] * len(embeddings)
        self.sources[key] = SourceFaces(number, torch.stack(embeddings).mean(dim=0)[None], identity)

    def retrieval_hit(self, embedding: Tensor, person: int) -> float:
        """1.0 if the face nearest to an embedding (1, D) shows the person, otherwise 0.0; NaN with a single person."""
        if len(self.numbers) < 2:
            return math.nan
        gallery, people = self._stacked
        return float(retrieval_hits(embedding, gallery, torch.tensor([person]), people))

    @cached_property
    def _stacked(self) -> tuple[Tensor, Tensor]:
        # First used when all sources are added; stacking them for each sample would take longer than the search.
        return torch.stack(self.embeddings), torch.tensor(self.people)
