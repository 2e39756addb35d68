"""Which losses the generator gets for a batch: the terms of method.md 3.2, and those of the exact swap.

Every term carries its name and its weight; the total is their weighted sum and nothing else.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import losses
from ..errors import StyleSwapError
from ..faces.alignment import recognizer_crop
from ..faces.arcface import TorchRecognizer
from .batches import Batch
from .schedule import adversarial_factor, due
from .training_config import TrainingConfig


class Term(NamedTuple):
    """One addend of the generator's loss: `weight * value`, value a scalar tensor."""

    name: str
    weight: float
    value: Tensor


class Output(NamedTuple):
    """What the generator made of a batch, float32."""

    image: Tensor  # (B, 3, S, S), the blended result
    rgb: Tensor  # (B, 3, S, S), before blending
    mask: Tensor  # (B, 1, S, S) 0..1; ones without mask branch
    mask_logits: list[Tensor]  # lowest resolution first; empty without mask branch


_PIXEL_TERMS = ("reconstruction", "swap_pixels", "swap_rgb", "swap_gradients", "swap_laplacian", "swap_sharpness")
_MASK_TERMS = ("mask", "mask_levels")


def has_terms(config: TrainingConfig, step: int, mask_branch: bool, recognizer: bool = True) -> bool:
    """Whether any term of the generator's loss is due at `step`.

    Args:
        config: The run's configuration.
        step: Counted from 0.
        mask_branch: Whether the generator predicts masks.
        recognizer: Whether the run has a recognizer.
    """
    weights = config.weights
    names = _PIXEL_TERMS + (_MASK_TERMS if mask_branch else ())
    if any(getattr(weights, name) for name in names):
        return True
    identity = due(step, config.identity_every) and (weights.identity or weights.truth_identity)
    features = due(step, config.perceptual_every) and (weights.perceptual or weights.swap_perceptual)
    if recognizer and (identity or features):
        return True
    return config.uses_discriminator and adversarial_factor(config, step) > 0


def check_terms(config: TrainingConfig, mask_branch: bool) -> None:
    """Check that the run trains its generator at all: that some step has a term of its loss.

    Raises:
        StyleSwapError: No step has one.
    """
    # Lazy terms are due at step 0, and the adversarial term, once it has started, at the last step.
    if not any(has_terms(config, step, mask_branch) for step in (0, config.steps - 1)):
        late = f", or an adversarial_start before the last of {config.steps} steps" if config.uses_discriminator else ""
        masks = "" if mask_branch else " (this generator has no mask branch: mask terms do not count)"
        raise StyleSwapError(f"weights: expected a term of the generator's loss above 0{late}, got none{masks}")


def weighted_sum(terms: Iterable[Term]) -> Tensor:
    """The total to descend."""
    return torch.stack([term.weight * term.value for term in terms]).sum()


def pixel_terms(config: TrainingConfig, batch: Batch, output: Output) -> list[Term]:
    """Reconstruction, mask, and closeness to the exact swap where the batch shows it."""
    weights, image = config.weights, output.image
    same, known = batch.same_identity, batch.truth_known
    over_face = losses.face_weight(batch.face_mask, config.face_weight)
    if config.feature_weight != 1:
        over_face = over_face * losses.feature_weight(batch.points, image.shape[-1], config.feature_weight)
    terms = []
    if weights.reconstruction:
        value = losses.pixel_loss(image, batch.target, over_face, rows=same)
        terms.append(Term("reconstruction", weights.reconstruction, value))
    if output.mask_logits and weights.mask:
        terms.append(Term("mask", weights.mask, losses.mask_loss(output.mask_logits[-1], batch.face_mask)))
    if len(output.mask_logits) > 1 and weights.mask_levels:
        value = losses.mask_levels_loss(output.mask_logits[:-1], batch.face_mask)
        terms.append(Term("mask_levels", weights.mask_levels, value))
    if weights.swap_pixels:
        value = losses.pixel_loss(image, batch.truth, over_face, rows=known & ~same)
        terms.append(Term("swap_pixels", weights.swap_pixels, value))
    # The truth of a same-identity row is the target: sharpness and rgb are taught there as well.
    if weights.swap_rgb:
        terms.append(
            Term("swap_rgb", weights.swap_rgb, losses.pixel_loss(output.rgb, batch.truth, batch.face_mask, known))
        )
    if weights.swap_gradients:
        value = losses.gradient_loss(image, batch.truth, over_face, known)
        terms.append(Term("swap_gradients", weights.swap_gradients, value))
    if weights.swap_laplacian:
        value = losses.laplacian_loss(image, batch.truth, pixel_weight=over_face, rows=known)
        terms.append(Term("swap_laplacian", weights.swap_laplacian, value))
    if weights.swap_sharpness:
        value = losses.sharpness_loss(image, batch.truth, pixel_weight=over_face, rows=known)
        terms.append(Term("swap_sharpness", weights.swap_sharpness, value))
    return terms


