"""The generator with one identity folded in: a plain convolutional network for any number of frames.

With `w_plus` fixed, modulation and demodulation are constants, so every modulated convolution becomes an ordinary one:
scale * style * weight * demodulation, times the gain of its leaky ReLU. What is constant by then folds on: the 4x4
constant with its convolution and its share of the first up-sampling and of the first ToRGB, the attribute strengths,
the equalised scales, the biases; ToRGB and ToMask of a resolution are one convolution with four channels.

Up-sampling stays a transposed convolution and a separate filter. Folding the two into one (four 3x3 kernels, one per
phase of the output, `upsampling="folded"`) needs four times the products, and takes two to three times as long on a CPU
wherever the channels are many.
"""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import StyleSwapError
from .config import GeneratorConfig
from .encoder import AttributeEncoder
from .folded import FoldedConv, can_pack
from .generator import (
    Generator,
    GeneratorOutput,
    SynthesisBlock,
    accumulate_mask,
    composite,
    mask_attributes,
    upsampled_mask,
)
from .layers import GAIN, EqualConv2d, StyledConv, blur_kernel, leaky_relu

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
UPSAMPLINGS = ("separate", "folded")
CPU_CHUNK_BYTES = 2**17
"""As many pictures run through the network together on a CPU as have this size with one channel: at 128 px two in float32
and four in bfloat16, at 256 px and above one."""
_KEPT_BLOCK = (32 << 20) - (64 << 10)


class BakedInjection(nn.Module):
    """Attributes as the next convolution sees them: strength, bias, leaky ReLU; (B, C, R, R) -> the same."""

    def __init__(self, layer: StyledConv) -> None:
        super().__init__()
        channels = layer.bias.shape[0] // 2
        weight = (layer.attribute_weight.detach() * GAIN).reshape(1, 1, 1, 1).expand(channels, 1, 1, 1)
        bias = layer.bias.detach()[channels:] * GAIN
        # A 1x1 convolution per channel: multiplying, adding and activating in one pass.
        self.conv = FoldedConv(weight.clone(), bias, groups=channels, activate=True)

    def forward(self, attributes: Tensor) -> Tensor:
        """attributes (B, C, R, R) -> (B, C, R, R), activated."""
        return self.conv(attributes)


class BakedStyledConv(nn.Module):
    """StyledConv of one identity: (B, in, H, W), attributes -> (B, out or 2 out, H', W')."""

    def __init__(self, layer: StyledConv, w: Tensor, upsampling: str, known: Tensor | None = None) -> None:
        super().__init__()
        channels = layer.conv.weight.shape[0]
        weight = folded_weight(layer, w)
        bias = layer.bias.detach()[:channels] * GAIN
        kernel = layer.conv.kernel * 4
        constant = bias
        if known is not None:
            # The first channels of the input are the same in every picture: what they give is part of the constant.
            constant = _convolve(known, weight[:, : known.shape[1]], layer.conv.upsample, kernel)
            constant = constant + bias[None, :, None, None]
            weight = weight[:, known.shape[1] :]
        if not layer.conv.upsample:
            convs = [FoldedConv(weight, constant, padding=1, activate=True)]
        elif upsampling == "folded":
            convs = [PhaseConv(weight, constant, kernel)]
        else:
            convs = [
                FoldedConv(weight.transpose(0, 1), stride=2, transposed=True),
                FoldedConv(_per_channel(kernel, channels), constant, padding=1, groups=channels, activate=True),
            ]
        self.convs = nn.Sequential(*convs)
        self.injection = BakedInjection(layer) if layer.injects else None

    def forward(self, x: Tensor, attributes: Tensor) -> Tensor:
        """x (B, in, H, W), attributes (B, C, H', W') -> (B, out or 2 out, H', W')."""
        x = self.convs(x)
        return x if self.injection is None else torch.cat([x, self.injection(attributes)], dim=1)


