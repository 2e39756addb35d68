"""Configuration of a training run: one frozen dataclass, stored in the run folder and in every checkpoint."""

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..io.files import atomic_write
from ..losses import LossWeights
from .config_values import MAX_NUMBER, assign, build, check
from .optimizers import GENERATOR_OPTIMIZERS

PRECISIONS = ("auto", "fp32", "bf16")
SCHEDULES = ("cosine", "linear", "constant")
AUGMENTATIONS = ("none", "ada", "fixed")
# At higher probabilities the transforms may leak into the generated pictures (Karras et al. 2020, section 2.2).
MAX_AUGMENT_PROBABILITY = 0.8

# Settings that earlier versions had under another name, and settings that no longer exist, which are ignored. Old
# configurations and runs that contain them still load.
RENAMED_SETTINGS = {
    "accumulate": "gradient_accumulation",
    "agreeing_share": "consistency_share",
    "agreeing_start": "consistency_start",
    "hidden_share": "occluded_share",
}
REMOVED_SETTINGS = frozenset({"recoloured"})

# Constraints that several settings share.
_CHOICES = {
    "precision": PRECISIONS,
    "optimizer": tuple(GENERATOR_OPTIMIZERS),
    "schedule": SCHEDULES,
    "augment": AUGMENTATIONS,
}
_AT_LEAST_1 = (
    "steps",
    "batch",
    "gradient_accumulation",
    "stddev_group",
    "r1_interval",
    "identity_every",
    "perceptual_every",
    "log_every",
    "checkpoint_every",
    "sample_every",
)
_AT_LEAST_0 = (
    "seed",
    "warmup_steps",
    "adversarial_start",
    "adversarial_ramp",
    "back_translation_start",
    "consistency_start",
    "recognizer_rows",
    "gradient_clip",
    "sample_images",
    "validation_images",
    "freeze_generator_steps",
    "freeze_discriminator_steps",
    "freeze_discriminator_blocks",
    "face_weight",
    "ema_ramp_up",
)
_POSITIVE = (
    "learning_rate",
    "matrix_learning_rate",
    "discriminator_learning_rate",
    "ema_half_life_images",
    "feature_weight",
    "discriminator_channel_scale",
    "augment_ramp_images",
)
_SHARES = (
    "same_identity_share",
    "owner_share",
    "occluded_share",
    "back_translated_share",
    "consistency_share",
    "teacher_share",
    "world_share",
)


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run of the generator.

    Times are counted in optimization steps unless the name says images. Everything that affects the results of a run is
    included; where it runs (device, threads) is not.

    Raises:
        StyleSwapError: A setting is out of range, or settings contradict each other.
    """

    # Networks and data.
    model: str = "demo-64"  # preset of the generator
    model_overrides: dict[str, Any] = field(default_factory=dict)  # fields of GeneratorConfig that replace the preset's
    discriminator_channel_scale: float = 1.0  # channels of the discriminator relative to the generator's
    data: str = ""  # folder of columns, or of prepared photographs
    world_data: str = ""  # folder of columns that supplies `world_share` of every batch, with exact swaps
    world_share: float = 0.0  # share of rows from `world_data`
    validation_data: str = ""  # folder of columns with held-out identities; empty: no validation
    recognizer: str = ""  # ONNX file of the recognizer that makes the embeddings; empty: that of the photographs' pack
    init_from: str = ""  # generator file to start from, of the same size or half of it; empty: random weights
    init_discriminator_from: str = ""  # run folder or checkpoint with a discriminator to start from; empty: random
    seed: int = 20261122  # seed of initial weights, pairs and augmentation

    # Duration and optimization.
    steps: int = 20_000  # optimization steps of the whole run
    batch: int = 16  # pictures per optimization step, over all processes and micro-batches
    gradient_accumulation: int = 1  # micro-batches per process and step; divides the memory for activations
    optimizer: str = "muon"  # of the generator: "muon" (for weight matrices, Adam for the rest), or "adam"
    learning_rate: float = 2e-3  # learning rate of Adam
    matrix_learning_rate: float = 0.05  # learning rate of Muon, whose updates are scaled to the magnitude of Adam's
    discriminator_learning_rate: float = 1e-3  # learning rate of the discriminator's Adam
    generator_betas: tuple[float, float] = (0.9, 0.99)  # of Adam; StyleGAN2's beta1 = 0 is for adversarial losses only
    discriminator_betas: tuple[float, float] = (0.0, 0.99)  # betas of the discriminator's Adam
    warmup_steps: int = 200  # steps of the linear warm-up of all learning rates
    schedule: str = "cosine"  # after the warm-up: "cosine" or "linear" decay to 0 at the last step, or "constant"
    gradient_clip: float = 50.0  # maximum gradient norm of the generator, for outliers (10 to 20 is usual); 0: no limit
    ema_half_life_images: float = 10_000.0  # half-life of the averaged weights (EMA)
    ema_ramp_up: float = 0.05  # limits the half-life to this share of the images seen so far; 0: no limit
    precision: str = "auto"  # precision of convolutions: "fp32", "bf16", or "auto", which depends on the hardware

    # Pairs.
    same_identity_share: float = 0.2  # share of rows in which source and target are the same person
    owner_share: float = 0.5  # share of targets that are member 0 of their column, which owns body and crop window
    exact_swap: bool = True  # False: the paper's setting, in which the true result of a swap is never seen
    teacher_share: float = 0.0  # share of rows of photographs whose target is a swap by the teacher of the prepared set
    occluded_share: float = 0.0  # share of rows that get an occluded target, unless their truth is known
    back_translated_share: float = 0.0  # share of rows that get a swap as target, unless their truth is known
    back_translation_start: int = 300  # step of the first such rows, since an untrained network's swaps are useless
    consistency_share: float = 0.0  # share of rows that get a consistent truth, unless their truth is known
    consistency_start: int = 150  # step of the first such rows

    # Losses.
    weights: LossWeights = field(default_factory=LossWeights)  # weights of the loss terms
    face_weight: float = 3.0  # weight of pixels inside the face relative to those outside
    feature_weight: float = 1.0  # weight of pixels near eyes and mouth relative to the rest of the face
    identity_every: int = 1  # interval of the identity terms, which are multiplied by it
    perceptual_every: int = 1  # interval of the perceptual terms, which are multiplied by it
    recognizer_rows: int = 0  # rows of the batch that the recognizer evaluates; 0: all

    # Discriminator.
    adversarial_start: int = 0  # step before which the discriminator is neither run nor trained
    adversarial_ramp: int = 2_000  # steps to the full weight; ramped, since starting at full weight diverges
    r1_interval: int = 16  # interval of the R1 penalty, which is multiplied by it
    stddev_group: int = 4  # pictures per group of the minibatch standard deviation
    freeze_generator_steps: int = 0  # steps at the start, so that a new discriminator can catch up
    freeze_discriminator_steps: int = 0  # steps at the start, so that new layers of the generator can settle
    freeze_discriminator_blocks: int = 0  # FreezeD: blocks next to the picture that keep their trained weights
    augment: str = "none"  # discriminator augmentation: "none", "ada" (adaptive, for small sets), or "fixed"
    augment_probability: float = 0.0  # initial value for "ada", constant for "fixed"
    augment_target: float = 0.6  # mean sign of the logits for real pictures above which "ada" raises the probability
    augment_ramp_images: float = 500_000.0  # images in which "ada" can change the probability by 1

    # Reports.
    log_every: int = 50  # interval of metrics
    checkpoint_every: int = 1_000  # interval of checkpoints
    sample_every: int = 1_000  # interval of sample sheets and validation
    sample_images: int = 8  # samples per sheet; 0: no sheets
    validation_images: int = 128  # samples per validation; 0: no validation
    compile: bool = False  # torch.compile of the generator; needs a C++ compiler at run time

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            check(value in choices, f"{name}: expected one of {', '.join(choices)}, got {value!r}")
        _check_finite(self)
        _check_finite(self.weights, "weights.")
        for least, names in ((1, _AT_LEAST_1), (0, _AT_LEAST_0)):
            for name in names:
                value = getattr(self, name)
                bound = f"at least {least}" if value < least else f"at most {MAX_NUMBER}"
                check(least <= value <= MAX_NUMBER, f"{name}: expected {bound}, got {value}")
        for name in _POSITIVE:
            check(getattr(self, name) > 0, f"{name}: expected more than 0, got {getattr(self, name)}")
        for name in _SHARES:
            check(0 <= getattr(self, name) <= 1, f"{name}: expected a share in 0..1, got {getattr(self, name)}")
        for entry in dataclasses.fields(self.weights):
            value = getattr(self.weights, entry.name)
            check(value >= 0, f"weights.{entry.name}: expected 0 or more, got {value}")
        self._check_ranges()
        self._check_discriminator()

    @property
    def uses_discriminator(self) -> bool:
        """Whether the run has a discriminator at all."""
        return self.weights.adversarial > 0 or self.weights.feature_matching > 0

    def _check_ranges(self) -> None:
        for name in ("generator_betas", "discriminator_betas"):
            values = getattr(self, name)
            check(all(0 <= value < 1 for value in values), f"{name}: expected two numbers in 0..1, got {values}")
        shares = self.occluded_share + self.back_translated_share + self.consistency_share
        check(
            shares <= 1,
            f"occluded_share, back_translated_share and consistency_share: expected at most 1 together, got {shares:g}",
        )
        check(
            0 <= self.augment_probability <= MAX_AUGMENT_PROBABILITY,
            f"augment_probability: expected 0..{MAX_AUGMENT_PROBABILITY}, got {self.augment_probability}",
        )
        check(-1 < self.augment_target < 1, f"augment_target: expected a mean sign in -1..1, got {self.augment_target}")

    def _check_discriminator(self) -> None:
        dependent = [
            name
            for name in (
                "freeze_generator_steps",
                "freeze_discriminator_steps",
                "freeze_discriminator_blocks",
                "init_discriminator_from",
            )
            if getattr(self, name)
        ]
        dependent += ["augment"] if self.augment != "none" else []
        check(
            self.uses_discriminator or not dependent,
            f"{', '.join(dependent)}: this run has no discriminator; set weights.adversarial above 0",
        )
        frozen = self.freeze_discriminator_steps or self.freeze_discriminator_blocks
        check(
            bool(self.init_discriminator_from) or not frozen,
            "freeze_discriminator_steps, freeze_discriminator_blocks: expected a trained discriminator, got random "
            "weights; set init_discriminator_from",
        )
        check(
            not self.freeze_generator_steps or self.adversarial_start <= self.freeze_generator_steps,
            f"freeze_generator_steps: expected an adversarial_start of at most {self.freeze_generator_steps}, got "
            f"{self.adversarial_start}; otherwise the discriminator would pause between the two",
        )
        check(
            not (self.freeze_generator_steps and self.freeze_discriminator_steps),
            "freeze_generator_steps and freeze_discriminator_steps: neither network would be trained; set only one",
        )


def config_to_dict(config: TrainingConfig) -> dict[str, Any]:
    """JSON-compatible values of a configuration."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def config_from_dict(values: Mapping[str, Any], origin: str = "training configuration") -> TrainingConfig:
    """Configuration from plain values.

    Absent keys take their defaults, `RENAMED_SETTINGS` count under their new names, `REMOVED_SETTINGS` are ignored.

    Raises:
        StyleSwapError: An unknown key, or a value of the wrong type or out of range.
    """
    current = with_current_names(values, origin)
    kept = {name: value for name, value in current.items() if name not in REMOVED_SETTINGS}
    return build(TrainingConfig, kept, origin)


