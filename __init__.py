"""Entry point of the node pack.

ComfyUI calls `comfy_entrypoint` once, when it loads the pack. Everything is imported inside that function, so that test
collection and other tools can import this folder without ComfyUI.
"""

WEB_DIRECTORY = "./web"
"""Folder that ComfyUI serves: the help pages of the nodes (`web/docs`)."""


async def comfy_entrypoint() -> object:
    """The pack's `ComfyExtension`, which lists the nodes.

    Raises:
        ImportError: Called outside ComfyUI, where there is no `comfy_api`.
    """
    from .nodes import create_extension
    from .nodes.node_replacements import register_replacements

    # Not in the extension's `on_load`, which ComfyUI 0.3.64 does not call.
    await register_replacements()
    return create_extension()