class PhaseConv(nn.Module):
    """Up-sampling convolution and filter as one: (B, in, H, W) -> (B, out, 2H, 2W), activated.

    The composed 6x6 kernel of stride 2 touches 3x3 input pixels for each of the four places of an output pixel.
    """

    def __init__(self, weight: Tensor, constant: Tensor, kernel: Tensor) -> None:
        super().__init__()
        out_channels, in_channels = weight.shape[:2]
        # Every output pixel sums weight over the filter's taps; composed at stride 1 on the output's grid.
        composed = F.conv2d(
            weight.reshape(-1, 1, 3, 3), torch.flip(kernel, (0, 1))[None, None], padding=3
        ).reshape(out_channels, in_channels, 6, 6)
        phases = [composed[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]  # each (out, in, 3, 3)
        stacked = torch.stack([torch.flip(phase, (2, 3)) for phase in phases], dim=1)  # (out, 4, in, 3, 3)
        self.conv = FoldedConv(stacked.reshape(4 * out_channels, in_channels, 3, 3), padding=1)
        self.register_buffer("constant", (constant[None, :, None, None] if constant.ndim == 1 else constant).clone())

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in, H, W) -> (B, out, 2H, 2W)."""
        return leaky_relu(F.pixel_shuffle(self.conv(x), 2) + self.constant)


class BakedEncoder(nn.Module):
    """AttributeEncoder with scales and gains folded in: crop (B, 3, S, S) -> attributes 4..S."""

    def __init__(self, encoder: AttributeEncoder) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        self.residuals = nn.ModuleList()
        for level in encoder.levels:
            layer = encoder.down[level] if level in encoder.down else encoder.from_rgb[level]
            self.levels.append(_folded_equal_conv(layer))
            self.residuals.append(nn.ModuleList(BakedResidual(block) for block in encoder.blocks[level]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, S, S) -1..1 -> attributes (B, C, R, R) for R = 4..S."""
        attributes = []
        for level, residuals in zip(self.levels, self.residuals, strict=True):
            x = level(x)
            for residual in residuals:
                x = residual(x)
            attributes.append(x)
        return attributes[::-1]


class BakedResidual(nn.Module):
    """x + strength * conv(conv(x))."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.convs = nn.Sequential(_folded_equal_conv(block.conv0), _folded_equal_conv(block.conv1))
        self.strength = float(block.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, R, R) -> (B, C, R, R)."""
        return x + self.convs(x) * self.strength


