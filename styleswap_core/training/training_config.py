"""What a training run is: one frozen dataclass, read from JSON or TOML, kept in the run folder and every checkpoint."""

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError
from ..io.files import atomic_write
from ..losses import LossWeights

PRECISIONS = ("auto", "fp32", "bf16")
OPTIMIZERS = ("muon", "adam")
SCHEDULES = ("cosine", "linear", "constant")
AUGMENTATIONS = ("none", "ada", "fixed")
# Beyond about this probability the transforms may leak into what is generated (Karras et al. 2020, section 2.2).
HIGHEST_AUGMENTATION = 0.8


# Rules that several fields share, by field.
_CHOICES = {"precision": PRECISIONS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "augment": AUGMENTATIONS}
_LEAST = {
    **dict.fromkeys(
        (
            "steps",
            "batch",
            "accumulate",
            "stddev_group",
            "r1_interval",
            "identity_every",
            "perceptual_every",
            "log_every",
            "checkpoint_every",
            "sample_every",
        ),
        1,
    ),
    **dict.fromkeys(
        (
            "seed",
            "warmup_steps",
            "adversarial_start",
            "adversarial_ramp",
            "back_translation_start",
            "agreeing_start",
            "recognizer_rows",
            "gradient_clip",
            "sample_images",
            "validation_images",
            "freeze_generator_steps",
            "freeze_discriminator_steps",
            "freeze_discriminator_blocks",
            "face_weight",
            "ema_ramp_up",
        ),
        0,
    ),
}
# Seeds and counts are used as 64-bit numbers.
_MOST = 2**53
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
    "hidden_share",
    "back_translated_share",
    "agreeing_share",
    "world_share",
)
# Settings of earlier versions that no longer exist. They are ignored, so that old configurations and runs still load.
REMOVED_SETTINGS = frozenset({"recoloured"})


