"""Name of the machine that a benchmark runs on, and the instruction sets that its libraries use."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import torch

LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Environment variables that limit the instruction sets of PyTorch, oneDNN and MKL, such as `avx2`, `AVX2`, `AVX2`.

Nothing limits ONNX Runtime, which uses what the processor has."""

# Makes each library say which instructions it uses.
_PROBE = """
import torch
print("PyTorch:", torch.backends.cpu.get_cpu_capability())
torch.zeros(1, 16, 8, 8).to_mkldnn()
torch.mm(torch.zeros(64, 64), torch.zeros(64, 64))
"""
_SAID = {
    "PyTorch": re.compile(r"^PyTorch: (.+)$", re.MULTILINE),
    "oneDNN": re.compile(r"^onednn_verbose.*,cpu,isa:(.+)$", re.MULTILINE),
    "MKL": re.compile(
        r"^MKL_VERBOSE oneMKL.* for Intel\(R\) 64 architecture (.+?)(?:, Lnx|, Win|, OSX|$)", re.MULTILINE
    ),
}
# The largest set first; oneDNN calls AVX-512 of newer processors AVX10.
_SETS = (
    ("AMX", re.compile("AMX", re.IGNORECASE)),
    ("AVX-512", re.compile("AVX-?512|AVX10", re.IGNORECASE)),
    ("AVX2", re.compile("AVX-?2", re.IGNORECASE)),
    ("AVX", re.compile("AVX", re.IGNORECASE)),
)


def machine_name(device: str) -> str:
    """The GPU for "cuda"; otherwise the processor and the instruction set that torch uses."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}"


def processor_name() -> str:
    """The processor's name; with its family and model where a hypervisor hides which one it is."""
    facts = _processor_facts()
    name = facts.get("model name", platform.processor())
    if facts and not re.search(r"\d", name):
        name += f" (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"
    return name


def instruction_sets() -> dict[str, str]:
    """Largest instruction set that each library uses in this environment, as it says itself, and that of the processor.

    A library that says nothing, such as MKL where PyTorch is built without it, is left out.
    """
    environment = {**os.environ, "ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True, check=True)
    used = {library: largest_set(found[1]) for library, said in _SAID.items() if (found := said.search(done.stdout))}
    flags = _processor_facts().get("flags", "")
    return used | ({"processor": largest_set(flags)} if flags else {})


def largest_set(text: str) -> str:
    """The largest instruction set that a text names, or the text itself if it names none that is known."""
    return next((name for name, pattern in _SETS if pattern.search(text)), text.strip())


def limits() -> dict[str, str]:
    """Values of those of LIMITS that are set."""
    return {name: os.environ[name] for name in LIMITS if name in os.environ}


def _processor_facts() -> dict[str, str]:
    """What Linux states about the first core; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
