"""Terms of the generator's loss: those of the paper (method.md, section 3.2), and those of the exact swap.

Each term has a name and a weight; the total loss is their weighted sum.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import losses
from ..errors import StyleSwapError
from ..faces.alignment import recognizer_crop
from ..faces.arcface import TorchRecognizer
from ..model.generator_output import GeneratorOutput
from .batches import Batch
from .schedule import adversarial_factor, is_due
from .training_config import TrainingConfig


class LossTerm(NamedTuple):
    """One summand of the generator's loss: `weight * value`, where value is a scalar tensor."""

    name: str
    weight: float
    value: Tensor


_PIXEL_TERMS = ("reconstruction", "swap_pixels", "swap_rgb", "swap_gradients", "swap_laplacian", "swap_sharpness")
_MASK_TERMS = ("mask", "mask_levels")


def has_active_terms(config: TrainingConfig, step: int, mask_branch: bool, recognizer: bool = True) -> bool:
    """Whether any term of the generator's loss is computed at `step`.

    Args:
        config: Configuration of the run.
        step: Number of the step, from 0.
        mask_branch: Whether the generator predicts masks.
        recognizer: Whether the run has a recognizer.
    """
    weights = config.weights
    names = _PIXEL_TERMS + (_MASK_TERMS if mask_branch else ())
    if any(getattr(weights, name) for name in names):
        return True
    if recognizer and (_identity_is_due(config, step) or _features_are_due(config, step)):
        return True
    return config.uses_discriminator and adversarial_factor(config, step) > 0


def check_terms(config: TrainingConfig, mask_branch: bool) -> None:
    """Check that the run trains its generator at all, that is, that some step has a loss term.

    Raises:
        StyleSwapError: No step has one.
    """
    # Lazy terms are due at step 0, and the adversarial term, once it has started, at the last step.
    if not any(has_active_terms(config, step, mask_branch) for step in (0, config.steps - 1)):
        late = f", or an adversarial_start before the last of {config.steps} steps" if config.uses_discriminator else ""
        masks = "" if mask_branch else " (mask terms do not count, since this generator has no mask branch)"
        raise StyleSwapError(f"weights: expected a term of the generator's loss above 0{late}, got none{masks}")


def uses_recognizer(config: TrainingConfig) -> bool:
    """Whether any term needs the recognizer."""
    weights = config.weights
    return any((weights.identity, weights.truth_identity, weights.perceptual, weights.swap_perceptual))


def weighted_sum(terms: Iterable[LossTerm]) -> Tensor:
    """Total loss."""
    return torch.stack([term.weight * term.value for term in terms]).sum()


def pixel_terms(config: TrainingConfig, batch: Batch, output: GeneratorOutput) -> list[LossTerm]:
    """Reconstruction, mask, and distance to the exact swap where it is known."""
    weights, image = config.weights, output.image
    same, known = batch.same_identity, batch.truth_known
    pixel_weight = losses.face_weight(batch.face_mask, config.face_weight)
    if config.feature_weight != 1:
        pixel_weight = pixel_weight * losses.feature_weight(batch.points, image.shape[-1], config.feature_weight)
    terms = []
    if weights.reconstruction:
        value = losses.pixel_loss(image, batch.target, pixel_weight, rows=same)
        terms.append(LossTerm("reconstruction", weights.reconstruction, value))
    if output.mask_logits and weights.mask:
        terms.append(LossTerm("mask", weights.mask, losses.mask_loss(output.mask_logits[-1], batch.face_mask)))
    if len(output.mask_logits) > 1 and weights.mask_levels:
        value = losses.mask_levels_loss(output.mask_logits[:-1], batch.face_mask)
        terms.append(LossTerm("mask_levels", weights.mask_levels, value))
    if weights.swap_pixels:
        value = losses.pixel_loss(image, batch.truth, pixel_weight, rows=known & ~same)
        terms.append(LossTerm("swap_pixels", weights.swap_pixels, value))
    # The following include same-identity rows, whose truth is the target.
    if weights.swap_rgb:
        value = losses.pixel_loss(output.rgb, batch.truth, batch.face_mask, known)
        terms.append(LossTerm("swap_rgb", weights.swap_rgb, value))
    if weights.swap_gradients:
        value = losses.gradient_loss(image, batch.truth, pixel_weight, known)
        terms.append(LossTerm("swap_gradients", weights.swap_gradients, value))
    if weights.swap_laplacian:
        value = losses.laplacian_loss(image, batch.truth, pixel_weight=pixel_weight, rows=known)
        terms.append(LossTerm("swap_laplacian", weights.swap_laplacian, value))
    if weights.swap_sharpness:
        value = losses.sharpness_loss(image, batch.truth, pixel_weight=pixel_weight, rows=known)
        terms.append(LossTerm("swap_sharpness", weights.swap_sharpness, value))
    return terms


