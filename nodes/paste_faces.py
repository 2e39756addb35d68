"""Paste Faces."""

import torch
from comfy_api.latest import io

from ..styleswap_core.compositing.composite import BlendOptions
from ..styleswap_core.compositing.crop_pasting import paste_faces
from ..styleswap_core.compositing.placed_faces import PlacedFaces
from .blend_with_mask import blend_inputs
from .host import frame_progress, result_device, show_text
from .sockets import Faces, make_schema, unknown_choice
from .swap_reports import summarize_pasted
from .values import resolve_mask


class PasteFaces(io.ComfyNode):
    """Puts changed crops of faces back into their images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_PasteFaces",
            display_name="Paste Faces",
            category="StyleSwap/faces",
            description="Puts crops from Align Faces or Swap Face back into their images after other nodes have changed"
            " or scaled them, with edges and colors as in Blend With Mask. Where a crop is unchanged, the image keeps"
            " its pixels.",
            search_aliases=["paste face", "uncrop", "stitch", "face restore", "detailer", "composite"],
            inputs=[
                io.Image.Input(
                    "target",
                    tooltip="The images in which the faces were found, or their swapped versions; the same "
                    "number of images.",
                ),
                io.Image.Input(
                    "crops", tooltip="The changed crops: square, of any size, in the same number and order as faces."
                ),
                Faces.Input("faces", tooltip="Where the crops belong: from the node that cut them."),
                *blend_inputs(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Which part of each crop is pasted: the mask of Align Faces or your own, one per crop or "
                    "one for all, of any size. Without it, the whole crop is pasted, fading out toward its "
                    "border.",
                ),
                io.Mask.Input(
                    "keep",
                    optional=True,
                    tooltip="The target stays where this mask of the image is white: hands, hair, glasses.",
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image", tooltip="The images with the crops pasted."),
                io.Mask.Output(
                    "final_mask",
                    display_name="mask",
                    tooltip="The share of each pixel of the images that was replaced.",
                ),
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
        crops: torch.Tensor,
        faces: PlacedFaces,
        grow: int,
        feather: float,
        color_match: str,
        color_strength: float,
        method: str,
        mask: torch.Tensor | None = None,
        keep: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Paste crops (N, S, S, 3 or 4) into images (B, H, W, 3 or 4), see `crop_pasting.paste_faces`.

        Returns:
            The images in the shape of `target`, and the share of each pixel that was replaced (B, H, W).

        Raises:
            StyleSwapError: Other images than those of the faces, or crops or masks that do not fit the faces.
        """
        images, masks = paste_faces(
            target,
            crops,
            faces,
            BlendOptions(grow, feather, color_match, color_strength, method),
            masks=None if mask is None else resolve_mask(mask, (crops.shape[1], crops.shape[2])),
            keep=keep,
            on_frame=frame_progress(len(target)),
            device=result_device(),
        )
        show_text(summarize_pasted(faces))
        return io.NodeOutput(images, masks)
