"""Node pack for the tests: exposes internal state of ComfyUI over HTTP, and has nodes that return unusual input."""

import gc
import sys

from aiohttp import web
from comfy import model_management
from comfy_execution.progress import get_progress_state
from server import PromptServer

import nodes

from .inputs import NODE_CLASS_MAPPINGS  # noqa: F401 - ComfyUI reads it

_interrupt_processing = nodes.interrupt_processing
_steps_at_interrupt = {}


def interrupt_processing(value=True):
    """Replacement of ComfyUI's function that records the progress of all nodes at the time of the interrupt."""
    _interrupt_processing(value)
    if value:
        _steps_at_interrupt.clear()
        _steps_at_interrupt.update(_steps())


nodes.interrupt_processing = interrupt_processing


def _steps():
    return {key: state["value"] for key, state in list(get_progress_state().nodes.items())}


@PromptServer.instance.routes.get("/probe/models")
async def loaded_models(request):
    """Class names of the networks that the memory manager holds."""
    held = [entry.model for entry in model_management.current_loaded_models]
    return web.json_response({"loaded": [type(patcher.model).__name__ for patcher in held if patcher is not None]})


@PromptServer.instance.routes.get("/probe/progress")
async def progress(request):
    """Id of the running node that has reported progress, or null, its steps, and the id of its prompt.

    The state of an interrupted prompt, whose node never finishes, stays until the next prompt begins.
    """
    state = get_progress_state()
    nodes_of_prompt = list(state.nodes.items())
    working = [(key, node) for key, node in nodes_of_prompt if node["state"].value == "running" and node["value"] > 0]
    key, node = working[-1] if working else (None, {"value": 0})
    return web.json_response({"prompt": state.prompt_id, "node": key, "steps": node["value"]})


@PromptServer.instance.routes.get("/probe/steps_after_interrupt")
async def steps_after_interrupt(request):
    """Number of steps that each node of the last prompt did after it was interrupted."""
    now = _steps()
    return web.json_response({key: now[key] - value for key, value in _steps_at_interrupt.items() if key in now})


@PromptServer.instance.routes.get("/probe/guests")
async def open_guests(request):
    """Number of networks of other programs whose session is open."""
    found = [one for one in gc.get_objects() if type(one).__name__ == "GuestNetwork"]
    return web.json_response({"open": sum(network._session.is_open for network in found)})


@PromptServer.instance.routes.get("/probe/kept")
async def kept_values(request):
    """What Quick Face Swap keeps between runs: identities in memory of models, analyses and sources."""
    (module,) = (module for name, module in sys.modules.items() if name.endswith("nodes.quick_swap"))
    kept = {"models": module._models, "analyses": module._analyses, "sources": module._sources}
    return web.json_response({name: [id(value) for value in one._values.values()] for name, one in kept.items()})
