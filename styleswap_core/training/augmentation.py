"""Adaptive discriminator augmentation for small sets (ADA, Karras et al. 2020, "Training GANs with limited data").

A discriminator that sees few pictures learns them by heart. Here it never sees one as it is: real and generated pictures
pass through the same random transforms, each with probability p, and the generator's gradient passes through them too.
The transforms are the paper's set "bgc", geometry and color, with its strengths. As long as p stays well below 1 they do
not leak into what the generator paints (section 2.2).

All random numbers are a function of the seed, the step and the row in the whole batch: a resumed run, and any number of
processes, see the same transforms. They are color matrices and one resampling, which can be undone for every value they
take; ready-made augmentations that clamp to 0..1 cannot, and would leak.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..faces.alignment import warp
from .batches import random_of_step
from .training_config import HIGHEST_AUGMENTATION, TrainingConfig

ADJUST_EVERY = 4  # steps between two looks at r_t


class Purpose(IntEnum):
    """What pictures are transformed for; each has random numbers of its own."""

    GENERATOR = 1
    REAL = 2
    FAKE = 3


class Transforms(NamedTuple):
    """Of n pictures."""

    geometry: np.ndarray  # (n, 2, 3), moves content: old place -> new place, in px
    color: np.ndarray  # (n, 3, 4), affine in RGB -1..1


class Augmentation:
    """The probability p and the rule that moves it: up while r_t = E[sign(D(real))] is above its target.

    Args:
        probability: to begin with.
    """

    def __init__(self, probability: float):
        self.probability = probability
        self._signs: float | Tensor = 0.0
        self._steps = 0

    def transform(self, config: TrainingConfig, step: int, purpose: Purpose, rows: slice) -> Callable[[Tensor], Tensor]:
        """What to apply to the pictures of `rows` of the whole batch, (B, 3, S, S) -> the same shape, differentiable."""
        drawn = draw_transforms(config.batch, config.seed, step, purpose, self.probability)
        part = Transforms(drawn.geometry[rows], drawn.color[rows])
        return lambda pictures: apply_transforms(pictures, part)

    def observe(self, config: TrainingConfig, real_sign: Tensor) -> None:
        """Take the mean sign of the discriminator's logits at the real pictures of one step."""
        if config.augment != "ada":
            return
        self._signs = self._signs + real_sign
        self._steps += 1
        if self._steps == ADJUST_EVERY:
            overfitting = float(self._signs) / self._steps - config.augment_target
            stride = ADJUST_EVERY * config.batch / config.augment_ramp_images
            self.probability = float(np.clip(self.probability + np.sign(overfitting) * stride, 0, HIGHEST_AUGMENTATION))
            self._signs, self._steps = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"probability": self.probability, "signs": float(self._signs), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.probability, self._signs, self._steps = state["probability"], state["signs"], state["steps"]


def draw_transforms(count: int, seed: int, step: int, purpose: int, probability: float) -> Transforms:
    """Random transforms of pictures with sides of 1, the center at the origin; see `apply_transforms`."""
    # A stream of their own keeps these numbers apart from those that choose the pictures of the step.
    random = random_of_step(seed, step, int(purpose))

    def gated(values: np.ndarray, otherwise: float, chance: float = probability) -> np.ndarray:
        return np.where(random.random(count) < chance, values, otherwise)

    # Turned before and after squeezing, so that together they turn with the probability asked for.
    turned = 1 - np.sqrt(1 - probability)
    flip = gated(np.where(random.random(count) < 0.5, -1.0, 1.0), 1.0)
    quarter = gated(random.integers(4, size=count) * np.pi / 2, 0.0)
    shift = [gated(random.uniform(-0.125, 0.125, count), 0.0) for _ in range(2)]
    scale = gated(np.exp2(0.2 * random.standard_normal(count)), 1.0)
    before = gated(random.uniform(-np.pi, np.pi, count), 0.0, turned)
    squeeze = gated(np.exp2(0.2 * random.standard_normal(count)), 1.0)
    after = gated(random.uniform(-np.pi, np.pi, count), 0.0, turned)
    drift = [gated(0.125 * random.standard_normal(count), 0.0) for _ in range(2)]
    geometry = (
        _move(*drift)
        @ _turn(after)
        @ _stretch(squeeze, 1 / squeeze)
        @ _turn(before)
        @ _stretch(scale, scale)
        @ _move(*shift)
        @ _turn(quarter)
        @ _stretch(flip, np.ones(count))
    )
    brightness = gated(0.2 * random.standard_normal(count), 0.0)
    contrast = gated(np.exp2(0.5 * random.standard_normal(count)), 1.0)
    luma = gated(np.where(random.random(count) < 0.5, -1.0, 1.0), 1.0)
    hue = gated(random.uniform(-np.pi, np.pi, count), 0.0)
    saturation = gated(np.exp2(random.standard_normal(count)), 1.0)
    return Transforms(geometry[:, :2], _color(brightness, contrast, luma, hue, saturation))


