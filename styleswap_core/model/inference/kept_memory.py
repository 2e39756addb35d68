"""The memory of feature maps on a CPU: kept by the process from picture to picture, instead of fetched anew."""

import platform
import threading
from contextlib import suppress

import torch
from torch import Tensor

_KEPT_BLOCKS, _KEPT_BLOCK = 24, (32 << 20) - (64 << 10)
_RESERVED_BLOCKS, _RESERVED_BLOCK = 10, 24 << 20
_PIN_BLOCK, _PIN_TRIES = 4 << 20, 16  # never touched, so that it takes no memory
_kept = threading.local()


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of feature maps instead of fetching zeroed pages for every one, up to half of a batch's time.

    Its allocator adapts to the largest block (32 MiB at most) that it fetched and that was freed: smaller ones are kept from
    then on, up to twice its size (mallopt(3), M_MMAP_THRESHOLD). So such blocks are taken, never touched, and freed: several,
    since it learns nothing from those that fit into what it has. What lies free at the end of its memory goes back to the
    system all the same, and with it most of what a batch of float32 maps needs, but never what lies below a block in use. So
    as much is taken and freed below a small block that stays, once for each thread that bakes, since threads have memory of
    their own. Other allocators have other ways, and are left alone.
    """
    if hasattr(_kept, "pin") or platform.libc_ver()[0] != "glibc":
        return
    _kept.pin = None
    # Under a limit on addresses there may be no room: all works without, too.
    with suppress(RuntimeError):
        _kept.pin = _pinned_above_reserve()


def _pinned_above_reserve() -> Tensor:
    kept = [torch.empty(_KEPT_BLOCK, dtype=torch.uint8) for _ in range(_KEPT_BLOCKS)]
    del kept
    reserved = [torch.empty(_RESERVED_BLOCK, dtype=torch.uint8) for _ in range(_RESERVED_BLOCKS)]
    end = max(block.data_ptr() for block in reserved)
    # Those that fill gaps further below come free again with the list.
    pins = []
    while len(pins) < _PIN_TRIES and (not pins or pins[-1].data_ptr() < end):
        pins.append(torch.empty(_PIN_BLOCK, dtype=torch.uint8))
    return pins[-1]
