"""Adaptive discriminator augmentation (ADA) for small training sets.

A discriminator that sees few pictures memorizes them. With ADA it never sees a picture unchanged: real and generated
pictures pass through the same kinds of random transforms, each applied with probability p, and the generator's gradient
passes through them as well. As long as p stays well below 1, the transforms do not leak into the generated pictures
(section 2.2).

All random numbers are a function of the seed, the step and the row within the batch, so that a resumed run and any
number of processes see the same transforms. The transforms are color matrices and a single resampling. Each can be
inverted, unlike common augmentations that clamp colors to 0..1, which would leak.

Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data". The transforms are the
geometric and color transforms of the paper's set "bgc", with the paper's strengths.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from ..faces.alignment import warp
from .batches import Stream, step_rng
from .training_config import MAX_AUGMENT_PROBABILITY, TrainingConfig

ADJUST_EVERY = 4  # steps between adjustments of p


class Purpose(IntEnum):
    """What pictures are transformed for; each purpose has its own stream of random numbers."""

    GENERATOR = 0
    REAL = 1
    FAKE = 2


class Transforms(NamedTuple):
    """Transforms of n pictures."""

    geometry: np.ndarray  # (n, 2, 3), maps source to destination, in units of the side, origin at the center
    color: np.ndarray  # (n, 3, 4), affine in RGB -1..1


class AugmentationState(TypedDict):
    """Checkpointed values of an `Augmentation`."""

    probability: float
    signs: float
    steps: int


class Augmentation:
    """Probability p of the transforms, and its control: p rises while r_t = E[sign(D(real))] exceeds its target.

    Args:
        probability: Initial value of p.
    """

    def __init__(self, probability: float) -> None:
        self.probability = probability
        self._signs: float | Tensor = 0.0
        self._steps = 0

    def transform(self, config: TrainingConfig, step: int, purpose: Purpose, rows: slice) -> Callable[[Tensor], Tensor]:
        """Transform for the pictures of these rows of the batch, (B, 3, S, S) -> (B, 3, S, S), differentiable."""
        drawn = draw_transforms(config.batch, config.seed, step, purpose, self.probability)
        selected = Transforms(drawn.geometry[rows], drawn.color[rows])
        return lambda pictures: apply_transforms(pictures, selected)

    def observe(self, config: TrainingConfig, real_sign: Tensor) -> None:
        """Record the mean sign of the discriminator's logits for the real pictures of one step, and adjust p."""
        if config.augment != "ada":
            return
        self._signs = self._signs + real_sign
        self._steps += 1
        if self._steps == ADJUST_EVERY:
            overfitting = float(self._signs) / self._steps - config.augment_target
            change = ADJUST_EVERY * config.batch / config.augment_ramp_images
            probability = self.probability + np.sign(overfitting) * change
            self.probability = float(np.clip(probability, 0, MAX_AUGMENT_PROBABILITY))
            self._signs, self._steps = 0.0, 0

    def state_dict(self) -> AugmentationState:
        """Plain values for a checkpoint."""
        return {"probability": self.probability, "signs": float(self._signs), "steps": self._steps}

    def load_state_dict(self, state: AugmentationState) -> None:
        """Restore the values of `state_dict`."""
        self.probability, self._signs, self._steps = state["probability"], state["signs"], state["steps"]


