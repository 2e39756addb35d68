"""StyleSwap's generator: target crop and source identity -> swapped crop and its soft mask.

Source: StyleSwap section 3.1; layer order and the order of `w_plus` as in the released test code:
w_plus 0 modulates the 4x4 convolution and 1 its ToRGB and ToMask; in block k (resolution 8 * 2^k)
2k+1 modulates the up-sampling convolution, 2k+2 the second one, 2k+3 ToRGB and ToMask.

Where attributes enter, and what that does to the channels of a resolution with C of its own and
C_in arriving from below:

    every_conv      up: C_in -> C + C attributes; second: 2C -> C + C attributes; 2C leave
    per_resolution  up: C_in -> C;                second:  C -> C + C attributes; 2C leave

so in both schemes ToRGB, ToMask and the next resolution see generator features and attributes
side by side, and in the second one the first convolution of a resolution works without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import StyleSwapError
from .encoder import AttributeEncoder
from .generator_config import GeneratorConfig
from .layers import EqualLinear, PixelNorm, StyledConv, ToMask, ToRGB, project, upsample_bilinear, upsample_fir

if TYPE_CHECKING:
    from .inference.baked_generator import BakedGenerator


class GeneratorOutput(NamedTuple):
    """image = mask * rgb + (1 - mask) * aligned_crop, all float32."""

    image: Tensor  # (B, 3, S, S), about -1..1
    rgb: Tensor  # (B, 3, S, S), the generator's own picture I'_g
    mask: Tensor  # (B, 1, S, S) in 0..1; ones without a mask branch


class GeneratorOutputWithLogits(NamedTuple):
    """GeneratorOutput with the masks before their sigmoid, resolution 4, 8, ... S; empty without a mask branch."""

    image: Tensor
    rgb: Tensor
    mask: Tensor
    mask_logits: list[Tensor]  # each (B, 1, R, R)


class MappingNetwork(nn.Module):
    """`FC_w`: id_embedding (B, style_dim) of length config.embedding_norm -> w (B, w_dim)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.style_dim = config.style_dim
        self.input = EqualLinear(config.style_dim, config.w_dim, activate=True)
        self.norm = PixelNorm()
        self.layers = nn.Sequential(
            *(
                EqualLinear(config.w_dim, config.w_dim, lr_mul=config.mapping_lr_mul, activate=True)
                for _ in range(config.mapping_layers)
            )
        )

    def forward(self, id_embedding: Tensor) -> Tensor:
        """id_embedding (B, style_dim), of length config.embedding_norm -> w (B, w_dim).

        Raises:
            StyleSwapError: another shape.
        """
        if id_embedding.ndim != 2 or id_embedding.shape[1] != self.style_dim:
            raise StyleSwapError(
                f"id_embedding must have shape (batch, {self.style_dim}); got {tuple(id_embedding.shape)}; "
                "use the recognizer that the model names"
            )
        return self.layers(self.norm(self.input(id_embedding)))


