"""Averages and mixtures of embeddings and identities, and their similarity."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import StyleSwapError
from ..faces.recognizer_id import RecognizerId, common_recognizer
from .identity import Identity
from .portraits import Portrait

# An embedding is an outlier if its cosine similarity to the mean of the others is below this fraction of the median.
_OUTLIER_RATIO = 0.5
_MIN_MEAN_NORM = 1e-4


def average_faces(
    embeddings: Sequence[np.ndarray],
    sources: Sequence[str],
    recognizer: RecognizerId,
    drop_outliers: bool = False,
    *,
    norms: Sequence[float] = (),
    portraits: Sequence[Portrait] = (),
) -> tuple[Identity, list[float], list[bool]]:
    """One identity from several faces of a person.

    Its portrait is that of the face that shows most detail and resembles the others most.

    Args:
        embeddings: (D,) each.
        sources: SHA-256 of the picture of each.
        recognizer: The recognizer that made the embeddings.
        drop_outliers: Leave out faces that differ from the rest.
        norms: Norm of each embedding before its normalization; empty if unknown.
        portraits: Portrait of each face; empty if there are none.

    Returns:
        The identity; the cosine similarity of each face to the mean of the others; and which faces are outliers.
    """
    similarities, outliers = find_outliers(embeddings)
    keep = [i for i, outlier in enumerate(outliers) if not (outlier and drop_outliers)]
    mean = average_embeddings([embeddings[i] for i in keep])
    kept = tuple(dict.fromkeys(sources[i] for i in keep))
    best = max(keep, key=lambda i: portraits[i].detail * (1.0 + similarities[i])) if portraits else None
    identity = Identity(
        mean,
        recognizer,
        kept,
        embedding_norm=average_norm([norms[i] for i in keep] if norms else []),
        portrait=None if best is None else portraits[best].picture,
        portrait_points=None if best is None else portraits[best].points,
    )
    return identity, similarities, outliers


def average_norm(norms: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Weighted mean of the norms of embeddings; 0 if one is unknown.

    Not the norm of the mean embedding, which is shorter than that of any picture: networks that take embeddings before
    their normalization know those of pictures.
    """
    weights = [1.0] * len(norms) if weights is None else list(weights)
    used = [(norm, weight) for norm, weight in zip(norms, weights, strict=True) if weight > 0]
    if not used or not all(norm for norm, _ in used):
        return 0.0
    return sum(norm * weight for norm, weight in used) / sum(weight for _, weight in used)


def average_embeddings(
    embeddings: Sequence[np.ndarray | torch.Tensor], weights: Sequence[float] | None = None
) -> torch.Tensor:
    """Normalized weighted mean of embeddings, each normalized first: (D,) float32.

    Raises:
        StyleSwapError: Weights that are negative, all 0 or not one per embedding, or embeddings that cancel out.
    """
    stacked = _normalized_stack(embeddings)
    weights = [1.0] * len(stacked) if weights is None else [float(weight) for weight in weights]
    valid = len(weights) == len(stacked) and all(0.0 <= weight < math.inf for weight in weights)
    if not valid or sum(weights) <= 0:
        raise StyleSwapError(f"expected {len(stacked)} weights of 0 or more, not all 0; got {weights}")
    mean = (stacked * (torch.tensor(weights) / sum(weights))[:, None]).sum(0)
    if float(mean.norm()) < _MIN_MEAN_NORM:
        raise StyleSwapError("these identities cancel each other out; change the weights")
    return F.normalize(mean, dim=0)


def find_outliers(embeddings: Sequence[np.ndarray | torch.Tensor]) -> tuple[list[float], list[bool]]:
    """Cosine similarity of each embedding to the mean of the others, and whether it is far below the median of these.

    The threshold is relative because typical similarities between pictures of one person differ between recognizers.
    Among fewer than three embeddings none is an outlier, since there is no majority.
    """
    stacked = _normalized_stack(embeddings)
    if len(stacked) == 1:
        return [1.0], [False]
    others = F.normalize(stacked.sum(0, keepdim=True) - stacked, dim=1)
    cosines = (stacked * others).sum(1)
    if len(stacked) == 2:
        return cosines.tolist(), [False, False]
    # A median of 0 or less means that no two embeddings agree, so there is no majority either.
    limit = _OUTLIER_RATIO * float(cosines.median())
    return cosines.tolist(), [limit > 0.0 and cosine < limit for cosine in cosines.tolist()]


def cosine_similarity(a: Identity, b: Identity) -> float:
    """Cosine similarity of two identities, -1..1.

    Raises:
        StyleSwapError: Different recognizers made them.
    """
    common_recognizer([a.recognizer, b.recognizer])
    return float(a.id_embedding @ b.id_embedding)


def blend_identities(identities: Sequence[Identity], weights: Sequence[float] | None = None) -> Identity:
    """Weighted mixture of identities.

    `w_plus` is mixed as well if all of them have it for the same generator, and dropped otherwise. The portrait is that
    of the identity with the largest weight.

    Raises:
        StyleSwapError: No identities, different recognizers, or unusable weights.
    """
    if not identities:
        raise StyleSwapError("expected at least one identity to blend, got none")
    recognizer = common_recognizer([identity.recognizer for identity in identities])
    embedding = average_embeddings([identity.id_embedding for identity in identities], weights)
    weights = [1.0] * len(identities) if weights is None else [float(weight) for weight in weights]
    # Those without weight leave no trace.
    identities = [identity for identity, weight in zip(identities, weights, strict=True) if weight > 0]
    weights = [weight for weight in weights if weight > 0]
    rows = [identity.w_plus for identity in identities if identity.w_plus is not None]
    generators = {identity.generator_sha256 for identity in identities}
    w_plus, generator = None, ""
    if len(generators) == 1 and len(rows) == len(identities):
        total = sum(weights)
        parts = [row * (weight / total) for row, weight in zip(rows, weights, strict=True)]
        w_plus = sum(parts, start=torch.zeros_like(parts[0]))
        generator = generators.pop()
    sources = tuple(dict.fromkeys(source for identity in identities for source in identity.sources))
    main = identities[max(range(len(weights)), key=weights.__getitem__)]
    return Identity(
        embedding,
        recognizer,
        sources,
        w_plus,
        generator,
        average_norm([identity.embedding_norm for identity in identities], weights),
        main.portrait,
        main.portrait_points,
    )


def _normalized_stack(embeddings: Sequence[np.ndarray | torch.Tensor]) -> torch.Tensor:
    return F.normalize(torch.stack([torch.as_tensor(e, dtype=torch.float32) for e in embeddings]), dim=1)
