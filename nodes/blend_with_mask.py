"""Blend With Mask."""

import torch
from comfy_api.latest import io

from ..styleswap_core.compositing import color_matching, composite
from .host import frame_progress, result_device
from .sockets import make_schema, unknown_choice
from .values import resolve_mask


class BlendWithMask(io.ComfyNode):
    """Composites a swapped image over its target."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_BlendWithMask",
            display_name="Blend With Mask",
            category="StyleSwap/image",
            description="Composites a swapped image over its target: grows and feathers the mask, matches colors, hides"
            " the seam, and leaves areas under a second mask untouched.",
            search_aliases=["composite", "color match", "feather", "poisson", "seamless"],
            inputs=[
                io.Image.Input("target", tooltip="The image before the swap."),
                io.Image.Input(
                    "swapped", tooltip="The image after the swap, of the same size: one per frame, or one for all."
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="Where the swapped image shows: the mask from Swap Face, or your own. The empty mask that"
                    " Load Image returns for an image without transparency means everywhere.",
                ),
                *blend_inputs(),
                io.Mask.Input(
                    "keep", optional=True, tooltip="The target stays where this mask is white: hands, hair, glasses."
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image", tooltip="The blended frames."),
                io.Mask.Output("final_mask", display_name="mask", tooltip="The mask after grow, feather and keep."),
            ],
        )

    @classmethod
    def validate_inputs(cls, color_match: str | None = None, method: str | None = None) -> bool | str:
        """True, or a message about the first unknown choice."""
        return unknown_choice(cls, color_match=color_match, method=method) or True

    @classmethod
    def execute(
        cls,
        target: torch.Tensor,
        swapped: torch.Tensor,
        mask: torch.Tensor,
        grow: int,
        feather: float,
        color_match: str,
        color_strength: float,
        method: str,
        keep: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Blend a batch, see `composite.blend_frames`.

        `target` and `swapped` are (B, H, W, 3 or 4), the masks (B, h, w); all but `target` may have a batch of one.

        Returns:
            The blended images in the shape of `target`, and the masks that were used (B, H, W).

        Raises:
            StyleSwapError: Sizes or batch lengths do not match.
        """
        options = composite.BlendOptions(grow, feather, color_match, color_strength, method)
        height, width = target.shape[1:3]
        mask = resolve_mask(mask, (height, width))
        on_frame = frame_progress(len(target))
        return io.NodeOutput(*composite.blend_frames(target, swapped, mask, options, keep, on_frame, result_device()))


def blend_inputs() -> list[io.Input]:
    """How a face is blended over its target; the fields of `composite.BlendOptions`."""
    return [
        io.Int.Input(
            "grow",
            default=0,
            min=-256,
            max=256,
            tooltip="Grows the mask by this many pixels; negative values shrink it.",
        ),
        io.Float.Input(
            "feather",
            default=4.0,
            min=0.0,
            max=256.0,
            step=0.5,
            tooltip="Width in pixels over which the edge of the mask fades out.",
        ),
        io.Combo.Input(
            "color_match",
            options=list(color_matching.METHODS),
            default="none",
            tooltip="Matches the colors of the swapped face to the target inside the mask: mean-std (CIE Lab),"
            " linear (Monge-Kantorovich) or histogram.",
        ),
        io.Float.Input("color_strength", default=1.0, min=0.0, max=1.0, step=0.05, tooltip="Strength of color_match."),
        io.Combo.Input(
            "method",
            options=list(composite.METHODS),
            default="alpha",
            tooltip="alpha: weighted average. multi-band: wide transition for coarse structure, narrow for fine"
            " detail. seamless: adopts the target's tone at the edge of the mask (Poisson blending).",
        ),
    ]
