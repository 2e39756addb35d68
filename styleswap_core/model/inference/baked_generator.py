"""The generator baked for one identity: plain convolutions for any number of frames.

With `w_plus` fixed, modulation and demodulation (StyleGAN2, section 2.2) are constant, so every modulated convolution
becomes an ordinary one with the weight scale * style * weight * demodulation * activation gain. Further constants are
folded: the 4x4 constant, its convolution and its contribution to the first upsampling and the first ToRGB; the
attribute strengths, the equalized scales and the biases. ToRGB and ToMask of a resolution become one convolution with
four channels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import StyleSwapError
from ..generator import Generator
from ..generator_config import GeneratorConfig
from ..generator_output import GeneratorOutput, generator_output
from ..masks import mask_attributes_
from ..shape_checks import check_aligned_crop
from ..synthesis_walk import walk_resolutions
from .baked_layers import BakedBlock, BakedEncoder, PixelUpsampling
from .baked_masks import apply_mask_sigmoid_, replace_mask_, upsample_mask_logits
from .packed_conv import FoldedConv, can_pack

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
CPU_CHUNK_BYTES = 2**17
"""Maximum size of one channel of a chunk, the pictures that run through the network together on a CPU.

At 128 px a chunk has two pictures in float32 and four in bfloat16; from 256 px on, one."""
MERGE_RESOLUTION = 32
"""Resolution up to which several chunks of a batch are merged."""
MERGE_BYTES = 2**20
"""Maximum size of one channel of merged chunks. Fewer than four chunks are not merged: evicting their wider maps from
the cache would cost about as much as merging saves."""


@dataclass
class _BakedForm:
    """A `SynthesisForm` that overwrites its maps. RGB and mask logits are the channels of one float32 picture."""

    network: BakedGenerator
    features: Tensor | None = None  # (B, C, R, R)
    pixels: Tensor | None = None  # (B, 3 or 4, R, R)

    def sample_range(self, part: slice) -> _BakedForm:
        """The form for some samples of the batch."""
        assert self.features is not None and self.pixels is not None
        return _BakedForm(self.network, self.features[part], self.pixels[part])

    def upsample_pixels(self, masked: bool) -> Tensor | None:
        """See SynthesisForm."""
        assert self.pixels is not None, "level 0 comes first"
        config, upsample = self.network.config, self.network.upsample.run
        if not config.mask_branch:
            self.pixels = upsample(self.pixels)
            return None
        if config.mask_accumulation == "logits":
            logits = upsample_mask_logits(self.pixels)
            self.pixels = replace_mask_(upsample(self.pixels), logits)
            return torch.sigmoid(logits) if masked else None
        pixels = apply_mask_sigmoid_(self.pixels)
        self.pixels = upsample(pixels)
        return pixels[:, 3:]

    def mask_attributes(self, maps: Tensor, mask: Tensor) -> Tensor:
        """See SynthesisForm; in place."""
        return mask_attributes_(maps, mask, self.network.config.attribute_masking)

    def run_block(self, level: int, operands: list[Tensor]) -> None:
        """See SynthesisForm.

        Inputs are released as soon as possible and not held by any caller while a convolution runs, so that the next
        map reuses their memory, which is still in the cache.
        """
        block, maps = self.network.levels[level], operands.pop()
        x, self.features = self.features, None
        attributes: Tensor | None = None  # injected, but not concatenated
        if block.start is not None:
            x = block.start.run(maps)
        assert x is not None
        for layer in block.styled_convs:
            for conv in layer.sequence:
                x = conv.run(x)
            if attributes is not None and layer.attribute_conv is not None:
                x = layer.attribute_conv(attributes, onto=x)
                attributes = None
            if layer.injection is not None:
                attributes = layer.injection.run(maps)
                if block.concatenates:
                    x, attributes = torch.cat([x, attributes], dim=1), None
        if self.pixels is None:
            self.pixels = block.to_pixels.run(x).float()
        else:
            self.pixels += block.to_pixels.run(x)
        if attributes is not None and block.attributes_to_pixels is not None:
            self.pixels += block.attributes_to_pixels.run(attributes)
        self.features = x


class BakedGenerator(nn.Module):
    """baked(aligned_crop (B, 3, S, S) in -1..1) -> GeneratorOutput, equal to that of `Generator` up to rounding.

    Created by `bake`. Not differentiable; independent of later changes to the generator.

    Attributes:
        config: The generator's configuration.
        packed: Whether the convolutions are packed for this CPU. A packed module cannot move or change its type.
    """

    def __init__(self, generator: Generator, w_plus: Tensor, dtype: torch.dtype) -> None:
        """`bake` is the public constructor. w_plus: (num_ws, w_dim)."""
        super().__init__()
        self.config: GeneratorConfig = generator.config
        self.packed = False
        self.encoder = BakedEncoder(generator.encoder)
        self.levels: list[BakedBlock] = []
        constant_input = None
        for resolution in self.config.resolutions:
            block = generator.synthesis.block(resolution)
            ws = list(w_plus[self.config.w_rows(resolution)])
            self.levels.append(BakedBlock(block, ws, constant_input, last=resolution == self.config.size))
            constant_input = self.levels[-1].constant_output
        self.blocks = nn.ModuleList(self.levels)
        self.eval().requires_grad_(False).to(dtype=dtype)
        # RGB is accumulated in float32 regardless of the convolutions' type, as in `Generator`.
        self.upsample = PixelUpsampling(4 if self.config.mask_branch else 3).to(self.device)

    @property
    def dtype(self) -> torch.dtype:
        """Type of weights and feature maps; crops may have any floating-point type."""
        return self.encoder.first_conv.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights, on which crops must be."""
        constant = self.encoder.first_conv.constant
        assert constant is not None
        return constant.device

    def memory_bytes(self) -> int:
        """Memory of the weights in bytes."""
        tensors = [tensor for tensor in self.buffers() if tensor.device.type != "meta"]
        packed = sum(module.packed_bytes() for module in self.modules() if isinstance(module, FoldedConv))
        return packed + sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def chunk_size(self) -> int:
        """Maximum number of pictures that run through the network together.

        Few on a CPU, where feature maps that exceed the cache cost more than larger batches save.
        """
        if self.device.type != "cpu":
            return sys.maxsize
        return max(1, CPU_CHUNK_BYTES // (self.config.size**2 * self.dtype.itemsize))

    @torch.inference_mode()
    def forward(self, aligned_crop: Tensor) -> GeneratorOutput:
        """Swapped crop from aligned_crop (B, 3, S, S) in -1..1 on this module's device.

        Raises:
            StyleSwapError: The crop has the wrong shape.
        """
        check_aligned_crop(self.config, aligned_crop)
        chunks = aligned_crop.split(self.chunk_size)
        if len(chunks) == 1:
            return self.run(aligned_crop)
        count = MERGE_BYTES // (self.config.size**2 * self.dtype.itemsize * self.chunk_size)
        if self.config.size <= MERGE_RESOLUTION or count < 4:
            parts = [self.run(chunk) for chunk in chunks]
        else:
            groups = [chunks[first : first + count] for first in range(0, len(chunks), count)]
            parts = [part for group in groups for part in self._run_merged(group)]
        image, rgb, mask = (torch.cat(tensors) for tensors in zip(*(part[:3] for part in parts), strict=True))
        return GeneratorOutput(image, rgb, mask, [])

    def run(self, aligned_crop: Tensor) -> GeneratorOutput:
        """`forward` without its check, chunks and inference mode; the function that exporters trace."""
        form = _BakedForm(self)
        walk_resolutions(self.config, form, self.encoder(self._to_network(aligned_crop)))
        return self._finish(form, aligned_crop)

    def _run_merged(self, chunks: Sequence[Tensor]) -> list[GeneratorOutput]:
        # The low resolutions have most of the weights but little work; merged chunks read those weights once.
        small_levels = sum(resolution <= MERGE_RESOLUTION for resolution in self.config.resolutions)
        wide_levels = len(self.config.resolutions) - small_levels
        wide = [self.encoder.encode_levels(self._to_network(chunk), 0, wide_levels) for chunk in chunks]
        lowest = torch.cat([maps[-1] for maps in wide])
        merged = _BakedForm(self)
        walk_resolutions(self.config, merged, self.encoder.encode_levels(lowest, wide_levels))
        parts, first = [], 0
        for chunk, maps in zip(chunks, wide, strict=True):
            form = merged.sample_range(slice(first, first + len(chunk)))
            walk_resolutions(self.config, form, maps, small_levels)
            parts.append(self._finish(form, chunk))
            first += len(chunk)
        return parts

    def _to_network(self, aligned_crop: Tensor) -> Tensor:
        return aligned_crop.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _finish(self, form: _BakedForm, aligned_crop: Tensor) -> GeneratorOutput:
        assert form.pixels is not None
        # Copied, since reading one channel of an interleaved picture several times is slow.
        rgb = form.pixels[:, :3].contiguous()
        mask = torch.sigmoid(form.pixels[:, 3:].contiguous()) if self.config.mask_branch else None
        rgb = torch.tanh(rgb) if self.config.rgb_bound == "tanh" else rgb
        return generator_output(rgb, mask, aligned_crop, [])

    def pack(self) -> BakedGenerator:
        """Reorder all weights for this CPU, in place; afterwards they cannot move or change their type.

        Raises:
            StyleSwapError: PyTorch has no packed convolutions of this type for this processor.
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

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BakedGenerator:
        if self.packed:
            raise StyleSwapError(
                "a baked generator that is packed for the CPU cannot move or change its type; bake it again"
            )
        return super()._apply(fn, recurse)


def bake(
    generator: Generator, w_plus: Tensor, dtype: torch.dtype = torch.float32, packed: bool | None = None
) -> BakedGenerator:
    """Bake a generator for one identity.

    Args:
        generator: The generator; not modified.
        w_plus: (num_ws, w_dim) or (1, num_ws, w_dim), from `broadcast(map_identity(id_embedding))` or an inversion.
        dtype: Type of the convolutions: float32, bfloat16 or float16. Results are float32.
        packed: Whether to pack the weights for this CPU; by default wherever PyTorch can.

    Raises:
        StyleSwapError: w_plus has the wrong shape, dtype is not supported, or packing is requested but impossible.
    """
    expected = (generator.config.num_ws, generator.config.w_dim)
    rows = w_plus[0] if w_plus.ndim == 3 and len(w_plus) == 1 else w_plus
    if tuple(rows.shape) != expected:
        raise StyleSwapError(
            f"w_plus must have shape {expected} or (1, {expected[0]}, {expected[1]}); got {tuple(w_plus.shape)}; "
            "bake one identity at a time"
        )
    if dtype not in DTYPES:
        raise StyleSwapError(f"dtype must be one of {', '.join(map(str, DTYPES))}; got {dtype}")
    weights = generator.encoder.conv_to(generator.config.size).weight
    with torch.no_grad():
        baked = BakedGenerator(generator, rows.detach().to(weights), dtype)
    if packed is None:
        packed = weights.device.type == "cpu" and can_pack(dtype)
    return baked.pack() if packed else baked
