"""What a generator is made of, as plain data that travels inside its checkpoint.

Sources: paper section 3.1 (arXiv 2209.13514) and the released test code, whose 256 and 512
pixel networks are the `released-*` presets. The `demo-*` presets are ours: small enough to be
trained on four CPU cores.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import StyleSwapError

ATTRIBUTE_INJECTIONS = ("per_resolution", "every_conv")
ATTRIBUTE_MASKINGS = ("none", "block", "mean")
MASK_ACCUMULATIONS = ("logits", "sigmoid")
RGB_BOUNDS = ("none", "tanh")
MAX_SIZE = 1024
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class GeneratorConfig:
    """Every choice that changes the generator's shape or its mathematics.

    Checked on construction: StyleSwapError for a value outside of its set.
    """

    # Edge of the square picture in pixels: a power of two, 8..1024.
    size: int = 256
    # Length of `id_embedding`; 512 in every ArcFace network in use.
    style_dim: int = 512
    # Length of `w`. The paper has w_dim = style_dim; the demo is narrower, because a face world
    # with few identity parameters does not fill 512.
    w_dim: int = 512
    mapping_layers: int = 8
    # StyleGAN2 trains its mapping a hundred times slower than the synthesis.
    mapping_lr_mul: float = 0.01
    channel_multiplier: float = 2
    narrow: float = 1.0
    # {resolution: channels}, 4..size; None: StyleGAN2's table from channel_multiplier and narrow.
    channels: Mapping[int, int] | None = field(default=None, hash=False)
    # Where attributes are concatenated: after the last StyledConv of each resolution (paper) or
    # after every StyledConv (released code, GPEN).
    attribute_injection: str = "per_resolution"
    # What the learned mask does to the next resolution's attribute map.
    attribute_masking: str = "block"
    # First resolution whose attribute map is masked; the 4x4 map never is, so 8 means "all".
    masking_start: int = 8
    mask_branch: bool = True
    # "logits": the paper's sum of unnormalized masks. "sigmoid": the released code's way.
    mask_accumulation: str = "logits"
    # Extra residual 3x3 blocks per resolution of the attribute encoder; the paper has none.
    encoder_blocks: int = 0
    # "tanh" softly bounds I'_g to -1..1; the paper leaves it unbounded.
    rgb_bound: str = "none"
    # How targets are cropped (a name of faces.alignment.TEMPLATES) and which recognizer makes
    # the embeddings: both belong to the weights, which work with no other.
    template: str = "ffhq"
    # Name and SHA-256 of the recognizer's file; either may be unknown. Older files have the hash as `recognizer`.
    recognizer: str = ""
    recognizer_sha256: str = ""
    # Length of the embeddings that the mapping was trained on: 1, or that of a recognizer's raw
    # output. What uses identities, which are L2-normalized, goes through Generator.map_identity.
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
            object.__setattr__(self, "channels", self._checked_channels())

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
                raise StyleSwapError(f"{name} must be a whole number above 0; got {value!r}")
        if not _is_integer(self.encoder_blocks) or self.encoder_blocks < 0:
            raise StyleSwapError(f"encoder_blocks must be a whole number, 0 or more; got {self.encoder_blocks!r}")
        for name in ("mapping_lr_mul", "channel_multiplier", "narrow", "embedding_norm"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise StyleSwapError(f"{name} must be a number above 0; got {value!r}")

    def _checked_channels(self) -> dict[int, int]:
        """The explicit table with whole-number keys in order, also when it came from JSON."""
        try:
            table = {int(resolution): count for resolution, count in self.channels.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise StyleSwapError(f"channels must map resolutions to channel counts; got {self.channels!r}") from error
        if sorted(table) != list(self.resolutions):
            raise StyleSwapError(f"channels must name the resolutions {self.resolutions}; got {sorted(table)}")
        if not all(_is_integer(count) and count > 0 for count in table.values()):
            raise StyleSwapError(f"channels must be whole numbers above 0; got {table}")
        return {resolution: table[resolution] for resolution in self.resolutions}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... size."""
        return tuple(2**power for power in range(2, int(math.log2(self.size)) + 1))

    @property
    def num_ws(self) -> int:
        """Rows of `w_plus`: 2 * log2(size) - 2."""
        return 2 * int(math.log2(self.size)) - 2

    @property
    def least_elements(self) -> int:
        """No generator of this configuration has fewer weights: tells what a file claims, before memory is taken for it."""
        squares = sum(self.channels_at(resolution) ** 2 for resolution in self.resolutions)
        mapping = self.w_dim * (self.style_dim + self.mapping_layers * self.w_dim)
        return mapping + 9 * squares * (1 + 2 * self.encoder_blocks)

    def channels_at(self, resolution: int) -> int:
        """Channels of a StyledConv (before attributes are concatenated) and of the attribute map."""
        if self.channels is not None:
            return self.channels[resolution]
        if resolution <= 32:
            return int(512 * self.narrow)
        # 256, 128, 64, 32, 16 at 64, 128, 256, 512, 1024 px, times multiplier and narrowing.
        return int(16384 // resolution * self.channel_multiplier * self.narrow)

    def injects(self, resolution: int, conv_index: int) -> bool:
        """Whether StyledConv `conv_index` (0 or 1; 4x4 has 0 alone) of a resolution gets attributes."""
        last = resolution == 4 or conv_index == 1
        return last or self.attribute_injection == "every_conv"

    def feature_channels(self, resolution: int, conv_index: int) -> int:
        """Channels that leave StyledConv `conv_index`: doubled where attributes are concatenated."""
        return self.channels_at(resolution) * (2 if self.injects(resolution, conv_index) else 1)

    def masks_attributes(self, resolution: int) -> bool:
        """Whether the learned mask acts on this resolution's attribute map."""
        return self.attribute_masking != "none" and resolution >= max(self.masking_start, 8)

    def replace(self, **changes: object) -> GeneratorConfig:
        """A copy with fields changed; StyleSwapError for an unknown field."""
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, object]:
        """JSON-ready fields (JSON turns the resolutions of `channels` into text; from_dict turns them back)."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        if self.channels is not None:
            values["channels"] = dict(self.channels)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> GeneratorConfig:
        """The inverse of to_dict. StyleSwapError for an unknown field: it may come from a newer version."""
        if not isinstance(values, Mapping):
            raise StyleSwapError(f"a generator configuration must be a table of fields; got {type(values).__name__}")
        known = [entry.name for entry in dataclasses.fields(cls)]
        unknown = sorted(str(name) for name in values if name not in known)
        if unknown:
            raise StyleSwapError(
                f"unknown generator setting {', '.join(unknown)}; known are {', '.join(known)}; "
                "if the file is newer than this program, update the program"
            )
        return cls(**values)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_power_of_two(value: object) -> bool:
    return _is_integer(value) and value > 0 and value & (value - 1) == 0


# Explicit so that the demo presets agree wherever their resolutions do: a small model grows into the next.
_DEMO_CHANNELS = {4: 128, 8: 128, 16: 128, 32: 128, 64: 64, 128: 32}


def _demo(size: int) -> GeneratorConfig:
    table = {resolution: count for resolution, count in _DEMO_CHANNELS.items() if resolution <= size}
    # A short training needs a mapping that learns as fast as the rest: at StyleGAN2's hundredth it hardly moves.
    return GeneratorConfig(size=size, w_dim=256, channels=table, mapping_layers=4, mapping_lr_mul=1.0)


PRESETS: dict[str, GeneratorConfig] = {
    # The released test code: attributes after every convolution, sigmoid at every level, mean
    # masking above 128 px only.
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
    """A named configuration, with fields changed if wanted; StyleSwapError for an unknown name or field."""
    if name not in PRESETS:
        raise StyleSwapError(f"unknown generator preset {name!r}; known are {', '.join(PRESETS)}")
    return PRESETS[name].replace(**changes)
