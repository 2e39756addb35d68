"""ComfyUI's side of the pack: the list of nodes. `comfy_api` is imported only when ComfyUI asks for it."""


def node_classes() -> list[type]:
    """Classes of the pack's nodes, in menu order. There are none yet: the pack loads and adds nothing."""
    return []


def create_extension():
    """Build the `ComfyExtension` that `comfy_entrypoint` hands to ComfyUI.

    Raises:
        ImportError: called outside ComfyUI (there is no `comfy_api`).
    """
    from comfy_api.latest import ComfyExtension

    class StyleSwapExtension(ComfyExtension):
        async def get_node_list(self) -> list[type]:
            return node_classes()

    return StyleSwapExtension()
