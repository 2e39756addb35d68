"""ComfyUI's services for long-running nodes: device of results, progress, cancellation, and text shown in a node."""

import sys
from collections.abc import Callable
from typing import Protocol

import comfy.model_management
import comfy.utils
import torch
from comfy_execution.utils import get_executing_context


class _PromptServer(Protocol):
    """Members of ComfyUI's `PromptServer` that are used here; older versions lack `send_progress_text`."""

    client_id: str | None

    def send_progress_text(self, text: str, node_id: str, sid: str) -> None: ...


def result_device() -> torch.device:
    """Device on which ComfyUI expects the outputs of nodes."""
    return comfy.model_management.intermediate_device()


def check_interrupted() -> None:
    """Raise ComfyUI's `InterruptProcessingException` if the user has canceled."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def frame_progress(total: int, runs: int = 1) -> Callable[[int], None]:
    """Callback for the start of step 0, 1, ... of `total`: checks for cancellation and moves the progress bar.

    Args:
        total: Number of steps.
        runs: How often all steps are done, one run after the other.
    """
    bar = comfy.utils.ProgressBar(total * runs)
    run = last = 0

    def on_step(step: int) -> None:
        nonlocal run, last
        check_interrupted()
        run, last = run + (step < last), step
        bar.update_absolute(run * total + step, total * runs)

    return on_step


def download_progress() -> Callable[[int, int], None]:
    """Callback for a download (bytes received, total): checks for cancellation and moves the progress bar."""

    def on_block(received: int, total: int) -> None:
        check_interrupted()
        # A new bar, which keeps no state of its own, because two files have different totals.
        comfy.utils.ProgressBar(total).update_absolute(received, total)

    return on_block


def show_text(text: str) -> None:
    """Show text in the running node, if a browser is connected and this version of ComfyUI supports it."""
    server = _prompt_server()
    context = get_executing_context()
    if server is None or context is None or server.client_id is None or not hasattr(server, "send_progress_text"):
        return
    server.send_progress_text(text, context.node_id, server.client_id)


def is_watched() -> bool:
    """Whether a browser shows what the running node sends."""
    server = _prompt_server()
    return server is not None and server.client_id is not None


def _prompt_server() -> _PromptServer | None:
    """The running server; looked up instead of imported, because tests of the nodes run without that module."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