def save_config(config: TrainingConfig, path: str | Path) -> None:
    """Write a configuration as JSON, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(config_to_dict(config), indent=2) + "\n", encoding="utf-8")


def with_current_names(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Values with `RENAMED_SETTINGS` under their new names.

    Raises:
        StyleSwapError: A setting is given under both names.
    """
    for former, name in RENAMED_SETTINGS.items():
        check(
            not (former in values and name in values),
            f"{origin}: {former} is the former name of {name}, and both are set; remove {former}",
        )
    return {RENAMED_SETTINGS.get(name, name): value for name, value in values.items()}


def override(values: Mapping[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Values with `key=value` assignments applied; see `config_values.assign`.

    Raises:
        StyleSwapError: An assignment has no "=", or sets an entry of something that is no table.
    """
    text_fields = {name for name, hint in typing.get_type_hints(TrainingConfig).items() if hint is str}
    current = []
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        current.append(f"{RENAMED_SETTINGS.get(key, key)}{sign}{text}")
    return assign(with_current_names(values, "training configuration"), current, text_fields)


def _check_finite(table: Any, prefix: str = "") -> None:
    for entry in dataclasses.fields(table):
        value = getattr(table, entry.name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            finite = not isinstance(number, float) or math.isfinite(number)
            check(finite, f"{prefix}{entry.name}: expected a finite number, got {value}")
