"""Settings of an inversion: everything that decides its result."""

import math
from dataclasses import dataclass, field

import torch

from ..devices import Precision, choose_precision
from ..errors import StyleSwapError

PRECISIONS = ("auto", "bf16", "float32")
MAX_STEPS = 2000
# One to optimize on, and one that is held out for early stopping.
MIN_GUIDES = 2


@dataclass(frozen=True)
class InversionWeights:
    """Weights of the loss terms; a term of weight 0 is not computed.

    Attributes:
        identity: Swap-guided steps: 1 - cosine similarity of swaps onto guides to the source.
        preservation: Swap-guided steps: L1 between a swap and the same swap by plain W.
        reconstruction: Self-reconstruction steps: L1 to the source picture, inside the face.
        perceptual: Self-reconstruction steps: distance to the source picture in recognizer features.
        distance: All steps: penalty of the trust region.
    """

    identity: float = 1.0
    preservation: float = 10.0
    reconstruction: float = 1.0
    perceptual: float = 0.5
    distance: float = 0.1


@dataclass(frozen=True)
class InversionSettings:
    """Settings of an inversion.

    A step is one update of `w_plus`; swap-guided and self-reconstruction steps alternate.

    Attributes:
        steps: Maximum number of steps.
        trust: Strength of the trust region, 0..1: 1 keeps `w_plus` at `FC_w(f_id)`, 0 leaves it unbounded.
        seed: Seed of all random numbers.
        guided: False leaves out the swap-guided steps, the ablation that the paper advises against.
        learning_rate: Maximum step per coordinate of `w_plus`, in units of the trust region (see trust_region.py) per
            coordinate.
        warmup: Share of the steps during which the learning rate rises; it then falls to 0 along a cosine.
        guide_batch: Guides per swap-guided step.
        views: Randomly varied crops of each swapped guide that the recognizer sees.
        rendered_guides: Number of guides that are rendered if the user gives fewer than two.
        held_out_share: Share of the guides that is held out for early stopping.
        check_every: Steps between evaluations on the held-out guides.
        patience: Evaluations without improvement after which the optimization stops.
        min_gain: Cosine similarity by which an evaluation has to improve to count as an improvement.
        precision: Precision of the networks, one of `PRECISIONS`; "auto" takes what the device is fast at.
        low_memory: One face at a time and gradient checkpointing: slower, with a fraction of the memory.
        weights: Weights of the loss terms.

    Raises:
        StyleSwapError: A value is out of range.
    """

    steps: int = 60
    trust: float = 0.5
    seed: int = 0
    guided: bool = True
    learning_rate: float = 0.03
    warmup: float = 0.1
    guide_batch: int = 4
    views: int = 3
    rendered_guides: int = 16
    held_out_share: float = 0.25
    check_every: int = 10
    patience: int = 3
    min_gain: float = 0.002
    precision: str = "auto"
    low_memory: bool = False
    weights: InversionWeights = field(default_factory=InversionWeights)

    def __post_init__(self) -> None:
        _check_range("steps", self.steps, 0, MAX_STEPS)
        _check_range("trust", self.trust, 0.0, 1.0)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        _check_range("learning_rate", self.learning_rate, 1e-6, 10.0)
        _check_range("warmup", self.warmup, 0.0, 1.0)
        _check_range("held_out_share", self.held_out_share, 0.0, 0.9)
        for name in ("guide_batch", "views", "check_every", "patience"):
            _check_range(name, getattr(self, name), 1, MAX_STEPS)
        _check_range("rendered_guides", self.rendered_guides, 2, 512)
        if self.precision not in PRECISIONS:
            raise StyleSwapError(f"expected a precision out of {', '.join(PRECISIONS)}, got {self.precision!r}")

    def guides_wanted(self, given: int) -> int:
        """Number of guides that an inversion uses if the user gives `given`: below two, rendered ones are added."""
        if not self.guided:
            return 0
        return given if given >= MIN_GUIDES else given + self.rendered_guides

    def learning_rate_factor(self, step: int) -> float:
        """Factor of the learning rate at a step, counted from 0: linear warm-up, then a cosine down to 0."""
        warmup = max(1, round(self.warmup * self.steps))
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))

    def chosen_precision(self, device: torch.device) -> Precision:
        """Precision of the networks on a device; depends on the machine only, so that seeds reproduce."""
        return choose_precision(device, "inversion", self.precision)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise StyleSwapError(f"expected {name.replace('_', ' ')} from {low:g} to {high:g}, got {value}")