@dataclass(frozen=True)
class TrainingConfig:
    """One generator training.

    Counts of time are optimization steps, unless the name says images. Everything that decides the numbers of a
    run is here; what only decides where it runs (device, threads) is not.
    """

    # What is trained, on what.
    model: str = "demo-64"  # a name of model.config.PRESETS
    model_overrides: dict[str, Any] = field(default_factory=dict)  # fields of GeneratorConfig
    discriminator_channel_scale: float = 1.0  # of the generator's channels
    data: str = ""  # folder of columns, or of prepared photographs
    world_data: str = ""  # folder of columns that a share of every batch comes from, with its exact swaps
    world_share: float = 0.0  # of the batch's rows
    validation_data: str = ""  # folder of columns with identities never trained on; empty: no validation
    recognizer: str = ""  # the ArcFace ONNX whose embeddings drive the generator; empty: the demo pack's
    init_from: str = ""  # a generator file to start from, of this size or smaller; empty: fresh weights
    init_discriminator_from: str = (
        ""  # a run folder or checkpoint whose discriminator to start from; empty: fresh weights
    )
    seed: int = 20261122

    # Length and optimization.
    steps: int = 20_000
    batch: int = 16  # of one optimization step, over all processes and passes
    accumulate: int = 1  # passes that a process takes for its share: as many times less memory for activations
    optimizer: str = "muon"  # of the generator: Muon for weight matrices and Adam for the rest, or "adam" alone
    learning_rate: float = 2e-3  # of Adam
    matrix_learning_rate: float = 0.05  # of Muon, in the units of Adam's
    discriminator_learning_rate: float = 1e-3
    generator_betas: tuple[float, float] = (0.9, 0.99)  # StyleGAN2's 0 as first beta suits a pure GAN only
    discriminator_betas: tuple[float, float] = (0.0, 0.99)
    warmup_steps: int = 200
    schedule: str = "cosine"  # to 0 at the last step
    gradient_clip: float = 50.0  # norm over all of the generator, for outliers (10 to 20 are usual); 0: none
    ema_half_life_images: float = 10_000.0
    ema_ramp_up: float = 0.05  # the half-life is at most this share of the images seen: a young average forgets fast
    # Of convolutions: "fp32", "bf16", or "auto", what the hardware does well (devices.choose_precision). Weights, losses
    # and optimizer are always float32.
    precision: str = "auto"

    # Pairs and terms.
    same_identity_share: float = 0.2
    owner_share: float = 0.5  # of targets that are member 0 of their column, whose body and window it is
    exact_swap: bool = True  # False: the paper's own paradigm, which never sees the true result of a swap
    # Rows whose truth is not known, and what they are made into: see unpaired.py. Shares of all rows of a batch.
    hidden_share: float = 0.0
    back_translated_share: float = 0.0
    back_translation_start: int = 300  # steps: of a network that knows nothing there is nothing to learn
    agreeing_share: float = 0.0
    agreeing_start: int = 150
    face_weight: float = 3.0  # of pixels inside the face against those outside
    feature_weight: float = 1.0  # of pixels near eyes and mouth against the rest of the face
    weights: LossWeights = field(default_factory=LossWeights)
    adversarial_start: int = 0  # the discriminator is neither run nor trained before
    adversarial_ramp: int = 2_000  # steps from 0 to the full weight; ramped, since starting at full weight diverges
    r1_interval: int = 16
    stddev_group: int = 4  # pictures that the discriminator compares; a share of the batch must hold whole groups
    freeze_generator_steps: int = 0  # at the start: a fresh discriminator first catches up with a trained generator
    freeze_discriminator_steps: int = 0  # at the start: a trained one guides while fresh layers of the generator settle
    freeze_discriminator_blocks: int = 0  # FreezeD: of a trained one, those nearest the picture are never trained
    augment: str = "none"  # what the discriminator sees: "ada" for small sets, "fixed" at augment_probability
    augment_probability: float = 0.0  # at the start
    augment_target: float = 0.6  # of ada: the mean sign of the logits at real pictures that it holds
    augment_ramp_images: float = 500_000.0  # of ada: in which the probability can go from 0 to 1
    identity_every: int = 1  # lazy terms are multiplied by their interval
    perceptual_every: int = 1
    recognizer_rows: int = 0  # the recognizer judges only this many of the batch; 0: all

    # Reports.
    log_every: int = 50
    checkpoint_every: int = 1_000
    sample_every: int = 1_000
    sample_images: int = 8
    validation_images: int = 128
    compile: bool = False  # torch.compile of the generator; needs a compiler at run time

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            _check(value in choices, f"{name}: expected one of {', '.join(choices)}, got {value!r}")
        _check_finite(self)
        _check_finite(self.weights, "weights.")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            bound = f"at least {least}" if value < least else f"at most {_MOST}"
            _check(least <= value <= _MOST, f"{name}: expected {bound}, got {value}")
        for name in _POSITIVE:
            _check(getattr(self, name) > 0, f"{name}: expected more than 0, got {getattr(self, name)}")
        for name in _SHARES:
            _check(0 <= getattr(self, name) <= 1, f"{name}: expected a share in 0..1, got {getattr(self, name)}")
        for entry in dataclasses.fields(self.weights):
            value = getattr(self.weights, entry.name)
            _check(value >= 0, f"weights.{entry.name}: expected 0 or more, got {value}")
        self._check_ranges()
        self._check_discriminator()

    def _check_ranges(self) -> None:
        for name in ("generator_betas", "discriminator_betas"):
            values = getattr(self, name)
            _check(all(0 <= value < 1 for value in values), f"{name}: expected two numbers in 0..1, got {values}")
        unknown_truth = self.hidden_share + self.back_translated_share + self.agreeing_share
        _check(
            unknown_truth <= 1,
            "hidden_share, back_translated_share and agreeing_share: expected at most 1 together, got"
            f" {unknown_truth:g}",
        )
        _check(
            0 <= self.augment_probability <= HIGHEST_AUGMENTATION,
            f"augment_probability: expected 0..{HIGHEST_AUGMENTATION}, got {self.augment_probability}",
        )
        _check(
            -1 < self.augment_target < 1, f"augment_target: expected a mean sign in -1..1, got {self.augment_target}"
        )

    @property
    def uses_discriminator(self) -> bool:
        """Whether the run has a discriminator at all."""
        return self.weights.adversarial > 0 or self.weights.feature_matching > 0

    def _check_discriminator(self) -> None:
        asked = [
            name
            for name in (
                "freeze_generator_steps",
                "freeze_discriminator_steps",
                "freeze_discriminator_blocks",
                "init_discriminator_from",
            )
            if getattr(self, name)
        ]
        asked += ["augment"] if self.augment != "none" else []
        _check(
            self.uses_discriminator or not asked,
            f"{', '.join(asked)}: this run has no discriminator; set weights.adversarial above 0",
        )
        frozen = self.freeze_discriminator_steps or self.freeze_discriminator_blocks
        _check(
            bool(self.init_discriminator_from) or not frozen,
            "freeze_discriminator_...: expected a trained discriminator, got fresh weights; set init_discriminator_from",
        )
        _check(
            not self.freeze_generator_steps or self.adversarial_start <= self.freeze_generator_steps,
            f"freeze_generator_steps {self.freeze_generator_steps}: the discriminator would rest until adversarial_start "
            f"{self.adversarial_start}; set that no later",
        )
        _check(
            not (self.freeze_generator_steps and self.freeze_discriminator_steps),
            "freeze_generator_steps and freeze_discriminator_steps: nothing would be trained; set one of them",
        )


