"""StyleSwap's generator: target crop and source identity -> swapped crop and its soft mask.

Source: StyleSwap section 3.1. The order of the layers and of the rows of `w_plus` is that of the released test code,
see `GeneratorConfig.w_rows`.

Where attributes are concatenated, for a resolution with C channels and C_in channels from below:

    every_conv      upsampling conv: C_in -> C + C attributes; second conv: 2C -> C + C attributes
    per_resolution  upsampling conv: C_in -> C;                second conv:  C -> C + C attributes

In both cases 2C channels leave the resolution: ToRGB, ToMask and the next resolution see generator features and
attributes side by side.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..errors import StyleSwapError
from .encoder import AttributeEncoder
from .generator_config import GeneratorConfig
from .generator_output import GeneratorOutput
from .layers import EqualLinear, PixelNorm, StyledConv, ToMask, ToRGB, project
from .shape_checks import check_aligned_crop
from .synthesis_walk import synthesize


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
        """Map id_embedding (B, style_dim), of length config.embedding_norm, to w (B, w_dim).

        Raises:
            StyleSwapError: The embedding has the wrong shape.
        """
        if id_embedding.ndim != 2 or id_embedding.shape[1] != self.style_dim:
            raise StyleSwapError(
                f"id_embedding must have shape (batch, {self.style_dim}); got {tuple(id_embedding.shape)}; "
                "use the recognizer that the model was trained with"
            )
        return self.layers(self.norm(self.input(id_embedding)))


class SynthesisBlock(nn.Module):
    """One resolution: its StyledConvs (one at 4x4, two above), ToRGB and ToMask."""

    constant: Tensor  # at 4x4 only

    def __init__(self, config: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        channels = config.channels_at(resolution)
        self.resolution = resolution
        convs = []
        if resolution == 4:
            self.constant = nn.Parameter(torch.randn(1, channels, 4, 4))
            convs.append(StyledConv(channels, channels, config.w_dim))
        else:
            in_channels = 2 * config.channels_at(resolution // 2)
            between = config.feature_channels(resolution, 0)
            injects = config.injects(resolution, 0)
            convs.append(StyledConv(in_channels, channels, config.w_dim, upsample=True, injects=injects))
            convs.append(StyledConv(between, channels, config.w_dim))
        self.convs = nn.ModuleList(convs)
        self.to_rgb = ToRGB(2 * channels, config.w_dim)
        self.to_mask = ToMask(2 * channels, config.w_dim) if config.mask_branch else None

    @property
    def styled_convs(self) -> list[StyledConv]:
        """`convs` with their type."""
        return [cast(StyledConv, conv) for conv in self.convs]

    def features(self, x: Tensor | None, ws: Tensor, attributes: Tensor) -> Tensor:
        """Feature maps (B, 2C, R, R).

        Args:
            x: (B, C_in, R/2, R/2), None at 4x4.
            ws: (B, n, w_dim), the first rows for the StyledConvs.
            attributes: (B, C, R, R).
        """
        if x is None:
            x = self.constant.expand(ws.shape[0], -1, -1, -1)  # (B, C, 4, 4)
            x = x.contiguous(memory_format=torch.channels_last)
        for index, conv in enumerate(self.convs):
            x = conv(x, ws[:, index], attributes)
        return x

    def pixels(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor | None]:
        """Rgb (B, 3, R, R) and mask `M'` (B, 1, R, R) from x (B, 2C, R, R) and w (B, w_dim), in one matrix product."""
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

    def block(self, resolution: int) -> SynthesisBlock:
        """The block of a resolution."""
        return cast(SynthesisBlock, self.blocks[str(resolution)])

    def forward(self, w_plus: Tensor, attributes: list[Tensor], aligned_crop: Tensor) -> GeneratorOutput:
        """Swapped crop from w_plus (B, num_ws, w_dim), attributes 4..S as from `encode`, and aligned_crop (B, 3, S, S).

        Raises:
            StyleSwapError: w_plus or the attributes have the wrong shape.
        """
        self._check(w_plus, attributes)
        config = self.config
        blocks = [self.block(resolution) for resolution in config.resolutions]

        def run_block(level: int, x: Tensor | None, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
            ws = w_plus[:, config.w_rows(config.resolutions[level])]
            x = blocks[level].features(x, ws, maps)
            return x, *blocks[level].pixels(x, ws[:, -1])

        return synthesize(config, run_block, attributes, aligned_crop)

    def _check(self, w_plus: Tensor, attributes: list[Tensor]) -> None:
        expected = (self.config.num_ws, self.config.w_dim)
        if w_plus.ndim != 3 or tuple(w_plus.shape[1:]) != expected:
            raise StyleSwapError(
                f"w_plus must have shape (batch, {expected[0]}, {expected[1]}); got {tuple(w_plus.shape)}; "
                "repeat the w of one identity with Generator.broadcast"
            )
        sizes = [maps.shape[-1] for maps in attributes]
        if sizes != list(self.config.resolutions):
            raise StyleSwapError(
                f"attributes must have one map per resolution {list(self.config.resolutions)}; got {sizes}; "
                "use the result of this generator's encode"
            )


class Generator(nn.Module):
    """The complete generator: (aligned_crop, id_embedding) -> GeneratorOutput.

    Its three parts can be called separately:

    - mapping(id_embedding (B, style_dim)) -> w (B, w_dim)
    - encode(aligned_crop (B, 3, S, S)) -> attributes, a list of maps at 4, 8, ... S
    - synthesis(w_plus (B, num_ws, w_dim), attributes, aligned_crop) -> GeneratorOutput
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.encoder = AttributeEncoder(config)
        self.synthesis = SynthesisNetwork(config)

    @property
    def num_ws(self) -> int:
        """Number of rows of w_plus."""
        return self.config.num_ws

    def map_identity(self, id_embedding: Tensor) -> Tensor:
        """`w` (B, w_dim) of an L2-normalized id_embedding (B, style_dim).

        The embedding is scaled to config.embedding_norm, the length that the weights were trained with; `mapping`
        expects it scaled already.
        """
        return self.mapping(id_embedding * self.config.embedding_norm)

    def broadcast(self, w: Tensor) -> Tensor:
        """w_plus (B, num_ws, w_dim) with the same w (B, w_dim) in every row."""
        return w[:, None, :].expand(-1, self.config.num_ws, -1)

    def encode(self, aligned_crop: Tensor) -> list[Tensor]:
        """Attributes [(B, C(4), 4, 4), ..., (B, C(S), S, S)] of aligned_crop (B, 3, S, S) in -1..1.

        Raises:
            StyleSwapError: The crop has the wrong shape.
        """
        check_aligned_crop(self.config, aligned_crop)
        return self.encoder(aligned_crop)

    def forward(self, aligned_crop: Tensor, id_embedding: Tensor) -> GeneratorOutput:
        """Swapped crop from aligned_crop (B, 3, S, S) in -1..1 and id_embedding (B, style_dim).

        id_embedding has the length config.embedding_norm.

        Raises:
            StyleSwapError: A shape or a batch size is wrong.
        """
        if aligned_crop.shape[0] != id_embedding.shape[0]:
            raise StyleSwapError(
                f"aligned_crop and id_embedding must have the same batch size; got {aligned_crop.shape[0]} and "
                f"{id_embedding.shape[0]}; repeat the identity for each crop"
            )
        attributes = self.encode(aligned_crop)
        w_plus = self.broadcast(self.mapping(id_embedding))
        return self.synthesis(w_plus, attributes, aligned_crop)