class BakedBlock(nn.Module):
    """One resolution of the synthesis: (B, C_in, R/2, R/2), attributes -> features, and RGB with mask (B, 3 or 4, R, R)."""

    def __init__(self, block: SynthesisBlock, ws: list[Tensor], upsampling: str, known: Tensor | None) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        self.known_output: Tensor | None = None
        if block.resolution == 4:
            layer = block.convs[0]
            channels = layer.conv.weight.shape[0]
            self.known_output = leaky_relu(
                _convolve(block.constant, folded_weight(layer, ws[0]), False, None)
                + (layer.bias[:channels] * GAIN)[None, :, None, None]
            ).detach()
            self.injection = BakedInjection(layer)
        else:
            for layer, w in zip(block.convs, ws, strict=False):
                self.convs.append(BakedStyledConv(layer, w, upsampling, known))
                known = None
        self.to_pixels = _folded_pixels(block, ws[-1], self.known_output)

    def forward(self, x: Tensor | None, attributes: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C_in, R/2, R/2), None at 4x4; attributes (B, C, R, R) -> features, pixels (B, 3 or 4, R, R) float32."""
        if x is None:
            x = self.injection(attributes)
        for conv in self.convs:
            x = conv(x, attributes)
        return x, self.to_pixels(x).float()


class BakedGenerator(nn.Module):
    """baked(aligned_crop (B, 3, S, S) in -1..1) -> (image, rgb, mask), float32, as `Generator` gives them.

    Made by `Generator.bake`. Later changes of the generator do not reach it. Never differentiable.

    Attributes:
        config: of the generator.
        dtype, device: of the convolutions; crops may come in any floating type.
        packed: whether the convolutions are packed for this CPU; such a module cannot move.
    """

    def __init__(self, generator: Generator, w_plus: Tensor, dtype: torch.dtype, upsampling: str) -> None:
        super().__init__()
        self.config: GeneratorConfig = generator.config
        self.packed = False
        self.encoder = BakedEncoder(generator.encoder)
        self.blocks = nn.ModuleList()
        known = None
        for index, block in enumerate(generator.synthesis.blocks.values()):
            first = max(2 * index - 1, 0)
            ws = [w_plus[row] for row in range(first, first + len(block.convs) + 1)]
            self.blocks.append(BakedBlock(block, ws, upsampling, known))
            known = self.blocks[-1].known_output
        self.eval().requires_grad_(False).to(dtype=dtype)
        # The picture adds up in float32 whatever the convolutions' type, as in the unbaked generator.
        self.upsample_rgb = FoldedConv(
            (blur_kernel() * 4).expand(3, 1, 4, 4).clone(), stride=2, padding=1, groups=3, transposed=True
        ).to(self.device)

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and feature maps."""
        return self.encoder.levels[0].weight.dtype

    @property
    def device(self) -> torch.device:
        """Where crops have to be."""
        return self.encoder.levels[0].constant.device

    def memory_bytes(self) -> int:
        """What its weights take."""
        tensors = [tensor for tensor in self.buffers() if tensor.device.type != "meta"]
        packed = sum(module.packed_bytes() for module in self.modules() if isinstance(module, FoldedConv))
        return packed + sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def chunk_size(self) -> int:
        """Pictures that run through the network together at most.

        On a CPU a few: feature maps that leave the cache, or that the allocator gives back to the system, cost more there
        than full batches save.
        """
        if self.device.type != "cpu":
            return sys.maxsize
        return max(1, CPU_CHUNK_BYTES // (self.config.size**2 * self.dtype.itemsize))

    def check(self, aligned_crop: Tensor) -> None:
        """StyleSwapError unless aligned_crop is (B, 3, S, S)."""
        size = self.config.size
        if aligned_crop.ndim != 4 or tuple(aligned_crop.shape[1:]) != (3, size, size):
            raise StyleSwapError(
                f"aligned_crop must have shape (batch, 3, {size}, {size}); got {tuple(aligned_crop.shape)}; "
                f"crop the face with the {self.config.template!r} template at {size} px"
            )

    @torch.inference_mode()
    def forward(self, aligned_crop: Tensor) -> GeneratorOutput:
        """aligned_crop (B, 3, S, S) in -1..1 on this module's device; StyleSwapError for another shape."""
        self.check(aligned_crop)
        parts = [self.run(chunk) for chunk in aligned_crop.split(self.chunk_size)]
        return parts[0] if len(parts) == 1 else GeneratorOutput(*(torch.cat(fields) for fields in zip(*parts, strict=True)))

    def run(self, aligned_crop: Tensor) -> GeneratorOutput:
        """`forward` without its check and its inference mode: what compilers and exporters trace."""
        x = aligned_crop.to(self.dtype).contiguous(memory_format=torch.channels_last)
        attributes = self.encoder(x)
        x = rgb = None
        logits: list[Tensor] = []
        for resolution, block, maps in zip(self.config.resolutions, self.blocks, attributes, strict=True):
            if logits and self.config.masks_attributes(resolution):
                mask = upsampled_mask(logits, self.config.mask_accumulation)
                maps = mask_attributes(maps, mask, self.config.attribute_masking)
            x, pixels = block(x, maps)
            rgb = pixels[:, :3] if rgb is None else pixels[:, :3] + self.upsample_rgb(rgb)
            if self.config.mask_branch:
                logits.append(accumulate_mask(pixels[:, 3:], logits, self.config.mask_accumulation))
        mask = torch.sigmoid(logits[-1]) if self.config.mask_branch else None
        if self.config.rgb_bound == "tanh":
            rgb = torch.tanh(rgb)
        return composite(rgb, mask, aligned_crop)

    def pack(self) -> BakedGenerator:
        """Lays all weights out for this CPU, in place. They cannot move or change their type after that.

        StyleSwapError where PyTorch has no packed convolutions of this type for this processor.
        """
        if self.device.type != "cpu" or not can_pack(self.dtype):
            raise StyleSwapError(
                f"packed convolutions need oneDNN on a CPU; got {self.dtype} on {self.device}; bake with packed=False"
            )
        hooks = [
            module.register_forward_pre_hook(lambda module, inputs: module.pack(tuple(inputs[0].shape)))
            for module in self.modules()
            if isinstance(module, FoldedConv)
        ]
        with torch.inference_mode():
            self.run(torch.zeros(1, 3, self.config.size, self.config.size))
        for hook in hooks:
            hook.remove()
        self.packed = True
        return self

    def _apply(self, fn, recurse: bool = True):
        if self.packed:
            raise StyleSwapError("a baked generator packed for the CPU cannot move or change its type; bake it anew")
        return super()._apply(fn, recurse)


def bake(
    generator: Generator,
    w_plus: Tensor,
    dtype: torch.dtype = torch.float32,
    packed: bool | None = None,
    upsampling: str = "separate",
) -> BakedGenerator:
    """`Generator.bake`; `upsampling` is "separate" or "folded", see above."""
    expected = (generator.config.num_ws, generator.config.w_dim)
    rows = w_plus[0] if w_plus.ndim == 3 and len(w_plus) == 1 else w_plus
    if tuple(rows.shape) != expected:
        raise StyleSwapError(
            f"w_plus must have shape {expected} or (1, {expected[0]}, {expected[1]}); got {tuple(w_plus.shape)}; "
            "bake one identity at a time"
        )
    if dtype not in DTYPES:
        raise StyleSwapError(f"dtype must be one of {', '.join(map(str, DTYPES))}; got {dtype}")
    if upsampling not in UPSAMPLINGS:
        raise StyleSwapError(f"upsampling must be one of {', '.join(UPSAMPLINGS)}; got {upsampling!r}")
    weights = generator.encoder.from_rgb[str(generator.config.size)].weight
    with torch.no_grad():
        baked = BakedGenerator(generator, rows.detach().to(weights), dtype, upsampling)
    if weights.device.type == "cpu":
        _keep_freed_memory()
    if packed is None:
        packed = weights.device.type == "cpu" and can_pack(dtype)
    return baked.pack() if packed else baked


def _keep_freed_memory() -> None:
    """Let glibc reuse the memory of feature maps instead of fetching zeroed pages for every one, a fifth of a picture's time.

    Its allocator adapts to the largest block (32 MiB at most) that was freed: smaller ones are kept from then on, up to twice
    its size (mallopt(3), M_MMAP_THRESHOLD). So one such block is taken, never touched, and freed. No other allocator minds.
    """
    torch.empty(_KEPT_BLOCK, dtype=torch.uint8)


def folded_weight(layer: StyledConv, w: Tensor) -> Tensor:
    """(out, in, 3, 3) of a StyledConv under one w (w_dim,): modulated, demodulated, with the activation's gain."""
    conv = layer.conv
    style = conv.modulation(w[None])  # (1, in)
    demodulation = conv.demodulation(style)[0]  # (out,)
    weight = conv.weight * conv.scale * style[0][None, :, None, None]
    return weight * (demodulation * GAIN)[:, None, None, None]


def _folded_pixels(block: SynthesisBlock, w: Tensor, known: Tensor | None) -> FoldedConv:
    """ToRGB and ToMask as one 1x1 convolution with four channels (three without a mask branch)."""
    weight = block.to_rgb.modulated_weight(w[None])[0]  # (3, in)
    bias = block.to_rgb.bias
    if block.to_mask is not None:
        weight = torch.cat([weight, block.to_mask.modulated_weight(w[None])[0]])  # (4, in)
        bias = torch.cat([bias, bias.new_zeros(1)])
    weight = weight[:, :, None, None]
    if known is None:
        return FoldedConv(weight, bias)
    constant = F.conv2d(known, weight[:, : known.shape[1]], bias)  # (1, 4, 4, 4)
    return FoldedConv(weight[:, known.shape[1] :], constant)


def _folded_equal_conv(layer: EqualConv2d) -> nn.Module:
    gain = GAIN if layer.activate else 1.0
    weight = layer.weight * (layer.scale * gain)
    bias = None if layer.bias is None else layer.bias * gain
    if not layer.downsample:
        return FoldedConv(weight, bias, padding=layer.kernel_size // 2, activate=layer.activate)
    channels = weight.shape[1]
    return nn.Sequential(
        FoldedConv(_per_channel(layer.kernel, channels), padding=2, groups=channels),
        FoldedConv(weight, bias, stride=2, activate=layer.activate),
    )


def _convolve(x: Tensor, weight: Tensor, upsample: bool, kernel: Tensor | None) -> Tensor:
    """The unbaked convolution of x (1, in, H, W) with weight (out, in, 3, 3), up-sampling if wanted."""
    if not upsample:
        return F.conv2d(x, weight, padding=1)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return F.conv2d(x, _per_channel(kernel, x.shape[1]), padding=1, groups=x.shape[1])


def _per_channel(kernel: Tensor, channels: int) -> Tensor:
    """(4, 4) -> (C, 1, 4, 4), the same filter for every channel."""
    return kernel.expand(channels, 1, 4, 4).clone()
