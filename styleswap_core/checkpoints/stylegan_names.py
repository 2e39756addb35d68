"""Tensor names of rosinality's StyleGAN2, which its derivatives have kept.

GPEN added the prefix `generator.` and an encoder (`ecd0`, `ecd1`, ...); StyleSwap's code added mask layers, whose names
differ between its two versions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from torch import Tensor

from ..model import GeneratorConfig
from .foreign_format import KERNEL, PIXELS, PLANE, UNCHANGED, Form, InferredFields, Link, Tensors

MAX_LEVELS = 8  # up to 1024 px
_LINEAR = re.compile(r"(modulation|style\.\d+|final_linear\.0)\.weight$")


def as_pytorch_writes(tensors: Tensors, container: str) -> dict[str, Tensor]:
    """The tensors with linear weights transposed to PyTorch's (out, in) where they are Paddle's (in, out)."""
    if not _linear_is_transposed(tensors, container):
        return dict(tensors)
    return {name: value.t() if value.ndim == 2 and _LINEAR.search(name) else value for name, value in tensors.items()}


def _linear_is_transposed(tensors: Tensors, container: str) -> bool:
    """Whether linear weights are (in, out), decided by a non-square weight and its bias or else by the container."""
    for name, weight in tensors.items():
        bias = tensors.get(re.sub(r"weight$", "bias", name))
        if name.endswith("modulation.weight") and bias is not None and weight.ndim == 2:
            rows, columns = weight.shape
            if rows != columns and len(bias) in (rows, columns):
                return len(bias) == columns
    return container == "paddle"


def infer_synthesis(tensors: Tensors, prefix: str, doubled: bool) -> InferredFields:
    """Size, channels, w_dim and mapping_layers from the shapes of the tensors.

    A resolution without any tensors gets one channel; the comparison of names then reports the missing tensors.

    Args:
        tensors: Tensors of a checkpoint.
        prefix: Prefix of the generator's names.
        doubled: Whether activations consist of features and attributes instead of features only.
    """
    levels = 1 + max([0, *(_number(name, rf"{prefix}to_rgbs\.(\d+)\.") for name in tensors)])
    levels = min(levels, MAX_LEVELS)
    channels = {4: _edge(tensors, [(f"{prefix}input.input", 4, 1), (f"{prefix}conv1.conv.weight", 5, 1)])}
    for level in range(levels):
        first, second = (f"{prefix}convs.{2 * level + index}.conv.weight" for index in (0, 1))
        channels[8 << level] = _edge(tensors, [(first, 5, 1), (second, 5, 1)])
        bias = tensors.get(f"{prefix}convs.{2 * level}.activate.bias")
        if channels[8 << level] == 1 and bias is not None and bias.ndim == 1:
            channels[8 << level] = max(1, len(bias) // (2 if doubled else 1))
    layers = [_number(name, rf"{prefix}style\.(\d+)\.(weight|bias)$") for name in tensors]
    fields = _channel_fields(4 << levels, channels)
    fields["size"] = 4 << levels
    fields["w_dim"] = _edge(tensors, [(f"{prefix}style.1.bias", 1, 0)])
    fields["mapping_layers"] = max(1, min(max(layers, default=1), len(tensors)))
    return fields


def _number(name: str, pattern: str) -> int:
    match = re.match(pattern, name)
    return int(match.group(1)) if match and len(match.group(1)) < 4 else -1


def _edge(tensors: Tensors, candidates: list[tuple[str, int, int]]) -> int:
    """Length of a dimension of the first tensor found, of candidates (name, number of dimensions, dimension); or 1."""
    for name, dimensions, dimension in candidates:
        if name in tensors and tensors[name].ndim == dimensions:
            return max(1, tensors[name].shape[dimension])
    return 1


def _channel_fields(size: int, channels: dict[int, int]) -> InferredFields:
    """Parameters of StyleGAN2's channel table if the channels follow it, otherwise the channels themselves."""
    narrow = channels[4] / 512
    multiplier = channels.get(64, 0) / (256 * narrow) or 1.0
    fields: InferredFields = {"channel_multiplier": multiplier, "narrow": narrow, "channels": None}
    table = GeneratorConfig(size=size, channel_multiplier=multiplier, narrow=narrow)
    follows = all(table.channels_at(resolution) == count for resolution, count in channels.items())
    return fields if follows else {"channels": channels}


def infer_encoder_size(tensors: Tensors) -> int:
    """Edge length of the encoder's input, from the number of its levels."""
    return 4 << max([0, *(_number(name, r"ecd(\d+)\.") for name in tensors)])