def recognizer_terms(
    config: TrainingConfig, step: int, batch: Batch, image: Tensor, recognizer: TorchRecognizer
) -> list[Term]:
    """Identity and perceptual terms from one forward pass of the result through the recognizer.

    Lazy terms are multiplied by their interval. The recognizer's weights are expected to be frozen.
    """
    weights = config.weights
    judge_identity = due(step, config.identity_every) and (weights.identity > 0 or weights.truth_identity > 0)
    judge_features = due(step, config.perceptual_every) and (weights.perceptual > 0 or weights.swap_perceptual > 0)
    if not (judge_identity or judge_features):
        return []
    # The first ones of the whole batch are the first of every share, see shares.py.
    rows = slice(0, config.recognizer_rows * len(image) // config.batch or len(image))
    points = batch.points[rows]
    embedding, features = _judge(recognizer, recognizer_crop(image[rows], points))
    if judge_features or weights.truth_identity > 0:
        with torch.no_grad():
            reference_embedding, reference_features = _judge(recognizer, recognizer_crop(batch.truth[rows], points))
    same, known, terms = batch.same_identity[rows], batch.truth_known[rows], []
    if judge_identity and weights.identity:
        value = losses.identity_loss(embedding, batch.id_embedding[rows])
        terms.append(Term("identity", weights.identity * config.identity_every, value))
    if judge_identity and weights.truth_identity:
        value = losses.identity_loss(embedding, reference_embedding, known)
        terms.append(Term("truth_identity", weights.truth_identity * config.identity_every, value))
    if judge_features and weights.perceptual:
        value = losses.perceptual_loss(features, reference_features, same)
        terms.append(Term("perceptual", weights.perceptual * config.perceptual_every, value))
    if judge_features and weights.swap_perceptual:
        value = losses.perceptual_loss(features, reference_features, known & ~same)
        terms.append(Term("swap_perceptual", weights.swap_perceptual * config.perceptual_every, value))
    return terms


def critic_terms(
    config: TrainingConfig,
    step: int,
    batch: Batch,
    image: Tensor,
    discriminator: nn.Module,
    transform: Callable[[Tensor], Tensor] = lambda pictures: pictures,
) -> list[Term]:
    """Adversarial and feature-matching terms; nothing before `adversarial_start`.

    Args:
        transform: what the discriminator sees of pictures; the same for both sides of feature matching.
    """
    weights, factor = config.weights, adversarial_factor(config, step)
    if factor == 0:
        return []
    terms = []
    logits, features = discriminator(transform(image))
    if weights.adversarial:
        terms.append(Term("adversarial", factor * weights.adversarial, losses.adversarial_loss(logits)))
    if weights.feature_matching:
        with torch.no_grad():
            reference_features = discriminator(transform(batch.truth)).features
        value = losses.feature_matching_loss(features, reference_features, batch.truth_known)
        terms.append(Term("feature_matching", factor * weights.feature_matching, value))
    return terms


def uses_recognizer(config: TrainingConfig) -> bool:
    """Whether any term needs the recognizer."""
    weights = config.weights
    return any((weights.identity, weights.truth_identity, weights.perceptual, weights.swap_perceptual))


def _judge(recognizer: TorchRecognizer, crop: Tensor) -> tuple[Tensor, list[Tensor]]:
    # One pass gives both: the embedding is the graph's last value.
    *features, embedding = recognizer.features(crop, (*recognizer.levels, recognizer.graph.output_name))
    return embedding, features
