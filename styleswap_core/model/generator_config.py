"""Configuration of a generator, stored inside its checkpoint.

Sources: StyleSwap section 3.1 (arXiv 2209.13514) and the released test code, whose networks for 256 and 512 pixels are
the `released-*` presets. The `demo-*` presets are small enough to be trained on four CPU cores.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from ..errors import StyleSwapError

ATTRIBUTE_INJECTIONS = ("per_resolution", "every_conv")
ATTRIBUTE_MASKINGS = ("none", "block", "mean")
MASK_ACCUMULATIONS = ("logits", "sigmoid")
RGB_BOUNDS = ("none", "tanh")
MAX_SIZE = 1024
# Far above every sensible factor and norm; Python's larger integers do not fit into tensors.
MAX_FACTOR = 10**6
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class GeneratorConfig:
    """Every setting that changes the generator's tensors or its mathematics.

    Raises:
        StyleSwapError: A value is not allowed.
    """

    # Side of the square picture in pixels: a power of two, 8..1024.
    size: int = 256
    # Length of `id_embedding`: 512 in every ArcFace network in use, 128 in OpenCV's SFace.
    style_dim: int = 512
    # Length of `w`. In the paper w_dim = style_dim; the demo is narrower, since the synthetic faces have few identity
    # parameters.
    w_dim: int = 512
    mapping_layers: int = 8
    # Learning rate of the mapping network relative to the synthesis network; 0.01 in StyleGAN2.
    mapping_lr_mul: float = 0.01
    channel_multiplier: float = 2
    narrow: float = 1.0
    # {resolution: channels}, 4..size; None: StyleGAN2's table from channel_multiplier and narrow.
    channels: Mapping[int, int] | None = field(default=None, hash=False)
    # Where attributes are concatenated: after the last StyledConv of each resolution (paper) or after every StyledConv
    # (released code, GPEN).
    attribute_injection: str = "per_resolution"
    # Effect of the learned mask on the attribute map of the next resolution, see masks.mask_attributes.
    attribute_masking: str = "block"
    # First resolution whose attribute map is masked. The 4x4 map never is, so 8 means all.
    masking_start: int = 8
    mask_branch: bool = True
    # "logits": sum of unnormalized masks (paper). "sigmoid": of normalized masks (released code).
    mask_accumulation: str = "logits"
    # Extra residual 3x3 blocks per resolution of the attribute encoder; the paper has none.
    encoder_blocks: int = 0
    # "tanh" softly bounds I'_g to -1..1; the paper leaves it unbounded.
    rgb_bound: str = "none"
    # Crop template of the target (a name in faces.alignment.TEMPLATES) and recognizer of the embeddings. The weights
    # work with these only.
    template: str = "ffhq"
    # Name and SHA-256 of the recognizer's file; either may be unknown. Older files store the hash as `recognizer`.
    recognizer: str = ""
    recognizer_sha256: str = ""
    # L2 norm of the embeddings that the mapping was trained with: 1, or that of a recognizer's raw output. Identities
    # are L2-normalized, so they are mapped with Generator.map_identity.
    embedding_norm: float = 1.0

    def __post_init__(self) -> None:
        self._check_numbers()
        for name, allowed in (
            ("attribute_injection", ATTRIBUTE_INJECTIONS),
            ("attribute_masking", ATTRIBUTE_MASKINGS),
            ("mask_accumulation", MASK_ACCUMULATIONS),
            ("rgb_bound", RGB_BOUNDS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise StyleSwapError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
        for name in ("template", "recognizer", "recognizer_sha256"):
            if not isinstance(getattr(self, name), str):
                raise StyleSwapError(f"{name} must be a name; got {getattr(self, name)!r}")
        if _SHA256.fullmatch(self.recognizer):
            object.__setattr__(self, "recognizer_sha256", self.recognizer)
            object.__setattr__(self, "recognizer", "")
        if not isinstance(self.mask_branch, bool):
            raise StyleSwapError(f"mask_branch must be true or false; got {self.mask_branch!r}")
        if not self.mask_branch and self.attribute_masking != "none":
            raise StyleSwapError(
                f"attribute_masking {self.attribute_masking!r} needs a mask; "
                "set mask_branch to true or attribute_masking to 'none'"
            )
        if self.channels is not None:
            object.__setattr__(self, "channels", self._checked_channels(self.channels))

    def _check_numbers(self) -> None:
        if not _is_power_of_two(self.size) or not 8 <= self.size <= MAX_SIZE:
            raise StyleSwapError(f"size must be a power of two from 8 to {MAX_SIZE}; got {self.size!r}")
        if not _is_power_of_two(self.masking_start) or self.masking_start < 8:
            raise StyleSwapError(
                f"masking_start must be a power of two, 8 or more (4x4 is never masked); got {self.masking_start!r}"
            )
        for name in ("style_dim", "w_dim", "mapping_layers"):
            value = getattr(self, name)
            if not _is_integer(value) or value < 1:
                raise StyleSwapError(f"{name} must be a positive integer; got {value!r}")
        if not _is_integer(self.encoder_blocks) or self.encoder_blocks < 0:
            raise StyleSwapError(f"encoder_blocks must be a non-negative integer; got {self.encoder_blocks!r}")
        for name in ("mapping_lr_mul", "channel_multiplier", "narrow", "embedding_norm"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_FACTOR:
                raise StyleSwapError(f"{name} must be a positive number up to {MAX_FACTOR}; got {value!r}")

    def _checked_channels(self, channels: Mapping[int, int]) -> dict[int, int]:
        """The explicit table, sorted, with integer keys instead of the strings of JSON."""
        try:
            table = {int(resolution): count for resolution, count in channels.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise StyleSwapError(f"channels must map resolutions to channel counts; got {channels!r}") from error
        if sorted(table) != list(self.resolutions):
            raise StyleSwapError(f"channels must name the resolutions {self.resolutions}; got {sorted(table)}")
        if not all(_is_integer(count) and count > 0 for count in table.values()):
            raise StyleSwapError(f"channels must be positive integers; got {table}")
        return {resolution: table[resolution] for resolution in self.resolutions}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions 4, 8, ... size."""
        return tuple(2**power for power in range(2, int(math.log2(self.size)) + 1))

    @property
    def num_ws(self) -> int:
        """Number of rows of `w_plus`: 2 * log2(size) - 2."""
        return 2 * int(math.log2(self.size)) - 2

    def w_rows(self, resolution: int) -> slice:
        """Rows of `w_plus` that modulate a resolution: one per StyledConv, then one for ToRGB and ToMask together.

        Order of the released code: 4x4 uses rows 0 and 1, resolution 8 * 2^k rows 2k+1, 2k+2 and 2k+3. The last row of
        a resolution is also the first of the next one.
        """
        level = int(math.log2(resolution)) - 2
        return slice(max(2 * level - 1, 0), 2 * level + 2)

    @property
    def min_elements(self) -> int:
        """Lower bound of the number of weights, to check what a file claims before memory is allocated for it."""
        squares = sum(self.channels_at(resolution) ** 2 for resolution in self.resolutions)
        mapping = self.w_dim * (self.style_dim + self.mapping_layers * self.w_dim)
        return mapping + 9 * squares * (1 + 2 * self.encoder_blocks)

    def channels_at(self, resolution: int) -> int:
        """Channels of a StyledConv (before attributes are concatenated) and of the attribute map."""
        if self.channels is not None:
            return self.channels[resolution]
        if resolution <= 32:
            return int(512 * self.narrow)
        # 256, 128, 64, 32, 16 at 64, 128, 256, 512, 1024 px, times channel_multiplier and narrow.
        return int(16384 // resolution * self.channel_multiplier * self.narrow)

    def injects(self, resolution: int, conv_index: int) -> bool:
        """Whether attributes are concatenated after StyledConv `conv_index` (0 or 1; only 0 at 4x4) of a resolution."""
        last = resolution == 4 or conv_index == 1
        return last or self.attribute_injection == "every_conv"

    def feature_channels(self, resolution: int, conv_index: int) -> int:
        """Output channels of StyledConv `conv_index`: doubled where attributes are concatenated."""
        return self.channels_at(resolution) * (2 if self.injects(resolution, conv_index) else 1)

    def masks_attributes(self, resolution: int) -> bool:
        """Whether the learned mask modifies the attribute map of this resolution."""
        return self.attribute_masking != "none" and resolution >= max(self.masking_start, 8)

    def replace(self, **changes: object) -> GeneratorConfig:
        """A copy with some fields changed; StyleSwapError for an unknown field."""
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, object]:
        """All fields, for JSON. It turns the keys of `channels` into strings; `from_dict` turns them back."""
        values: dict[str, object] = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        if self.channels is not None:
            values["channels"] = dict(self.channels)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> GeneratorConfig:
        """Configuration from the result of `to_dict`.

        Raises:
            StyleSwapError: A field is unknown, perhaps from a newer version, or its value is not allowed.
        """
        if not isinstance(values, Mapping):
            raise StyleSwapError(f"a generator configuration must be a table of fields; got {type(values).__name__}")
        known = [entry.name for entry in dataclasses.fields(cls)]
        unknown = sorted(str(name) for name in values if name not in known)
        if unknown:
            raise StyleSwapError(
                f"unknown generator setting {', '.join(unknown)}; expected {', '.join(known)}; "
                "if the file was written by a newer version, update this program"
            )
        return cls(**cast(Mapping[str, Any], values))  # the constructor checks the types


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_power_of_two(value: object) -> TypeGuard[int]:
    return _is_integer(value) and value > 0 and value & (value - 1) == 0


