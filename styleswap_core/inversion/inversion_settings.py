"""How an inversion runs: everything that decides its result."""

import math
from dataclasses import dataclass, field

import torch

from ..devices import choose_precision
from ..errors import StyleSwapError

PRECISIONS = ("auto", "bf16", "float32")
MAX_STEPS = 2000
# With a single guide there is none left to stop early by.
LEAST_GUIDES = 2


@dataclass(frozen=True)
class InversionWeights:
    """Factor of every term; a term whose factor is 0 is not computed.

    reconstruction and perceptual act in the self-reconstruction steps, identity and preservation in the swap-guided
    ones; distance, the penalty of the trust region, in both.
    """

    identity: float = 1.0  # 1 - cosine to the source, swaps onto guides
    preservation: float = 10.0  # L1 between a swap and the same swap by plain W: what need not change, stays
    reconstruction: float = 1.0  # L1 to the source's own picture, inside the face
    perceptual: float = 0.5  # recognizer features, to the source's own picture
    distance: float = 0.1  # squared distance to FC_w(f_id), in units of the trust region; times its strength


@dataclass(frozen=True)
class InversionSettings:
    """Lengths are in steps; one step is one update of `w_plus`, a self-reconstruction or a swap-guided one by turns.

    Raises:
        StyleSwapError: a value out of its range.
    """

    steps: int = 60
    # Strength of the trust region, 0..1. 1 holds w_plus at FC_w(f_id), 0 lets it go anywhere.
    trust: float = 0.5
    seed: int = 0
    # False leaves out the swap-guided steps: the ablation that the paper warns of.
    guided: bool = True
    # Largest step of each coordinate of w_plus, in units of its share of the trust region's unit (see trust_region.py).
    learning_rate: float = 0.03
    warmup: float = 0.1  # share of the steps over which the learning rate grows; then it falls to 0 as a cosine
    guide_batch: int = 4  # guides per swap-guided step
    views: int = 3  # crops per swapped guide that the recognizer sees, each placed and lit a little differently
    rendered_guides: int = 16  # how many the face world gives where the user gives none
    held_out_share: float = 0.25  # of the guides, for early stopping alone
    check_every: int = 10  # steps between looks at the held-out guides
    patience: int = 3  # looks without a better one after which it stops
    min_gain: float = 0.002  # cosine by which a look must be better to count
    precision: str = "auto"  # of the networks: "bf16", "float32", or what the device does well
    low_memory: bool = False  # one face at a time, and gradient checkpointing: slower, a fraction of the memory
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
        """How many guides an inversion uses that is given so many: rendered ones join where one or none is."""
        if not self.guided:
            return 0
        return given if given >= LEAST_GUIDES else given + self.rendered_guides

    def learning_rate_factor(self, step: int) -> float:
        """Factor of the learning rate at `step` (0-based): linear warm-up, then a cosine down to 0."""
        warmup = max(1, round(self.warmup * self.steps))
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))

    def runs_bf16(self, device: torch.device) -> bool:
        """Whether the networks run in bfloat16 on a device. A function of the machine alone, so that a seed repeats."""
        return choose_precision(device, "inversion", self.precision).dtype == torch.bfloat16


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise StyleSwapError(f"expected {name.replace('_', ' ')} from {low:g} to {high:g}, got {value}")
