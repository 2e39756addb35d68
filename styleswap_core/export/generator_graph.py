"""The unbaked generator as nodes of an ONNX graph: mapping network, attribute encoder, and synthesis.

The equations are those of the modules in `model`; only the order of multiplications differs, where the layers fold
factors into each other. Every value has a batch dimension of its own, so that a batch may mix identities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..model import Generator
from ..model.encoder import ResidualBlock
from ..model.generator import SynthesisBlock
from ..model.layers import GAIN, SLOPE, EqualConv2d, EqualLinear, ModulatedConv2d, StyledConv, ToPixels
from ..model.synthesis_walk import walk_resolutions
from .graph_builder import GraphBuilder
from .mask_nodes import double, double_fir, mask_attributes


class GeneratorGraph(GraphBuilder):
    """Writer of a generator's nodes, and the `SynthesisForm` whose maps are names of the graph's values."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        self._w = ""
        self._features: str | None = None
        self._rgb: str | None = None
        self._mask_logits: str | None = None

    def swap(self, crop: str, embedding: str) -> tuple[str, str | None]:
        """Append the whole generator.

        Args:
            crop: Name of the aligned crops (B, 3, S, S), -1..1.
            embedding: Name of the L2-normalized embeddings (B, style_dim).

        Returns:
            Names of rgb (B, 3, S, S), about -1..1, and of the mask (B, 1, S, S), None without a mask branch.
        """
        config = self.generator.config
        self._w = self._map_identity(embedding)
        walk_resolutions(config, self, self._encode(crop))
        assert self._rgb is not None, "a generator has at least two resolutions"
        rgb = self.node("Tanh", [self._rgb]) if config.rgb_bound == "tanh" else self._rgb
        return rgb, None if self._mask_logits is None else self.node("Sigmoid", [self._mask_logits])

    def upsample_pixels(self, masked: bool) -> str | None:
        """See SynthesisForm; the masks of both forms of accumulation are those of `masks.mask_for_next_attributes`."""
        assert self._rgb is not None, "level 0 comes first"
        self._rgb = double_fir(self, self._rgb)
        if self._mask_logits is None:
            return None
        if self.generator.config.mask_accumulation == "logits":
            self._mask_logits = double(self, self._mask_logits, "linear")
            return self.node("Sigmoid", [self._mask_logits]) if masked else None
        mask = self.node("Sigmoid", [self._mask_logits])
        self._mask_logits = double_fir(self, mask)
        return mask

    def mask_attributes(self, maps: str, mask: str) -> str:
        """See SynthesisForm."""
        return mask_attributes(self, self.generator.config, maps, mask)

    def run_block(self, level: int, operands: list[str]) -> None:
        """See SynthesisForm."""
        block = self.generator.synthesis.block(self.generator.config.resolutions[level])
        x = self._features or self.weight(_float(block.constant))
        for conv in block.styled_convs:
            x = self._styled_conv(conv, x, operands[0])
        self._features = x
        rgb, mask = self._pixels(block, x)
        self._rgb = rgb if self._rgb is None else self.node("Add", [rgb, self._rgb])
        if mask is not None:
            self._mask_logits = mask if self._mask_logits is None else self.node("Add", [mask, self._mask_logits])

    def _map_identity(self, embedding: str) -> str:
        """`Generator.map_identity`."""
        mapping = self.generator.mapping
        x = self.node("Mul", [embedding, self.numbers(self.generator.config.embedding_norm)])
        x = self._linear(mapping.input, x)
        mean = self.node("ReduceMean", [self.node("Mul", [x, x])], axes=[1], keepdims=1)
        x = self.node("Div", [x, self.node("Sqrt", [self.node("Add", [mean, self.numbers(1e-8)])])])
        for layer in mapping.layers:
            assert isinstance(layer, EqualLinear)
            x = self._linear(layer, x)
        return x

    def _encode(self, crop: str) -> list[str]:
        """Attributes, the widest first."""
        encoder = self.generator.encoder
        x, attributes = crop, []
        for resolution in encoder.resolutions:
            x = self._equal_conv(encoder.conv_to(resolution), x)
            for block in encoder.residual_blocks(resolution):
                x = self._residual(block, x)
            attributes.append(x)
        return attributes

    def _residual(self, block: ResidualBlock, x: str) -> str:
        out = self._equal_conv(block.conv1, self._equal_conv(block.conv0, x))
        return self.node("Add", [x, self.node("Mul", [out, self.weight(_float(block.weight)[None, :, None, None])])])

    def _linear(self, layer: EqualLinear, x: str) -> str:
        gain = GAIN if layer.activate else 1.0
        factors = [_float(layer.weight) * (layer.scale * gain), _float(layer.bias) * (layer.lr_mul * gain)]
        out = self.node("Gemm", [x, *(self.weight(factor) for factor in factors)], transB=1)
        return self._leaky_relu(out) if layer.activate else out

    def _equal_conv(self, layer: EqualConv2d, x: str) -> str:
        gain = GAIN if layer.activate else 1.0
        weight = _float(layer.weight) * (layer.scale * gain)
        padding, stride = layer.kernel_size // 2, 1
        if layer.downsample:
            x = self._blur(x, layer.kernel, weight.shape[1], padding=1 if layer.kernel_size == 1 else 2)
            padding, stride = 0, 2
        inputs = [x, self.weight(weight)]
        if layer.bias is not None:
            inputs.append(self.weight(_float(layer.bias) * gain))
        out = self.node("Conv", inputs, pads=[padding] * 4, strides=[stride] * 2)
        return self._leaky_relu(out) if layer.activate else out

    def _styled_conv(self, layer: StyledConv, x: str, attributes: str) -> str:
        x = self._modulated_conv(layer.conv, x)
        if layer.injects:
            scale = self.weight(_float(layer.attribute_weight) * GAIN)
            x = self.node("Concat", [x, self.node("Mul", [attributes, scale])], axis=1)
        bias = self.weight((_float(layer.bias) * GAIN)[None, :, None, None])
        return self._leaky_relu(self.node("Add", [x, bias]))

    def _modulated_conv(self, layer: ModulatedConv2d, x: str) -> str:
        """The convolution with its demodulation and the gain of the activation that follows."""
        style = self._linear(layer.modulation, self._w)  # (B, in)
        x = self.node("Mul", [x, self._as_maps(style)])
        weight = _float(layer.weight) * layer.scale  # (out, in, 3, 3)
        if layer.upsample:
            x = self.node("ConvTranspose", [x, self.weight(weight.transpose(0, 1))], strides=[2, 2])
            x = self._blur(x, layer.kernel * 4, len(weight), padding=1)
        else:
            x = self.node("Conv", [x, self.weight(weight)], pads=[1] * 4)
        power = self.weight(weight.square().sum(dim=(2, 3)))  # (out, in)
        norm = self.node("Gemm", [self.node("Mul", [style, style]), power, self.numbers(1e-8)], transB=1)
        factor = self.node("Div", [self.numbers(GAIN), self.node("Sqrt", [norm])])  # (B, out)
        return self.node("Mul", [x, self._as_maps(factor)])

    def _pixels(self, block: SynthesisBlock, x: str) -> tuple[str, str | None]:
        """See `SynthesisBlock.pixels`."""
        layers: Sequence[ToPixels] = [block.to_rgb] if block.to_mask is None else [block.to_rgb, block.to_mask]
        weights = [self._modulated_weight(layer) for layer in layers]
        weight = weights[0] if len(weights) == 1 else self.node("Concat", weights, axis=1)  # (B, 4, 2C)
        rows = self.node("Reshape", [x, self.integers(0, 0, -1)])  # (B, 2C, R * R)
        shape = self.integers(0, 0, block.resolution, block.resolution)
        pixels = self.node("Reshape", [self.node("MatMul", [weight, rows]), shape])
        rgb = pixels if len(layers) == 1 else self.channels(pixels, 0, 3)
        rgb = self.node("Add", [rgb, self.weight(_float(block.to_rgb.bias)[None, :, None, None])])
        return rgb, None if block.to_mask is None else self.channels(pixels, 3)

    def _modulated_weight(self, layer: ToPixels) -> str:
        style = self.node("Unsqueeze", [self._linear(layer.modulation, self._w), self.integers(1)])  # (B, 1, 2C)
        return self.node("Mul", [style, self.weight(_float(layer.weight) * layer.scale)])

    def _as_maps(self, factors: str) -> str:
        return self.node("Unsqueeze", [factors, self.integers(2, 3)])  # (B, C) -> (B, C, 1, 1)

    def _blur(self, x: str, kernel: Tensor, channels: int, padding: int) -> str:
        weight = self.weight(kernel.float().expand(channels, 1, 4, 4))
        return self.node("Conv", [x, weight], pads=[padding] * 4, group=channels)

    def _leaky_relu(self, x: str) -> str:
        return self.node("LeakyRelu", [x], alpha=SLOPE)


def _float(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32)