# Explicit, so that the demo presets agree at common resolutions and a small model can be grown into the next one.
_DEMO_CHANNELS = {4: 128, 8: 128, 16: 128, 32: 128, 64: 64, 128: 32}


def _demo(size: int) -> GeneratorConfig:
    table = {resolution: count for resolution, count in _DEMO_CHANNELS.items() if resolution <= size}
    # In a short training, a mapping at a hundredth of the learning rate hardly changes.
    return GeneratorConfig(size=size, w_dim=256, channels=table, mapping_layers=4, mapping_lr_mul=1.0)


PRESETS: dict[str, GeneratorConfig] = {
    # The released test code: attributes after every convolution, sigmoid at every resolution, mean masking above 128 px
    # only.
    "released-256": GeneratorConfig(
        size=256,
        channel_multiplier=1,
        narrow=0.5,
        attribute_injection="every_conv",
        attribute_masking="mean",
        masking_start=256,
        mask_accumulation="sigmoid",
        template="arcface_128",
    ),
    "released-512": GeneratorConfig(
        size=512,
        channel_multiplier=2,
        narrow=1.0,
        attribute_injection="every_conv",
        attribute_masking="none",
        mask_branch=False,
        mask_accumulation="sigmoid",
        template="arcface_128",
    ),
    "demo-128": _demo(128),
    "demo-64": _demo(64),
    "demo-32": _demo(32),
    "tiny": GeneratorConfig(size=32, style_dim=512, w_dim=32, mapping_layers=2, channels={4: 16, 8: 16, 16: 12, 32: 8}),
}


def preset(name: str, **changes: object) -> GeneratorConfig:
    """The named configuration, with some fields changed; StyleSwapError for an unknown name or field."""
    if name not in PRESETS:
        raise StyleSwapError(f"unknown generator preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name].replace(**changes)
