"""ComfyUI side of the pack: the list of nodes. `comfy_api` is imported only when ComfyUI asks for the nodes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension


def node_classes() -> list[type]:
    """Classes of the pack's nodes, in menu order.

    Raises:
        ImportError: Called outside ComfyUI, where there is no `comfy_api`.
    """
    from . import (
        align_faces,
        blend_with_mask,
        broken_packages,
        detect_faces,
        face_masks,
        identities,
        identity_files,
        invert_identity,
        loaders,
        mask_faces,
        paste_faces,
        quick_swap,
        received_values,
        save_image,
        swap_face,
        swap_face_in_video,
        synthetic_face,
    )

    nodes: list[Any] = [
        quick_swap.QuickSwap,
        loaders.LoadModel,
        loaders.LoadFaceAnalysis,
        face_masks.LoadFaceMasks,
        detect_faces.DetectFaces,
        swap_face.SwapFace,
        swap_face_in_video.SwapVideo,
        identities.ExtractArcFaceID,
        identities.IdentityList,
        identities.BlendIdentities,
        identities.CompareIdentity,
        invert_identity.InvertIdentity,
        identity_files.SaveIdentity,
        identity_files.LoadIdentity,
        blend_with_mask.BlendWithMask,
        align_faces.AlignFaces,
        paste_faces.PasteFaces,
        mask_faces.FaceMask,
        synthetic_face.SyntheticFace,
        save_image.SaveImage,
    ]
    for node in nodes:
        # ComfyUI may ask for the list again.
        if not hasattr(node.execute, "__wrapped__"):
            received_values.check_received(node)
            broken_packages.explain_broken_packages(node)
    return nodes


def create_extension() -> "ComfyExtension":
    """Register the pack's model folders and build its `ComfyExtension`.

    Raises:
        ImportError: Called outside ComfyUI, where there is no `comfy_api`.
    """
    from comfy_api.latest import ComfyExtension

    from .folders import register_folders

    # Not in the extension's `on_load`, which ComfyUI 0.3.64 does not call.
    register_folders()

    class StyleSwapExtension(ComfyExtension):
        async def get_node_list(self) -> list[type]:
            return node_classes()

    return StyleSwapExtension()