def mapping_links(config: GeneratorConfig, prefix: str) -> dict[str, Link]:
    """Sources of StyleGAN2's mapping network; its layer 0 is PixelNorm."""
    links: dict[str, Link] = {}
    for index in range(config.mapping_layers):
        links[f"mapping.layers.{index}.weight"] = Link(f"{prefix}style.{index + 1}.weight", UNCHANGED)
        links[f"mapping.layers.{index}.bias"] = Link(f"{prefix}style.{index + 1}.bias", UNCHANGED)
    return links


def identity_links() -> dict[str, Link]:
    """Source of the layer between the embedding and the mapping network."""
    return {
        "mapping.input.weight": Link("final_linear.0.weight", UNCHANGED),
        "mapping.input.bias": Link("final_linear.0.bias", UNCHANGED),
    }


def encoder_links(config: GeneratorConfig) -> dict[str, Link]:
    """Sources of GPEN's encoder: 1x1 convolution and activation; then per level blur, convolution and activation."""
    links: dict[str, Link] = {}
    for index, resolution in enumerate(reversed(config.resolutions)):
        ours = f"encoder.from_rgb.{resolution}" if index == 0 else f"encoder.down.{resolution}"
        conv = 0 if index == 0 else 1
        links[f"{ours}.weight"] = Link(f"ecd{index}.0.{conv}.weight", UNCHANGED)
        links[f"{ours}.bias"] = Link(f"ecd{index}.0.{conv + 1}.bias", UNCHANGED)
    return links


def synthesis_links(
    config: GeneratorConfig,
    prefix: str,
    mask: tuple[str, str] | None,
    half: Callable[[str, Form], Form] = lambda ours, form: form,
) -> dict[str, Link]:
    """Sources of the constant, the styled convolutions, ToRGB and ToMask.

    Args:
        config: Our configuration.
        prefix: Prefix of the generator's names.
        mask: Foreign names of ToMask at 4x4 and from 8x8 on (a list), or None.
        half: (Our name, usual form) -> form in a network with features but without attributes.
    """
    links = {"synthesis.blocks.4.constant": Link(f"{prefix}input.input", UNCHANGED)}
    forms = {
        "conv.weight": KERNEL,
        "conv.modulation.weight": UNCHANGED,
        "conv.modulation.bias": UNCHANGED,
        "bias": UNCHANGED,
        "attribute_weight": UNCHANGED,
    }
    theirs = {"bias": "activate.bias", "attribute_weight": "noise.weight"}
    pixel_forms = {"weight": PIXELS, "modulation.weight": UNCHANGED, "modulation.bias": UNCHANGED}
    for level, resolution in enumerate(config.resolutions):
        block = f"synthesis.blocks.{resolution}"
        convs = ["conv1"] if level == 0 else [f"convs.{2 * level - 2}", f"convs.{2 * level - 1}"]
        for index, conv in enumerate(convs):
            for name, form in forms.items():
                if name != "attribute_weight" or config.injects(resolution, index):
                    links[f"{block}.convs.{index}.{name}"] = Link(f"{prefix}{conv}.{theirs.get(name, name)}", form)
        layers = {"to_rgb": "to_rgb1" if level == 0 else f"to_rgbs.{level - 1}"}
        if mask is not None:
            layers["to_mask"] = mask[0] if level == 0 else f"{mask[1]}.{level - 1}"
        for ours, layer in layers.items():
            for name, form in pixel_forms.items():
                links[f"{block}.{ours}.{name}"] = Link(f"{prefix}{layer}.conv.{name}", form)
        links[f"{block}.to_rgb.bias"] = Link(f"{prefix}{layers['to_rgb']}.bias", PLANE)
    return {ours: Link(link.theirs, half(ours, link.form)) for ours, link in links.items()}


def kernel_sums(config: GeneratorConfig, prefix: str, mask: tuple[str, str] | None, encoder: bool) -> dict[str, float]:
    """Sum of the taps of each blur buffer, by name; each is a multiple of the outer square of [1, 3, 3, 1]."""
    sums: dict[str, float] = {}
    for level in range(int(math.log2(config.size)) - 2):
        sums[f"{prefix}convs.{2 * level}.conv.blur.kernel"] = 4.0
        sums[f"{prefix}to_rgbs.{level}.upsample.kernel"] = 4.0
        if mask is not None:
            sums[f"{prefix}{mask[1]}.{level}.upsample.kernel"] = 4.0
        if encoder:
            sums[f"ecd{level + 1}.0.0.kernel"] = 1.0
    return sums