def draw_transforms(count: int, seed: int, step: int, purpose: int, probability: float) -> Transforms:
    """Random transforms of `count` pictures, each of its components applied with the given probability."""
    rng = step_rng(seed, step, Stream.AUGMENTATION + purpose)

    def gate(values: np.ndarray, neutral: float, probability: float = probability) -> np.ndarray:
        return np.where(rng.random(count) < probability, values, neutral)

    # Rotations before and after the anisotropic scaling; that at least one occurs has the probability asked for.
    rotation_probability = 1 - np.sqrt(1 - probability)
    flip = gate(np.where(rng.random(count) < 0.5, -1.0, 1.0), 1.0)
    quarter_turns = gate(rng.integers(4, size=count) * np.pi / 2, 0.0)
    shift = [gate(rng.uniform(-0.125, 0.125, count), 0.0) for _ in range(2)]
    scale = gate(np.exp2(0.2 * rng.standard_normal(count)), 1.0)
    first_angle = gate(rng.uniform(-np.pi, np.pi, count), 0.0, rotation_probability)
    stretch = gate(np.exp2(0.2 * rng.standard_normal(count)), 1.0)
    second_angle = gate(rng.uniform(-np.pi, np.pi, count), 0.0, rotation_probability)
    final_shift = [gate(0.125 * rng.standard_normal(count), 0.0) for _ in range(2)]
    geometry = (
        _translation(*final_shift)
        @ _rotation(second_angle)
        @ _scaling(stretch, 1 / stretch)
        @ _rotation(first_angle)
        @ _scaling(scale, scale)
        @ _translation(*shift)
        @ _rotation(quarter_turns)
        @ _scaling(flip, np.ones(count))
    )
    brightness = gate(0.2 * rng.standard_normal(count), 0.0)
    contrast = gate(np.exp2(0.5 * rng.standard_normal(count)), 1.0)
    luma = gate(np.where(rng.random(count) < 0.5, -1.0, 1.0), 1.0)
    hue = gate(rng.uniform(-np.pi, np.pi, count), 0.0)
    saturation = gate(np.exp2(rng.standard_normal(count)), 1.0)
    return Transforms(geometry[:, :2], _color_matrix(brightness, contrast, luma, hue, saturation))


def apply_transforms(pictures: Tensor, transforms: Transforms) -> Tensor:
    """Transform (B, 3, S, S) RGB -1..1 differentiably, with reflection padding.

    Colors are not clamped, since clamping cannot be inverted.
    """
    side = pictures.shape[-1]
    geometry, color = (torch.from_numpy(matrix).to(pictures.device, torch.float32) for matrix in transforms)
    # Coordinates and colors need float32 whatever precision the networks run in.
    with torch.autocast(pictures.device.type, enabled=False):
        pictures = pictures.float()
        if not np.array_equal(transforms.geometry, _identity_matrices(len(pictures), 2, 3)):
            linear, offset = geometry[..., :2], geometry[..., 2:] * side
            center = torch.full((2, 1), side / 2, device=pictures.device)
            matrix = torch.cat([linear, offset + center - linear @ center], dim=2)
            pictures = warp(pictures, matrix, side, antialias=False)
        if not np.array_equal(transforms.color, _identity_matrices(len(pictures), 3, 4)):
            mixed = torch.einsum("bij,bjhw->bihw", color[..., :3], pictures)
            pictures = mixed + color[:, :, 3, None, None]
    return pictures.contiguous(memory_format=torch.channels_last)


def _identity_matrices(count: int, rows: int, columns: int) -> np.ndarray:
    return np.broadcast_to(np.eye(rows, columns), (count, rows, columns))


def _matrices(*values: np.ndarray | float) -> np.ndarray:
    # Nine numbers or (n,) arrays -> (n, 3, 3)
    return np.stack(np.broadcast_arrays(*values), axis=-1).reshape(-1, 3, 3)


def _translation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _matrices(1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0)


def _scaling(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _matrices(x, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0, 1.0)


def _rotation(angle: np.ndarray) -> np.ndarray:
    # Exact for quarter turns, so that they do not blur.
    cosine, sine = (np.where(np.abs(value) < 1e-12, 0.0, value) for value in (np.cos(angle), np.sin(angle)))
    return _matrices(cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0)


def _color_matrix(
    brightness: np.ndarray, contrast: np.ndarray, luma: np.ndarray, hue: np.ndarray, saturation: np.ndarray
) -> np.ndarray:
    # (n, 3, 4). About the gray axis: luma flips along it, hue rotates about it, saturation scales away from it.
    gray = np.full((3, 3), 1 / 3)
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3)
    chroma = np.eye(3) - gray
    cosine, sine, luma, saturation, contrast = (
        value[:, None, None] for value in (np.cos(hue), np.sin(hue), luma, saturation, contrast)
    )
    offset = np.repeat((brightness * contrast[:, 0, 0] * luma[:, 0, 0])[:, None, None], 3, axis=1)
    rotated = saturation * (cosine * chroma + sine * cross)
    return np.concatenate([contrast * (luma * gray + rotated), offset], axis=2)
