"""StyleSwap for ComfyUI: the pack's door.

ComfyUI calls `comfy_entrypoint` once when it loads the pack. Everything is imported inside it, so that test
collection and other tools can import this folder without ComfyUI.
"""

WEB_DIRECTORY = "./web"
"""Help pages of the nodes (`web/docs`), served by ComfyUI."""


async def comfy_entrypoint() -> object:
    """Return the pack's `ComfyExtension`, which lists the nodes.

    Raises:
        ImportError: called outside ComfyUI (there is no `comfy_api`).
    """
    from .nodes import create_extension

    return create_extension()