class SynthesisBlock(nn.Module):
    """One resolution: its StyledConvs, ToRGB and ToMask."""

    def __init__(self, config: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        channels = config.channels_at(resolution)
        self.resolution = resolution
        convs = []
        if resolution == 4:
            self.constant = nn.Parameter(torch.randn(1, channels, 4, 4))
            convs.append(StyledConv(channels, channels, config.w_dim))
        else:
            arriving = 2 * config.channels_at(resolution // 2)
            between = config.feature_channels(resolution, 0)
            injects = config.injects(resolution, 0)
            convs.append(StyledConv(arriving, channels, config.w_dim, upsample=True, injects=injects))
            convs.append(StyledConv(between, channels, config.w_dim))
        self.convs = nn.ModuleList(convs)
        self.to_rgb = ToRGB(2 * channels, config.w_dim)
        self.to_mask = ToMask(2 * channels, config.w_dim) if config.mask_branch else None

    def features(self, x: Tensor | None, ws: Tensor, attributes: Tensor) -> Tensor:
        """X (B, C_in, R/2, R/2) or None at 4x4, ws (B, n, w_dim), attributes (B, C, R, R) -> (B, 2C, R, R)."""
        if x is None:
            x = self.constant.expand(ws.shape[0], -1, -1, -1)  # (B, C, 4, 4)
            x = x.contiguous(memory_format=torch.channels_last)
        for index, conv in enumerate(self.convs):
            x = conv(x, ws[:, index], attributes)
        return x

    def pixels(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor | None]:
        """X (B, 2C, R, R), w (B, w_dim) -> rgb (B, 3, R, R) and mask `M'` (B, 1, R, R), in one product."""
        if self.to_mask is None:
            return self.to_rgb(x, w), None
        weight = torch.cat([self.to_rgb.modulated_weight(w), self.to_mask.modulated_weight(w)], dim=1)  # (B, 4, 2C)
        out = project(x, weight)  # (B, 4, R, R)
        return out[:, :3] + self.to_rgb.bias[None, :, None, None], out[:, 3:]


class SynthesisNetwork(nn.Module):
    """w_plus and attributes -> rgb and mask, composited over the target crop.

    Blocks are keyed by resolution: `blocks.64`.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleDict(
            {str(resolution): SynthesisBlock(config, resolution) for resolution in config.resolutions}
        )

    def forward(
        self, w_plus: Tensor, attributes: list[Tensor], aligned_crop: Tensor, return_mask_logits: bool = False
    ) -> GeneratorOutput | GeneratorOutputWithLogits:
        """w_plus (B, num_ws, w_dim), attributes 4..S as from `encode`, aligned_crop (B, 3, S, S) in -1..1."""
        self._check(w_plus, attributes)
        blocks = list(self.blocks.values())

        def step(index: int, x: Tensor | None, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
            block, first = blocks[index], max(2 * index - 1, 0)
            x = block.features(x, w_plus[:, first:], maps)
            return x, *block.pixels(x, w_plus[:, first + len(block.convs)])

        output = run_blocks(self.config, step, attributes, aligned_crop)
        return output if return_mask_logits else GeneratorOutput(*output[:3])

    def _check(self, w_plus: Tensor, attributes: list[Tensor]) -> None:
        expected = (self.config.num_ws, self.config.w_dim)
        if w_plus.ndim != 3 or tuple(w_plus.shape[1:]) != expected:
            raise StyleSwapError(
                f"w_plus must have shape (batch, {expected[0]}, {expected[1]}); got {tuple(w_plus.shape)}; "
                "w of one identity is repeated by Generator.broadcast"
            )
        edges = [maps.shape[-1] for maps in attributes]
        if edges != list(self.config.resolutions):
            raise StyleSwapError(
                f"attributes must be one map per resolution {list(self.config.resolutions)}; got {edges}; "
                "take them from this generator's encode"
            )


class Generator(nn.Module):
    """generator(aligned_crop, id_embedding) -> (image, rgb, mask); its three parts can be called apart.

    mapping(id_embedding (B, style_dim)) -> w (B, w_dim)
    encode(aligned_crop (B, 3, S, S)) -> attributes, a list of maps at 4, 8, ... S
    synthesis(w_plus (B, num_ws, w_dim), attributes, aligned_crop) -> (image, rgb, mask)
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.encoder = AttributeEncoder(config)
        self.synthesis = SynthesisNetwork(config)

    @property
    def num_ws(self) -> int:
        """Rows of w_plus."""
        return self.config.num_ws

    def map_identity(self, id_embedding: Tensor) -> Tensor:
        """An identity's embedding (B, style_dim), L2-normalized -> w (B, w_dim).

        Weights that were trained on embeddings of another length get that length; `mapping` takes them as they are.
        """
        return self.mapping(id_embedding * self.config.embedding_norm)

    def broadcast(self, w: Tensor) -> Tensor:
        """W (B, w_dim) -> w_plus (B, num_ws, w_dim), the same w for every layer."""
        return w[:, None, :].expand(-1, self.config.num_ws, -1)

    def encode(self, aligned_crop: Tensor) -> list[Tensor]:
        """aligned_crop (B, 3, S, S) in -1..1 -> attributes [(B, C(4), 4, 4), ..., (B, C(S), S, S)]."""
        size = self.config.size
        if aligned_crop.ndim != 4 or tuple(aligned_crop.shape[1:]) != (3, size, size):
            raise StyleSwapError(
                f"aligned_crop must have shape (batch, 3, {size}, {size}); got {tuple(aligned_crop.shape)}; "
                f"crop the face with the {self.config.template!r} template at {size} px"
            )
        return self.encoder(aligned_crop)

    def forward(
        self, aligned_crop: Tensor, id_embedding: Tensor, return_mask_logits: bool = False
    ) -> GeneratorOutput | GeneratorOutputWithLogits:
        """aligned_crop (B, 3, S, S) in -1..1, id_embedding (B, style_dim), length config.embedding_norm.

        StyleSwapError for another shape.
        """
        if aligned_crop.shape[0] != id_embedding.shape[0]:
            raise StyleSwapError(
                f"aligned_crop and id_embedding must have the same batch; got {aligned_crop.shape[0]} and "
                f"{id_embedding.shape[0]}; repeat the identity for each crop"
            )
        attributes = self.encode(aligned_crop)
        w_plus = self.broadcast(self.mapping(id_embedding))
        return self.synthesis(w_plus, attributes, aligned_crop, return_mask_logits)

    def bake(self, w_plus: Tensor, dtype: torch.dtype = torch.float32, packed: bool | None = None) -> BakedGenerator:
        """A network of plain convolutions for one identity, several times as fast: baked(aligned_crop) -> the same.

        w_plus: (num_ws, w_dim) or (1, num_ws, w_dim), from `broadcast(mapping(id_embedding))` or an inversion.
        dtype: of its convolutions: float32, bfloat16 or float16; results are float32.
        packed: lay the weights out for this CPU; None does so wherever PyTorch can.
        StyleSwapError for another shape or type, or where packing is asked for and cannot be had.
        """
        # Here, because baked.py is built on this file.
        from .inference.baked_generator import bake

        return bake(self, w_plus, dtype, packed)


def run_blocks(
    config: GeneratorConfig,
    step: Callable[[int, Tensor | None, Tensor], tuple[Tensor, Tensor, Tensor | None]],
    attributes: list[Tensor],
    aligned_crop: Tensor,
) -> GeneratorOutputWithLogits:
    """What happens between the blocks: rgb and mask add up, the mask holds attributes back, all is composited.

    step: number of the block, features from below (None at 4x4) and attributes -> features, rgb, and mask or None.
    """
    x = rgb = mask = None
    mask_logits: list[Tensor] = []
    for index, (resolution, maps) in enumerate(zip(config.resolutions, attributes, strict=True)):
        if mask is not None and config.masks_attributes(resolution):
            maps = mask_attributes(
                maps, upsampled_mask(mask_logits, config.mask_accumulation), config.attribute_masking
            )
        x, block_rgb, block_mask = step(index, x, maps)
        rgb = block_rgb if rgb is None else block_rgb + upsample_fir(rgb)
        if block_mask is not None:
            mask_logits.append(accumulate_mask(block_mask, mask_logits, config.mask_accumulation))
            mask = torch.sigmoid(mask_logits[-1])
    if config.rgb_bound == "tanh":
        rgb = torch.tanh(rgb)
    return GeneratorOutputWithLogits(*composite(rgb, mask, aligned_crop), mask_logits)


def accumulate_mask(block_mask: Tensor, mask_logits: list[Tensor], accumulation: str) -> Tensor:
    """`M~(l)`, whose sigmoid is the mask: M'(l) (B, 1, R, R) with the levels below it added.

    "logits", the paper: M~(l) = M'(l) + upsample(M~(l-1)), bilinear.
    "sigmoid", the released code: the lower mask is added after its sigmoid, with ToRGB's filter.
    """
    if not mask_logits:
        return block_mask
    if accumulation == "logits":
        return block_mask + upsample_bilinear(mask_logits[-1])
    return block_mask + upsample_fir(torch.sigmoid(mask_logits[-1]))


def upsampled_mask(mask_logits: list[Tensor], accumulation: str) -> Tensor:
    """M(l) at the resolution of the next level, (B, 1, 2R, 2R) in 0..1; the released code repeats pixels."""
    if accumulation == "logits":
        return torch.sigmoid(upsample_bilinear(mask_logits[-1]))
    return F.interpolate(torch.sigmoid(mask_logits[-1]), scale_factor=2.0, mode="nearest")


def mask_attributes(maps: Tensor, mask: Tensor, masking: str) -> Tensor:
    """`F_att` (B, C, R, R) with the face region (mask (B, 1, R, R) in 0..1) blocked or flattened.

    "block": (1 - M) * F. "mean": (1 - M) * F + M * mean, the mean of F weighted by M.
    """
    if masking == "block":
        return maps * _to_all_channels(1 - mask, maps)
    batch, channels, height, width = maps.shape
    rows = maps.permute(0, 2, 3, 1).reshape(batch, height * width, channels)  # (B, RR, C), a view in channels_last
    # A matrix product adds up in float32 also where its factors are bfloat16.
    total = torch.bmm(mask.to(maps.dtype).reshape(batch, 1, height * width), rows).float()  # (B, 1, C)
    mean = total / mask.float().sum(dim=(2, 3)).clamp_min(1e-6)[:, None]
    return torch.lerp(maps, mean.to(maps.dtype).reshape(batch, channels, 1, 1), _to_all_channels(mask, maps))


def _to_all_channels(mask: Tensor, maps: Tensor) -> Tensor:
    """Mask (B, 1, R, R) as (B, C, R, R), type and layout of maps.

    Written out: a product that broadcasts over channels_last's innermost axis takes four times as long on a CPU.
    """
    return mask.to(maps.dtype).expand_as(maps).contiguous(memory_format=torch.channels_last)


def composite(rgb: Tensor, mask: Tensor | None, aligned_crop: Tensor) -> GeneratorOutput:
    """I_g = M * I'_g + (1 - M) * I_t; without a mask the picture is I'_g everywhere."""
    if mask is None:
        return GeneratorOutput(rgb, rgb, torch.ones_like(rgb[:, :1]))
    return GeneratorOutput(torch.lerp(aligned_crop.to(rgb.dtype), rgb, mask), rgb, mask)
