"""Device, precision and thread selection, and what not every device can do."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F

from .errors import StyleSwapError

Task = Literal["training", "inversion", "inference"]

PRECISION_NAMES = {
    "fp32": torch.float32,
    "float32": torch.float32,
    "bf16": torch.bfloat16,
    "bfloat16": torch.bfloat16,
    "fp16": torch.float16,
    "float16": torch.float16,
}
# Compute capability from which NVIDIA GPUs have bfloat16 matrix units (Ampere); before, bfloat16 is emulated.
_AMPERE = (8, 0)
_thread_limit = 0


class Precision(NamedTuple):
    """Data type of convolutions and matrix products, and a phrase that says why it was chosen."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """Name of the data type, such as `bfloat16`."""
        return str(self.dtype).removeprefix("torch.")

    def autocast(self, device: torch.device) -> torch.autocast:
        """Context in which float32 networks run in bfloat16, if that is the data type; otherwise it has no effect."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)


def choose_device(name: str | None = None) -> torch.device:
    """Device of this name; without a name, CUDA if available, otherwise the CPU.

    Raises:
        StyleSwapError: An unknown name, or a device that this machine does not have.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    # AssertionError from builds without CUDA, otherwise RuntimeError.
    except (RuntimeError, AssertionError) as error:
        raise StyleSwapError(
            f"expected a device of this machine, such as cpu or cuda, got {name!r}; use cpu"
        ) from error
    return device


def choose_precision(device: torch.device, task: Task, requested: str = "auto") -> Precision:
    """Precision of the networks on a device: the one rule for training, inversion and inference.

    "auto" selects bfloat16 only on hardware with instructions for it; elsewhere it is emulated and slower than float32.
    It has the range of float32, and therefore needs no loss scaling. float16 is selected only for inference on NVIDIA
    GPUs without bfloat16.

    Args:
        device: Device of the networks.
        task: What they are used for.
        requested: "auto", or a key of PRECISION_NAMES, which is used unchanged.

    Raises:
        StyleSwapError: An unknown name.
    """
    if requested != "auto":
        if requested not in PRECISION_NAMES:
            raise StyleSwapError(
                f"expected one of the precisions auto, {', '.join(PRECISION_NAMES)}, got {requested!r}"
            )
        return Precision(PRECISION_NAMES[requested], "as requested")
    if device.type == "cuda":
        return _cuda_precision(device, task)
    if device.type == "xpu":
        return Precision(torch.bfloat16, "this XPU has bfloat16 instructions")
    if device.type == "cpu" and _cpu_has_bfloat16():
        return Precision(torch.bfloat16, "this CPU has bfloat16 instructions")
    if device.type == "cpu":
        return Precision(torch.float32, "this CPU has no bfloat16 instructions")
    return Precision(torch.float32, f"the speed of bfloat16 on {device.type} depends on chip and system")


def describe_precision(device: torch.device, task: Task, requested: str = "auto") -> str:
    """Sentence about the precision that `choose_precision` selects, and why."""
    precision = choose_precision(device, task, requested)
    return f"precision on {device}: {precision.name}, {precision.reason}"


def _cuda_precision(device: torch.device, task: Task) -> Precision:
    # torch.cuda.is_bf16_supported() is true for emulation as well.
    major, minor = torch.cuda.get_device_capability(device)
    capability = f"compute capability {major}.{minor}"
    if (major, minor) >= _AMPERE:
        return Precision(torch.bfloat16, f"this GPU has bfloat16 instructions ({capability})")
    if task == "inference":
        return Precision(torch.float16, f"this GPU has float16 but no bfloat16 instructions ({capability})")
    return Precision(torch.float32, f"this GPU has no bfloat16 instructions ({capability})")


def _cpu_has_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions and this build of PyTorch uses them, through oneDNN."""
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    # torch has no public function for this; float32 is the safe choice where the private ones are missing. oneDNN
    # counts AVX-512 without its bfloat16 extension as support, hence both checks. On ARM, its answer is exact.
    if platform.machine().lower() in ("aarch64", "arm64"):
        return True
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def usable_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Let this process, one of several workers, use so many CPU threads for each network."""
    global _thread_limit
    _thread_limit = count
    torch.set_num_threads(count)


def thread_limit() -> int:
    """Number of CPU threads for each network in this process; 0 if the libraries may choose it."""
    return _thread_limit


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which torch's CPU operations run in one thread.

    For sequences of small operations, such as rendering: synchronizing threads after each of them costs more than they
    gain, especially on a busy machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def grid_sample(
    image: torch.Tensor,
    grid: torch.Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> torch.Tensor:
    """PyTorch's function of this name, on the CPU where the device lacks the mode or the padding.

    On MPS, versions of PyTorch lack "bicubic" and "border". CPU and GPU share their memory there.
    """
    if _can_sample(image.device.type, mode, padding_mode):
        return F.grid_sample(image, grid, mode, padding_mode, align_corners)
    return F.grid_sample(image.cpu().float(), grid.cpu().float(), mode, padding_mode, align_corners).to(image)


@cache
def _can_sample(kind: str, mode: str, padding_mode: str) -> bool:
    """Whether a kind of device has a mode and a padding; tried once, as it depends on the version of PyTorch."""
    if kind in ("cpu", "cuda"):
        return True
    try:
        image, grid = torch.zeros(1, 1, 2, 2, device=kind), torch.zeros(1, 1, 1, 2, device=kind)
        F.grid_sample(image, grid, mode, padding_mode, align_corners=False)
    except RuntimeError:
        return False
    return True
