"""The pass of the synthesis over the resolutions 4, 8, ... S, shared by all forms of the generator.

At each resolution (StyleSwap section 3.1):

1. RGB and mask of the resolution below are upsampled.
2. That mask modifies the attribute map, if configured.
3. The resolution's StyledConvs run, and its ToRGB and ToMask are added to RGB and mask.

A form decides how these steps are computed: one operator per equation (`DifferentiableForm`), with everything that is
constant for one identity folded in (`inference.baked_generator`), or as nodes of an ONNX graph, whose maps are names
(`export.generator_graph`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from .generator_config import GeneratorConfig
from .generator_output import GeneratorOutput, generator_output
from .layers import upsample_fir
from .masks import accumulate_mask, mask_attributes, mask_for_next_attributes

BlockFunction = Callable[[int, Tensor | None, Tensor], tuple[Tensor, Tensor, Tensor | None]]
"""Level, features from below (None at 4x4), attributes -> features (B, 2C, R, R), rgb (B, 3, R, R), `M'`."""

Maps = TypeVar("Maps")
"""What a form takes for feature maps: tensors, or names in a graph."""


class SynthesisForm(Protocol[Maps]):
    """Steps of the pass; each reads and updates the state of the form."""

    def upsample_pixels(self, masked: bool) -> Maps | None:
        """Upsample RGB and mask logits; if `masked`, return the mask for the attributes of this resolution."""

    def mask_attributes(self, maps: Maps, mask: Maps) -> Maps:
        """Attributes (B, C, R, R) with the face region suppressed, see `masks.mask_attributes`."""

    def run_block(self, level: int, operands: list[Maps]) -> None:
        """Run the layers of a resolution on its attributes: the only item of `operands`, which may be removed."""


def walk_resolutions(
    config: GeneratorConfig, form: SynthesisForm[Maps], attributes: list[Maps], first_level: int = 0
) -> None:
    """Run the levels `first_level`, `first_level` + 1, ... (level 0 is 4x4), as many as there are attribute maps.

    Args:
        config: The generator's configuration.
        form: Computes the steps.
        first_level: The first level to run; those below it have been run with the same form.
        attributes: (B, C, R, R), the widest first. The list is emptied: a map is released as soon as no step needs it,
            so that the next one can reuse its memory.
    """
    for level in range(first_level, first_level + len(attributes)):
        operands = [attributes.pop()]
        if level > 0:
            masked = config.masks_attributes(config.resolutions[level])
            mask = form.upsample_pixels(masked)
            if mask is not None and masked:
                operands.append(form.mask_attributes(operands.pop(), mask))
        form.run_block(level, operands)


@dataclass
class DifferentiableForm:
    """Plain operators: RGB and mask logits are separate float32 tensors, and nothing is overwritten."""

    config: GeneratorConfig
    block: BlockFunction
    features: Tensor | None = None
    rgb: Tensor | None = None
    mask_logits: list[Tensor] = field(default_factory=list)  # (B, 1, R, R) for R = 4, 8, ...

    def upsample_pixels(self, masked: bool) -> Tensor | None:
        """See SynthesisForm; mask logits are upsampled where they are accumulated."""
        assert self.rgb is not None, "level 0 comes first"
        self.rgb = upsample_fir(self.rgb)
        return mask_for_next_attributes(self.mask_logits[-1], self.config.mask_accumulation) if masked else None

    def mask_attributes(self, maps: Tensor, mask: Tensor) -> Tensor:
        """See SynthesisForm."""
        return mask_attributes(maps, mask, self.config.attribute_masking)

    def run_block(self, level: int, operands: list[Tensor]) -> None:
        """See SynthesisForm."""
        self.features, rgb, block_mask = self.block(level, self.features, operands[0])
        self.rgb = rgb if self.rgb is None else rgb + self.rgb
        if block_mask is not None:
            lower = self.mask_logits[-1] if self.mask_logits else None
            self.mask_logits.append(accumulate_mask(block_mask, lower, self.config.mask_accumulation))


def synthesize(
    config: GeneratorConfig, block: BlockFunction, attributes: list[Tensor], aligned_crop: Tensor
) -> GeneratorOutput:
    """Run the whole synthesis in its differentiable form.

    Args:
        config: The generator's configuration.
        block: Runs one resolution.
        attributes: (B, C, R, R) for R = 4..S, in that order.
        aligned_crop: (B, 3, S, S) in -1..1, the target.
    """
    form = DifferentiableForm(config, block)
    walk_resolutions(config, form, attributes[::-1])
    assert form.rgb is not None, "a generator has at least two resolutions"
    rgb = torch.tanh(form.rgb) if config.rgb_bound == "tanh" else form.rgb
    mask = torch.sigmoid(form.mask_logits[-1]) if form.mask_logits else None
    return generator_output(rgb, mask, aligned_crop, form.mask_logits)
