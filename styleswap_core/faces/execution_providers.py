"""Execution providers of ONNX Runtime: which of them fits a device, and which one a session really uses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..installation.import_failures import require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
COREML_PROVIDER = "CoreMLExecutionProvider"

# Providers of each kind of device in order of preference, and the package that has them.
_PROVIDERS = {
    "cpu": (CPU_PROVIDER,),
    "cuda": (CUDA_PROVIDER,),
    "rocm": ("MIGraphXExecutionProvider", "ROCMExecutionProvider"),
    "directml": ("DmlExecutionProvider",),
    "coreml": (COREML_PROVIDER,),
}
_PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "rocm": "onnxruntime-rocm or onnxruntime-migraphx",
    "directml": "onnxruntime-directml",
    "coreml": "onnxruntime for macOS",
}
# By default CUDA times all algorithms of each convolution anew for each size of a batch, and takes memory in powers of
# two, of which PyTorch needs its share.
_OPTIONS = {
    CUDA_PROVIDER: {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }
}
# torch's names of devices.
_KINDS = {"cuda": "cuda", "mps": "coreml", "privateuseone": "directml"}
# Operators that take nearly all of the time.
_HEAVY = frozenset(
    ("Conv", "ConvTranspose", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")
)


def available_providers() -> list[str]:
    """Providers that this ONNX Runtime was built with.

    Raises:
        StyleSwapError: ONNX Runtime does not load.
    """
    require("onnxruntime", purpose="this needs")
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def default_providers() -> list[str]:
    """Providers for face analysis in order of preference: CUDA if available, and the CPU."""
    available = available_providers()
    return [name for name in (CUDA_PROVIDER, CPU_PROVIDER) if name in available]


def device_kind(device: torch.device) -> str:
    """Kind of device as ONNX Runtime tells them apart: cpu, cuda, rocm, directml or coreml; cpu for all others."""
    if device.type == "cuda" and torch.version.hip:
        return "rocm"
    return _KINDS.get(device.type, "cpu")


def providers_for(device: torch.device) -> tuple[list[Any], str]:
    """Providers for a device, for a session of ONNX Runtime, and a sentence if its own is not available.

    Returns:
        The providers in order of preference, with the CPU last; and why it is the CPU alone although the device is
        another, empty if it is not.
    """
    kind = device_kind(device)
    if kind == "cpu":
        other = "" if device.type == "cpu" else f"ONNX Runtime has no execution provider for {device.type}"
        return [CPU_PROVIDER], other
    available = available_providers()
    found = next((name for name in _PROVIDERS[kind] if name in available), None)
    if found is None:
        wanted = " or ".join(_PROVIDERS[kind])
        return [CPU_PROVIDER], f"ONNX Runtime is installed without the {wanted}; install {_PACKAGES[kind]} in its place"
    options: dict[str, Any] = {} if kind == "coreml" else {"device_id": device.index or 0}
    return [(found, options | _OPTIONS.get(found, {})), CPU_PROVIDER], ""


def fallback_of(session: "InferenceSession", providers: Sequence[Any]) -> str:
    """Why a session does not run on the provider that it was made for; empty if it does.

    ONNX Runtime falls back to the CPU, with no more than a line in its log, if libraries of a provider are missing or
    if the provider lacks operators.

    Args:
        session: The session.
        providers: What `providers_for` returned.
    """
    wanted = _name(providers[0])
    if wanted == CPU_PROVIDER:
        return ""
    if wanted not in session.get_providers():
        return f"ONNX Runtime could not start the {wanted}, as its log says; check the libraries that it needs"
    nodes = _assigned_nodes(session)
    heavy = [provider for provider, operator in nodes if operator in _HEAVY]
    elsewhere = sum(provider == CPU_PROVIDER for provider in heavy)
    if elsewhere:
        return f"{elsewhere} of {len(heavy)} convolutions and matrix products are not supported by the {wanted}"
    return ""


def adapt_options(options: Any, providers: Sequence[Any]) -> None:
    """Set what `fallback_of` and the providers need in the options of a session.

    Args:
        options: ONNX Runtime's `SessionOptions`.
        providers: What `providers_for` returned.
    """
    # Older versions of ONNX Runtime ignore it.
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if _name(providers[0]) == "DmlExecutionProvider":
        # DirectML requires it.
        options.enable_mem_pattern = False


def _name(provider: Any) -> str:
    """Name of a provider with or without options."""
    return str(provider[0] if isinstance(provider, tuple) else provider)


def _assigned_nodes(session: "InferenceSession") -> list[tuple[str, str]]:
    """Provider and operator of each node; empty if this version of ONNX Runtime does not tell."""
    read = getattr(session, "get_provider_graph_assignment_info", None)
    if read is None:
        return []
    return [(part.ep_name, node.op_type) for part in read() for node in part.get_nodes()]
