"""Save Swapped Image.

ComfyUI's own Save Image cannot mark images as swapped: what a node adds to the metadata of the graph ends up in every
image that the graph saves, and is missing if the swap comes from the cache.
"""

import os
from pathlib import Path

import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import io, ui

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.provenance import MARK
from ..styleswap_core.io.images import save_image
from .host import check_interrupted
from .image_credentials import AUTOMATIC, OFF, ON, image_signing
from .sockets import advanced, make_schema, unknown_choice
from .values import image_arrays, json_text


class SaveImage(io.ComfyNode):
    """Saves images that state that they are swapped."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_SaveImage",
            display_name="Save Swapped Image",
            category="StyleSwap/image",
            description="Saves PNG files like Save Image, workflow included, with a text entry that states that a face"
            " was swapped, and by which model; signed with Content Credentials (C2PA) if a certificate is set up.",
            search_aliases=["save image", "metadata", "label", "c2pa", "content credentials", "sign"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip="The images to save."),
                io.String.Input(
                    "filename_prefix",
                    default="styleswap/swapped",
                    tooltip="As in Save Image; subfolders and %date:yyyy-MM-dd% are allowed.",
                ),
                io.String.Input(
                    "swap_info",
                    optional=True,
                    force_input=True,
                    tooltip="From Swap Face. Without it, the images get no entry that discloses the swap.",
                ),
                io.Combo.Input(
                    "credentials",
                    options=[AUTOMATIC, ON, OFF],
                    default=AUTOMATIC,
                    optional=True,
                    tooltip="Content Credentials: automatic signs if ComfyUI was started with STYLESWAP_CERTIFICATE and"
                    " STYLESWAP_KEY, on stops the run without them, off does not sign.",
                ),
                advanced(
                    io.String.Input(
                        "target_file",
                        default="",
                        optional=True,
                        tooltip="File of the target in ComfyUI's input folder, such as photo.jpg. Its own "
                        "credentials are kept in those of the saved images.",
                    )
                ),
                advanced(
                    io.String.Input(
                        "identity_name",
                        default="",
                        optional=True,
                        tooltip="Name of the source person in the credentials; if empty, they only contain a hash of "
                        "the identity.",
                    )
                ),
            ],
            outputs=[],
        )

    @classmethod
    def validate_inputs(cls, credentials: str | None = None) -> bool | str:
        """True, or a message about an unknown choice."""
        return unknown_choice(cls, credentials=credentials) or True

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        filename_prefix: str,
        swap_info: str | None = None,
        credentials: str = AUTOMATIC,
        target_file: str = "",
        identity_name: str = "",
    ) -> io.NodeOutput:
        """Save images (B, H, W, 3 or 4) as numbered PNG files in ComfyUI's output folder, with their alpha channel.

        Each file holds `swap_info` and the workflow as text entries; the latter unless ComfyUI runs without metadata.
        """
        sign = image_signing(credentials, swap_info, _target_path(target_file), identity_name)
        try:
            folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
                filename_prefix, folder_paths.get_output_directory(), images.shape[2], images.shape[1]
            )
        except OSError as error:
            raise StyleSwapError(
                f"cannot write files named {filename_prefix[:80]!r}: {error.strerror}; choose another filename_prefix"
            ) from error
        metadata = cls._metadata(swap_info)
        saved = []
        for row, picture in enumerate(image_arrays(images, keep_alpha=True)):
            check_interrupted()
            file = f"{name.replace('%batch_num%', str(row))}_{counter + row:05}_.png"
            save_image(Path(folder) / file, picture, metadata, sign)
            saved.append(ui.SavedResult(file, subfolder, io.FolderType.output))
        return io.NodeOutput(ui=ui.SavedImages(saved))

    @classmethod
    def _metadata(cls, swap_info: str | None) -> dict[str, str]:
        """PNG text entries. `--disable-metadata` drops the workflow, but not the statement that the image is a swap."""
        entries = {}
        if not args.disable_metadata:
            values = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
            entries = {name: json_text(value) for name, value in values.items() if value is not None}
        return {**entries, MARK: swap_info} if swap_info else entries


def _target_path(name: str) -> Path | None:
    """File in ComfyUI's input folder, or in another one that the name ends with, such as "photo.jpg [output]"."""
    if not name.strip():
        return None
    file, folder = folder_paths.annotated_filepath(name.strip())
    base = os.path.realpath(folder or folder_paths.get_input_directory())
    path = os.path.realpath(os.path.join(base, file))
    # Workflows of others must not learn which files exist elsewhere.
    if os.path.commonpath([base, path]) != base or not os.path.isfile(path):
        raise StyleSwapError(
            f"expected target_file to be a file in ComfyUI's input folder, found no {name[:80]!r}; leave it empty if"
            " the target is no file"
        )
    return Path(path)