def apply_transforms(pictures: Tensor, transforms: Transforms) -> Tensor:
    """Transform (B, 3, S, S) RGB -1..1, differentiably; what lies beyond the border is mirrored.

    Colors are not clamped: what is cut off could not be told apart any more.
    """
    side = pictures.shape[-1]
    geometry, color = (torch.from_numpy(matrix).to(pictures.device, torch.float32) for matrix in transforms)
    # float32 for coordinates and colors, whatever precision the networks run in.
    with torch.autocast(pictures.device.type, enabled=False):
        pictures = pictures.float()
        if not np.array_equal(transforms.geometry, _unchanged(len(pictures), 2, 3)):
            linear, offset = geometry[..., :2], geometry[..., 2:] * side
            center = torch.full((2, 1), side / 2, device=pictures.device)
            matrix = torch.cat([linear, offset + center - linear @ center], dim=2)
            pictures = warp(pictures, matrix, side, antialias=False)
        if not np.array_equal(transforms.color, _unchanged(len(pictures), 3, 4)):
            mixed = torch.einsum("bij,bjhw->bihw", color[..., :3], pictures)
            pictures = mixed + color[:, :, 3, None, None]
    return pictures.contiguous(memory_format=torch.channels_last)


def _unchanged(count: int, rows: int, columns: int) -> np.ndarray:
    return np.broadcast_to(np.eye(rows, columns), (count, rows, columns))


def _rows(*values: np.ndarray | float) -> np.ndarray:
    # Nine (n,) or plain numbers -> (n, 3, 3)
    return np.stack(np.broadcast_arrays(*values), axis=-1).reshape(-1, 3, 3)


def _move(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _rows(1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0)


def _stretch(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _rows(x, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0, 1.0)


def _turn(angle: np.ndarray) -> np.ndarray:
    # Exact at quarter turns, which must not blur.
    cosine, sine = (np.where(np.abs(value) < 1e-12, 0.0, value) for value in (np.cos(angle), np.sin(angle)))
    return _rows(cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0)


def _color(
    brightness: np.ndarray, contrast: np.ndarray, luma: np.ndarray, hue: np.ndarray, saturation: np.ndarray
) -> np.ndarray:
    # Around the gray axis: luma mirrors along it, hue turns about it, saturation stretches away from it. (n, 3, 4)
    gray = np.full((3, 3), 1 / 3)
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3)
    apart = np.eye(3) - gray
    cosine, sine, luma, saturation, contrast = (
        value[:, None, None] for value in (np.cos(hue), np.sin(hue), luma, saturation, contrast)
    )
    offset = np.repeat((brightness * contrast[:, 0, 0] * luma[:, 0, 0])[:, None, None], 3, axis=1)
    turned = saturation * (cosine * apart + sine * cross)
    return np.concatenate([contrast * (luma * gray + turned), offset], axis=2)
