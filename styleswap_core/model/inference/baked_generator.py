"""The generator with one identity folded in: a plain convolutional network for any number of frames.

With `w_plus` fixed, modulation and demodulation are constants, so every modulated convolution becomes an ordinary one:
scale * style * weight * demodulation, times the gain of its leaky ReLU. What is constant by then folds on: the 4x4
constant with its convolution and its share of the first up-sampling and of the first ToRGB, the attribute strengths,
the equalized scales, the biases; ToRGB and ToMask of a resolution are one convolution with four channels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...errors import StyleSwapError
from ..generator import Generator, GeneratorOutput, composite
from ..generator_config import GeneratorConfig
from .baked_layers import BakedBlock, BakedEncoder, PictureUpsampling
from .baked_masks import hold_back_, raised_logit, replace_mask_, soften_mask_
from .packed_conv import FoldedConv, can_pack

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
CPU_CHUNK_BYTES = 2**17
"""As many pictures run through the network together on a CPU as have this size with one channel: at 128 px two in float32
and four in bfloat16, at 256 px and above one."""
TOGETHER = 32
"""Up to this resolution several chunks of a batch run through the network together."""
TOGETHER_BYTES = 2**20
"""As many as have this size with one channel, if they are four or more: wider maps wait meanwhile and leave the cache."""


class Growth(NamedTuple):
    """A picture between two resolutions of the synthesis."""

    features: Tensor | None = None  # (B, C, R, R)
    picture: Tensor | None = None  # (B, 3 or 4, R, R) float32: RGB, and the mask's logit

    def rows(self, part: slice) -> Growth:
        """Some pictures of the batch."""
        return Growth(self.features[part], self.picture[part])


class BakedGenerator(nn.Module):
    """baked(aligned_crop (B, 3, S, S) in -1..1) -> (image, rgb, mask), float32, as `Generator` gives them.

    Made by `Generator.bake`. Later changes of the generator do not reach it. Never differentiable.

    Attributes:
        config: of the generator.
        dtype, device: of the convolutions; crops may come in any floating type.
        packed: whether the convolutions are packed for this CPU; such a module cannot move.
    """

    def __init__(self, generator: Generator, w_plus: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.config: GeneratorConfig = generator.config
        self.packed = False
        self.encoder = BakedEncoder(generator.encoder)
        self.blocks = nn.ModuleList()
        known = None
        blocks = generator.synthesis.blocks
        for index, block in enumerate(blocks.values()):
            first = max(2 * index - 1, 0)
            ws = [w_plus[row] for row in range(first, first + len(block.convs) + 1)]
            self.blocks.append(BakedBlock(block, ws, known, last=index == len(blocks) - 1))
            known = self.blocks[-1].known_output
        self.eval().requires_grad_(False).to(dtype=dtype)
        # The picture adds up in float32 whatever the convolutions' type, as in the unbaked generator.
        self.upsample = PictureUpsampling(4 if self.config.mask_branch else 3).to(self.device)

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and feature maps."""
        return self.encoder.levels[0][0].weight.dtype

    @property
    def device(self) -> torch.device:
        """Where crops have to be."""
        return self.encoder.levels[0][0].constant.device

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
        chunks = aligned_crop.split(self.chunk_size)
        if len(chunks) == 1:
            return self.run(aligned_crop)
        count = TOGETHER_BYTES // (self.config.size**2 * self.dtype.itemsize * self.chunk_size)
        if self.config.size <= TOGETHER or count < 4:
            parts = [self.run(chunk) for chunk in chunks]
        else:
            groups = [chunks[first : first + count] for first in range(0, len(chunks), count)]
            parts = [part for group in groups for part in self._run_chunks(group)]
        return GeneratorOutput(*(torch.cat(fields) for fields in zip(*parts, strict=True)))

    def run(self, aligned_crop: Tensor) -> GeneratorOutput:
        """`forward` without its check and its inference mode: what compilers and exporters trace."""
        return self._finish(self._grow(Growth(), 0, self.encoder(self._laid_out(aligned_crop))), aligned_crop)

    def _run_chunks(self, chunks: Sequence[Tensor]) -> list[GeneratorOutput]:
        # Small maps have most of the weights and little to compute: there the chunks go together, and weights are read once.
        together = sum(resolution <= TOGETHER for resolution in self.config.resolutions)
        wide = len(self.config.resolutions) - together
        above = [self.encoder.part(self._laid_out(chunk), 0, wide) for chunk in chunks]
        below = self.encoder.part(torch.cat([maps[-1] for maps in above]), wide, len(self.encoder.levels))
        small = self._grow(Growth(), 0, below)
        parts, first = [], 0
        for chunk, maps in zip(chunks, above, strict=True):
            own = small.rows(slice(first, first + len(chunk)))
            parts.append(self._finish(self._grow(own, together, maps), chunk))
            first += len(chunk)
        return parts

    def _laid_out(self, aligned_crop: Tensor) -> Tensor:
        return aligned_crop.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _grow(self, growth: Growth, first: int, attributes: list[Tensor]) -> Growth:
        """Block number `first` and as many as there are attributes, the widest first; their list is empty afterwards.

        Each map is let go of as soon as nothing needs it: the next one takes its place in memory, and in the cache. That is
        why all convolutions run from here, where no caller holds an input meanwhile.
        """
        x, picture = growth
        for resolution, block in islice(
            zip(self.config.resolutions, self.blocks, strict=True), first, first + len(attributes)
        ):
            maps = attributes.pop()
            if picture is not None:
                masked = self.config.masks_attributes(resolution)
                picture, mask = self._raised(picture, masked)
                if masked:
                    maps = hold_back_(maps, mask, self.config.attribute_masking, self._mask_repeats)
            x, beside = x if block.start is None else block.start.run(maps), None
            for layer in block.layers:
                for conv in layer.convs:
                    x = conv.run(x)
                if beside is not None:
                    x = layer.beside(beside, onto=x)
                beside = None if layer.injection is None else layer.injection.run(maps)
                if beside is not None and block.joins:
                    x, beside = torch.cat([x, beside], dim=1), None
            if picture is None:
                picture = block.to_pixels.run(x).float()
            else:
                picture += block.to_pixels.run(x)
            if beside is not None:
                picture += block.beside_to_pixels.run(beside)
        return Growth(x, picture)

    @property
    def _mask_repeats(self) -> int:
        # The released code repeats the pixels of a mask to hold back attributes with it, the paper interpolates.
        return 1 if self.config.mask_accumulation == "logits" else 2

    def _raised(self, picture: Tensor, masked: bool) -> tuple[Tensor, Tensor | None]:
        """`picture` (B, 3 or 4, R, R) at (2R, 2R), and the mask (B, 1, .., ..) in 0..1 for the attributes there, if `masked`."""
        if not self.config.mask_branch:
            return self.upsample.run(picture), None
        if self.config.mask_accumulation == "logits":
            logit = raised_logit(picture)
            return replace_mask_(self.upsample.run(picture), logit), torch.sigmoid(logit) if masked else None
        picture = soften_mask_(picture)
        return self.upsample.run(picture), picture[:, 3:]

    def _finish(self, growth: Growth, aligned_crop: Tensor) -> GeneratorOutput:
        # Copied out: a channel of an interleaved picture is read several times as slowly.
        rgb = growth.picture[:, :3].contiguous()
        mask = torch.sigmoid(growth.picture[:, 3:].contiguous()) if self.config.mask_branch else None
        return composite(torch.tanh(rgb) if self.config.rgb_bound == "tanh" else rgb, mask, aligned_crop)

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
) -> BakedGenerator:
    """`Generator.bake`."""
    expected = (generator.config.num_ws, generator.config.w_dim)
    rows = w_plus[0] if w_plus.ndim == 3 and len(w_plus) == 1 else w_plus
    if tuple(rows.shape) != expected:
        raise StyleSwapError(
            f"w_plus must have shape {expected} or (1, {expected[0]}, {expected[1]}); got {tuple(w_plus.shape)}; "
            "bake one identity at a time"
        )
    if dtype not in DTYPES:
        raise StyleSwapError(f"dtype must be one of {', '.join(map(str, DTYPES))}; got {dtype}")
    weights = generator.encoder.from_rgb[str(generator.config.size)].weight
    with torch.no_grad():
        baked = BakedGenerator(generator, rows.detach().to(weights), dtype)
    if packed is None:
        packed = weights.device.type == "cpu" and can_pack(dtype)
    return baked.pack() if packed else baked
