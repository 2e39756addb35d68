"""ComfyUI's services for long work: progress, canceling, where results lie, a line of text in the node."""

import sys
from collections.abc import Callable

import comfy.model_management
import comfy.utils
import torch
from comfy_execution.utils import get_executing_context


def result_device() -> torch.device:
    """Where outputs belong."""
    return comfy.model_management.intermediate_device()


def check_interrupted() -> None:
    """Raise ComfyUI's InterruptProcessingException if the user has canceled."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def frame_progress(total: int) -> Callable[[int], None]:
    """A function to call before step 0, 1, ... of `total`: it checks for canceling and moves the node's bar."""
    bar = comfy.utils.ProgressBar(total)

    def on_step(step: int) -> None:
        check_interrupted()
        bar.update_absolute(step, total)

    return on_step


def show_text(text: str) -> None:
    """Show a text in the node that runs, where there is a page to show it and this version of ComfyUI can."""
    # Looked up, not imported: outside of a running server (in tests) there is no such module.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    context = get_executing_context()
    if context is None or getattr(server, "client_id", None) is None or not hasattr(server, "send_progress_text"):
        return
    server.send_progress_text(text, context.node_id, server.client_id)
