"""Importer of StyleGAN2 in rosinality's PyTorch implementation (`.pt` with `g_ema`), as a training prior of faces.

Its convolutions take only features. Ours also take attributes, whose weights are initialized to zero: before training,
the converted network generates the same picture for a `w` as StyleGAN2 without noise.
"""

from __future__ import annotations

import re

from ..model import GeneratorConfig
from . import stylegan_names as names
from .foreign_format import (
    FIRST_ROWS,
    KERNEL,
    KERNEL_FIRST_INPUTS,
    PIXELS,
    PIXELS_FIRST_INPUTS,
    UNCHANGED,
    ForeignFormat,
    Form,
    InferredFields,
    Link,
    Stated,
    Tensors,
)
from .gpen import PRIOR_SETTABLE, prior_statements

_INPUTS_ALREADY_ALIKE = re.compile(r"synthesis\.blocks\.4\.convs\.0\.conv\.")
_SECOND_CONV = re.compile(r"synthesis\.blocks\.\d+\.convs\.1\.conv\.")
_FIRST_CONV_BIAS = re.compile(r"synthesis\.blocks\.(?!4\.)\d+\.convs\.0\.bias$")


def _matches(tensors: Tensors) -> bool:
    return "conv1.conv.weight" in tensors and "to_rgb1.conv.weight" in tensors and "ecd0.0.0.weight" not in tensors


def _stated(_: InferredFields) -> dict[str, Stated]:
    return prior_statements() | {
        "attribute_injection": Stated("per_resolution", "it has no attributes; once per resolution, as in the paper"),
        "template": Stated("ffhq", "public face networks are trained on FFHQ crops"),
    }


def _links(config: GeneratorConfig) -> dict[str, Link]:
    def half(ours: str, form: Form) -> Form:
        single = config.attribute_injection == "per_resolution"
        if _INPUTS_ALREADY_ALIKE.match(ours) or (single and _SECOND_CONV.match(ours)):
            return form
        if form is KERNEL:
            return KERNEL_FIRST_INPUTS
        if form is PIXELS:
            return PIXELS_FIRST_INPUTS
        if "modulation" in ours or (ours.endswith(".bias") and "to_rgb" not in ours):
            # With one injection per resolution, the output of the first convolution has no attributes.
            return UNCHANGED if single and _FIRST_CONV_BIAS.match(ours) else FIRST_ROWS
        return form

    links = {
        **names.mapping_links(config, ""),
        **names.synthesis_links(config, "", mask=None, half=half),
    }
    # In StyleGAN2, noise.weight scales noise instead of attributes.
    return {ours: link for ours, link in links.items() if not ours.endswith("attribute_weight")}


FORMAT = ForeignFormat(
    name="stylegan2",
    title="StyleGAN2 (rosinality's PyTorch form)",
    matches=_matches,
    infer=lambda tensors: names.infer_synthesis(tensors, "", doubled=False),
    stated=_stated,
    links=_links,
    kernels=lambda config: names.kernel_sums(config, "", None, encoder=False),
    unused=re.compile(r"noises\.noise_\d+$|(conv1|convs\.\d+)\.noise\.weight$"),
    settable=(*PRIOR_SETTABLE, "attribute_injection"),
    starting_point=True,
    license="that of the StyleGAN2 weights it was converted from; ask their authors",
)
