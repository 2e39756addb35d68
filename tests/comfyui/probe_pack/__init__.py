"""A pack for the tests: tells over HTTP what ComfyUI does not tell by itself, and brings nodes that give bad input."""

from aiohttp import web
from comfy import model_management
from comfy_execution.progress import get_progress_state
from server import PromptServer

from .inputs import NODE_CLASS_MAPPINGS  # noqa: F401  (ComfyUI reads it)


@PromptServer.instance.routes.get("/probe/models")
async def loaded_models(request):
    """Class names of the networks that the memory manager holds."""
    held = [entry.model for entry in model_management.current_loaded_models]
    return web.json_response({"loaded": [type(patcher.model).__name__ for patcher in held if patcher is not None]})


@PromptServer.instance.routes.get("/probe/progress")
async def progress(request):
    """Id of the node that has reported progress and is not done, or null; and the last step that each node reported."""
    nodes = get_progress_state().nodes
    working = [key for key, state in list(nodes.items()) if state["state"].value == "running" and state["value"] > 0]
    steps = {key: state["value"] for key, state in list(nodes.items())}
    return web.json_response({"node": working[-1] if working else None, "steps": steps})
