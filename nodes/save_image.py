"""Save Swapped Image.

ComfyUI's own Save Image cannot say that a picture is a swap: what a node adds to the graph's metadata goes into every
picture that the graph saves, and is missing where the swap comes from the cache.
"""

import json
from pathlib import Path

import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import io, ui

from ..styleswap_core.identities.provenance import MARK
from ..styleswap_core.io.images import save_image
from .host import check_interrupted
from .sockets import make_schema
from .values import picture_arrays


class SaveImage(io.ComfyNode):
    """Save Image with a label."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_SaveImage",
            display_name="Save Swapped Image",
            category="StyleSwap/image",
            description="Saves PNG files like Save Image, workflow included, and adds a plain text entry that says that a face was"
            " swapped, by which model.",
            search_aliases=["save image", "metadata", "label"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip="What to save"),
                io.String.Input(
                    "filename_prefix",
                    default="styleswap/swapped",
                    tooltip="As in Save Image; folders and %date:yyyy-MM-dd% are allowed",
                ),
                io.String.Input(
                    "swap_info",
                    optional=True,
                    force_input=True,
                    tooltip="From Swap Face; without it the pictures carry no label",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, images: torch.Tensor, filename_prefix: str, swap_info: str | None = None) -> io.NodeOutput:
        """Images (B, H, W, 3 or 4) -> numbered PNG files in ComfyUI's output folder.

        The workflow and `swap_info` go into each as text entries, the workflow unless ComfyUI runs without metadata.
        """
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), images.shape[2], images.shape[1]
        )
        metadata = cls._metadata(swap_info)
        saved = []
        for row, picture in enumerate(picture_arrays(images)):
            check_interrupted()
            file = f"{name.replace('%batch_num%', str(row))}_{counter + row:05}_.png"
            save_image(Path(folder) / file, picture, metadata)
            saved.append(ui.SavedResult(file, subfolder, io.FolderType.output))
        return io.NodeOutput(ui=ui.SavedImages(saved))

    @classmethod
    def _metadata(cls, swap_info: str | None) -> dict[str, str]:
        """PNG text entries. Whoever runs ComfyUI without metadata hides the workflow, not that the picture is a swap."""
        entries = {}
        if not args.disable_metadata:
            values = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
            entries = {name: json.dumps(value) for name, value in values.items() if value is not None}
        return {**entries, MARK: swap_info} if swap_info else entries
