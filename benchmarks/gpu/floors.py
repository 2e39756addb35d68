"""Floors: the least time that operations and bytes allow on a device, by its measured peaks."""

from functools import partial

import torch
from contenders import make_generator
from matrix_peak import measure_peak
from measure import time_runs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from styleswap_core.model.inference.baked_generator import bake

_COPIED = {"cpu": 2**24, "cuda": 2**30}


class _ConvolvedBytes(TorchDispatchMode):
    """Counts what convolutions and matrix products must read and write at least; all else could be fused into them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if any(word in func.name() for word in ("convolution", "aten::mm", "addmm", "bmm")):
            tensors = [value for value in tree_flatten((args, result))[0] if isinstance(value, Tensor)]
            self.elements += sum(value.numel() for value in tensors)
        return result


def count_work(name: str, batch: int) -> tuple[float, float]:
    """Floating-point operations, and elements read and written, of a baked generator for a batch."""
    generator, embedding = make_generator(name)
    size = generator.config.size
    baked = bake(generator, generator.broadcast(generator.mapping(embedding)), packed=False).to("meta")
    crops = torch.empty(batch, 3, size, size, device="meta")
    counter, moved = FlopCounterMode(display=False), _ConvolvedBytes()
    with torch.no_grad(), counter, moved:
        baked.run(crops)
    return float(counter.get_total_flops()), float(moved.elements)


def bandwidth(device: torch.device, seconds: float) -> float:
    """Bytes per second that a copy reads and writes."""
    source = torch.empty(_COPIED.get(device.type, 2**24), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / min(time_runs(lambda: target.copy_(source), seconds, device.type))


def peak(dtype: str, device: torch.device, seconds: float, sizes: tuple[int, ...] | None = None) -> float:
    """Floating-point operations per second of matrix products; `sizes` as in `measure_peak`."""
    timer, threads = partial(time_runs, device=device.type), torch.get_num_threads()
    return measure_peak(getattr(torch, dtype), device.type, threads, seconds, timer, sizes)["flops_per_second"]


def floor_seconds(work: tuple[float, float], dtype: str, peaks: dict[str, float], bytes_per_second: float) -> float:
    """The least time of a batch: that of its operations or of its bytes, whichever is longer."""
    flops, elements = work
    width = torch.empty(0, dtype=getattr(torch, dtype)).element_size()
    return max(flops / peaks[dtype], elements * width / bytes_per_second)
