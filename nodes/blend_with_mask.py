"""Blend With Mask."""

import torch
from comfy_api.latest import io

from ..styleswap_core.compositing import color_matching
from ..styleswap_core.compositing import composite as compositing
from .host import frame_progress, result_device
from .sockets import make_schema, unknown_choice
from .values import meant_mask


class BlendWithMask(io.ComfyNode):
    """Puts a swapped picture over its target."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_BlendWithMask",
            display_name="Blend With Mask",
            category="StyleSwap/image",
            description="Puts a swapped picture over the target under a mask: grows and softens the mask, matches colors, hides"
            " the seam, and keeps what a second mask protects.",
            search_aliases=["composite", "color match", "feather", "poisson", "seamless"],
            inputs=[
                io.Image.Input("target", tooltip="The picture from before the swap"),
                io.Image.Input(
                    "swapped", tooltip="The picture after it, of the same size; one for all frames, or one for each"
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="Where the swapped picture shows: Swap Face's mask, or your own. The empty mask that"
                    " Load Image gives for a picture without transparency means everywhere",
                ),
                io.Int.Input("grow", default=0, min=-256, max=256, tooltip="Grow (or shrink) the mask, in pixels"),
                io.Float.Input(
                    "feather", default=4.0, min=0.0, max=256.0, step=0.5, tooltip="Soften its outline, in pixels"
                ),
                io.Combo.Input(
                    "color_match",
                    options=list(color_matching.METHODS),
                    default="none",
                    tooltip="Give the swapped face the target's colors inside the mask: mean-std (Lab), linear"
                    " (Monge-Kantorovich) or histogram",
                ),
                io.Float.Input(
                    "color_strength", default=1.0, min=0.0, max=1.0, step=0.05, tooltip="How far to match colors"
                ),
                io.Combo.Input(
                    "method",
                    options=list(compositing.METHODS),
                    default="alpha",
                    tooltip="alpha: plain mix. multi-band: soft for tones, sharp for details. seamless: takes its tone"
                    " from the rim of the mask (Poisson)",
                ),
                io.Mask.Input(
                    "keep", optional=True, tooltip="Where this is white the target stays: hands, hair, glasses"
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image", tooltip="The blended frames"),
                io.Mask.Output("final_mask", display_name="mask", tooltip="The mask as it was used"),
            ],
        )

    @classmethod
    def validate_inputs(cls, color_match: str, method: str) -> bool | str:
        """True, or a sentence about a choice that is not offered."""
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
        """Target (B, H, W, 3 or 4), swapped and mask for each or one for all -> the blended pictures, in the target's shape, and the
        masks that were used (B, H, W); see `compositing.blend_frames`.

        Raises:
            StyleSwapError: sizes or counts that do not fit together.
        """
        options = compositing.BlendOptions(grow, feather, color_match, color_strength, method)
        mask = meant_mask(mask, tuple(target.shape[1:3]))
        on_frame = frame_progress(len(target))
        return io.NodeOutput(*compositing.blend_frames(target, swapped, mask, options, keep, on_frame, result_device()))
