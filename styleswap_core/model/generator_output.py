"""Output of a generator, and compositing of the swapped face over its target (StyleSwap section 3.1).

`I_g = M(L) * I'_g + (1 - M(L)) * I_t`, with the mask `M(L)`, the generator's RGB `I'_g` and the target crop `I_t`.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GeneratorOutput(NamedTuple):
    """image = mask * rgb + (1 - mask) * aligned_crop, all float32."""

    image: Tensor  # (B, 3, S, S), about -1..1
    rgb: Tensor  # (B, 3, S, S), `I'_g`
    mask: Tensor  # (B, 1, S, S) in 0..1; ones without a mask branch
    mask_logits: list[Tensor]  # `M~(l)` (B, 1, R, R) for R = 4..S; empty without a mask branch and in baked generators


def composite(rgb: Tensor, mask: Tensor | None, aligned_crop: Tensor) -> Tensor:
    """`I_g` from `I'_g` (B, 3, S, S), the mask (B, 1, S, S) and the target; without a mask, `I'_g` itself."""
    return rgb if mask is None else torch.lerp(aligned_crop.to(rgb.dtype), rgb, mask.to(rgb.dtype))


def generator_output(
    rgb: Tensor, mask: Tensor | None, aligned_crop: Tensor, mask_logits: list[Tensor]
) -> GeneratorOutput:
    """Composited output for a target crop; mask is None without a mask branch."""
    image = composite(rgb, mask, aligned_crop)
    return GeneratorOutput(image, rgb, torch.ones_like(rgb[:, :1]) if mask is None else mask, mask_logits)
