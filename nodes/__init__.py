"""ComfyUI's side of the pack: the list of nodes. `comfy_api` is imported only when ComfyUI asks for it."""


def node_classes() -> list[type]:
    """Classes of the pack's nodes, in menu order.

    Raises:
        ImportError: called outside ComfyUI (there is no `comfy_api`).
    """
    from . import (
        blend_with_mask as blend,
    )
    from . import (
        detect_faces as detect,
    )
    from . import (
        identities as identity,
    )
    from . import (
        identity_files,
        invert_identity,
        loaders,
    )
    from . import (
        save_image as save,
    )
    from . import (
        swap_face as swap,
    )
    from . import (
        synthetic_face as synthetic,
    )

    return [
        loaders.LoadModel,
        loaders.LoadFaceAnalysis,
        detect.DetectFaces,
        swap.SwapFace,
        identity.ExtractArcFaceID,
        identity.IdentityList,
        identity.BlendIdentities,
        identity.CompareIdentity,
        invert_identity.InvertIdentity,
        identity_files.SaveIdentity,
        identity_files.LoadIdentity,
        blend.BlendWithMask,
        synthetic.SyntheticFace,
        save.SaveImage,
    ]


def create_extension():
    """Register the pack's model folders and build the `ComfyExtension` that `comfy_entrypoint` hands to ComfyUI.

    Raises:
        ImportError: called outside ComfyUI (there is no `comfy_api`).
    """
    from comfy_api.latest import ComfyExtension

    from .folders import register_folders

    # Not in the extension's `on_load`: ComfyUI 0.3.64 does not call it.
    register_folders()

    class StyleSwapExtension(ComfyExtension):
        async def get_node_list(self) -> list[type]:
            return node_classes()

    return StyleSwapExtension()