def config_to_dict(config: TrainingConfig) -> dict[str, Any]:
    """Plain values that JSON can hold."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def config_from_dict(values: dict[str, Any], origin: str = "training configuration") -> TrainingConfig:
    """The configuration from plain values; absent keys take their defaults, `REMOVED_SETTINGS` are ignored.

    Raises:
        StyleSwapError: an unknown key or a value of the wrong type, named with `origin`.
    """
    kept = {name: value for name, value in values.items() if name not in REMOVED_SETTINGS}
    return _build(TrainingConfig, kept, origin)


def load_config(path: str | Path) -> TrainingConfig:
    """Read a .json or .toml file.

    Raises:
        StyleSwapError: unreadable file, broken syntax, unknown key, value of the wrong type.
    """
    return config_from_dict(read_values(path), str(path))


def read_values(path: str | Path) -> dict[str, Any]:
    """A configuration file's plain values, not yet checked against the fields.

    Raises:
        StyleSwapError: unreadable file or broken syntax.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StyleSwapError(f"cannot read the training configuration {path}: {error}; give a text file") from error
    try:
        values = _parse_toml(text, path) if path.suffix == ".toml" else json.loads(text)
    except json.JSONDecodeError as error:
        raise StyleSwapError(f"{path} is not valid JSON ({error}); mend it there") from error
    _check(isinstance(values, dict), f"{path}: expected a table of settings, got {type(values).__name__}")
    return values


def save_config(config: TrainingConfig, path: str | Path) -> None:
    """Write as JSON, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(config_to_dict(config), indent=2) + "\n", encoding="utf-8")


def override(values: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Values with `key=value` assignments applied; `weights.identity=5` reaches into a table.

    The value of a text field is taken literally. Other values are read as JSON, then as Python would read them (`.002`,
    `True`), and otherwise taken as text.

    Raises:
        StyleSwapError: An assignment without "=".
    """
    values = json.loads(json.dumps(values))
    texts = {name for name, hint in typing.get_type_hints(TrainingConfig).items() if hint is str}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        _check(bool(key and sign), f"--set: expected key=value, got {assignment!r}")
        table = values
        *parents, last = key.split(".")
        for parent in parents:
            table = table.setdefault(parent, {})
            _check(isinstance(table, dict), f"--set {assignment}: {parent} is a single value, not a table")
        table[last] = text.strip('"') if key in texts else _parse_value(text)
    return values


def _parse_value(text: str) -> Any:
    for parse in (json.loads, int, float):
        try:
            return parse(text)
        # RecursionError: brackets nested thousands deep.
        except (ValueError, RecursionError):
            continue
    return {"True": True, "False": False}.get(text, text)


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError as error:
        raise StyleSwapError(f"{path}: reading TOML needs Python 3.11; write the settings as JSON") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StyleSwapError(f"{path} is not valid TOML ({error}); mend it there") from error


def _build(kind: type, values: dict[str, Any], origin: str) -> Any:
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    _check(not unknown, f"{origin}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(hints))}")
    return kind(**{name: _convert(value, hints[name], f"{origin}: {name}") for name, value in values.items()})


def _convert(value: Any, hint: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        _check(isinstance(value, dict), f"{where}: expected a table, got {value!r}")
        return _build(hint, value, where)
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is tuple:
        _check(
            isinstance(value, (list, tuple)) and len(value) == len(hint.__args__),
            f"{where}: expected {len(hint.__args__)} numbers, got {value!r}",
        )
        return tuple(_convert(item, kind, where) for item, kind in zip(value, hint.__args__, strict=True))
    plain = getattr(hint, "__origin__", hint)
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        _check(abs(value) <= _MOST, f"{where}: expected a number up to {_MOST}, got {str(value)[:40]}")
        value = float(value)
    fits = isinstance(value, plain) and not (plain is int and isinstance(value, bool))
    _check(fits, f"{where}: expected {plain.__name__}, got {value!r}")
    return value


def _check_finite(table: Any, prefix: str = "") -> None:
    for entry in dataclasses.fields(table):
        value = getattr(table, entry.name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            finite = not isinstance(number, float) or math.isfinite(number)
            _check(finite, f"{prefix}{entry.name}: expected a finite number, got {value}")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise StyleSwapError(message)