def recognizer_terms(
    config: TrainingConfig, step: int, batch: Batch, image: Tensor, recognizer: TorchRecognizer
) -> list[LossTerm]:
    """Identity and perceptual terms, from one pass of the result through the frozen recognizer.

    Lazy terms are multiplied by their interval.
    """
    weights = config.weights
    identity_is_due, features_are_due = _identity_is_due(config, step), _features_are_due(config, step)
    if not (identity_is_due or features_are_due):
        return []
    # The first rows of the whole batch are the first rows of every micro-batch, see micro_batches.py.
    rows = slice(0, config.recognizer_rows * len(image) // config.batch or len(image))
    points = batch.points[rows]
    embedding, features = _recognize(recognizer, image[rows], points)
    same, known = batch.same_identity[rows], batch.truth_known[rows]
    terms = []
    if identity_is_due and weights.identity:
        value = losses.identity_loss(embedding, batch.id_embedding[rows])
        terms.append(LossTerm("identity", weights.identity * config.identity_every, value))
    if not (features_are_due or weights.truth_identity > 0):
        return terms
    with torch.no_grad():
        truth_embedding, truth_features = _recognize(recognizer, batch.truth[rows], points)
    if identity_is_due and weights.truth_identity:
        value = losses.identity_loss(embedding, truth_embedding, known)
        terms.append(LossTerm("truth_identity", weights.truth_identity * config.identity_every, value))
    if features_are_due and weights.perceptual:
        value = losses.perceptual_loss(features, truth_features, same)
        terms.append(LossTerm("perceptual", weights.perceptual * config.perceptual_every, value))
    if features_are_due and weights.swap_perceptual:
        value = losses.perceptual_loss(features, truth_features, known & ~same)
        terms.append(LossTerm("swap_perceptual", weights.swap_perceptual * config.perceptual_every, value))
    return terms


def discriminator_terms(
    config: TrainingConfig,
    step: int,
    batch: Batch,
    image: Tensor,
    discriminator: nn.Module,
    transform: Callable[[Tensor], Tensor],
) -> list[LossTerm]:
    """Adversarial and feature-matching terms; none before `adversarial_start`.

    Args:
        config: Configuration of the run.
        step: Number of the step, from 0.
        batch: Batch of the step.
        image: (B, 3, S, S) result of the generator.
        discriminator: Discriminator, whose weights need no gradient here.
        transform: Augmentation of the pictures that the discriminator sees, the same on both sides of feature matching.
    """
    weights, factor = config.weights, adversarial_factor(config, step)
    if factor == 0:
        return []
    terms = []
    logits, features = discriminator(transform(image))
    if weights.adversarial:
        terms.append(LossTerm("adversarial", factor * weights.adversarial, losses.adversarial_loss(logits)))
    if weights.feature_matching:
        with torch.no_grad():
            truth_features = discriminator(transform(batch.truth)).features
        value = losses.feature_matching_loss(features, truth_features, batch.truth_known)
        terms.append(LossTerm("feature_matching", factor * weights.feature_matching, value))
    return terms


def _identity_is_due(config: TrainingConfig, step: int) -> bool:
    weights = config.weights
    return is_due(step, config.identity_every) and (weights.identity > 0 or weights.truth_identity > 0)


def _features_are_due(config: TrainingConfig, step: int) -> bool:
    weights = config.weights
    return is_due(step, config.perceptual_every) and (weights.perceptual > 0 or weights.swap_perceptual > 0)


def _recognize(recognizer: TorchRecognizer, image: Tensor, points: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Embedding and features of faces, from one pass: the embedding is the last value of the graph."""
    crop = recognizer_crop(image, points)
    *features, embedding = recognizer.features(crop, (*recognizer.levels, recognizer.graph.output_names[0]))
    return embedding, features
