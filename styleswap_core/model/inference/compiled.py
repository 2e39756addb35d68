"""`torch.compile` around a baked generator, where it works; the module as it is where it does not.

Compiled, the steps between the convolutions (concatenation, masking, bias, up-sampling of the picture) run as a few
fused loops. That needs a C++ compiler on a CPU, or Triton on a GPU, and a minute or more for the first picture of each
batch size; so it is for long runs, and off unless asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...errors import StyleSwapError
from ..generator import GeneratorOutput
from ..generator_config import GeneratorConfig
from .baked_generator import BakedGenerator
from .packed_conv import can_pack

MAX_COMPILED_BATCH = 8


class CompiledGenerator(nn.Module):
    """A BakedGenerator that runs compiled; forward, config, device, dtype and memory_bytes as there.

    Each batch size is compiled by itself, so batches run as pieces of 1, 2, 4 or 8. Where compilation fails at the first
    picture, it warns once and runs the module as it is from then on; `failed` then says why.
    """

    def __init__(self, baked: BakedGenerator, mode: str | None = None) -> None:
        """baked: not packed, since the compiler packs for itself; StyleSwapError otherwise.

        mode: of torch.compile on a GPU; by default "reduce-overhead", which uses CUDA graphs.
        """
        super().__init__()
        if baked.packed:
            raise StyleSwapError("a packed generator cannot be compiled; bake with packed=False")
        self.baked = baked
        self.failed: str | None = None
        self._run: Callable[[Tensor], GeneratorOutput] = _compile(baked, mode)

    @property
    def config(self) -> GeneratorConfig:
        """Of the generator."""
        return self.baked.config

    @property
    def device(self) -> torch.device:
        """Where crops have to be."""
        return self.baked.device

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and feature maps."""
        return self.baked.dtype

    def memory_bytes(self) -> int:
        """What its weights take; the compiler's packed copies are as large again."""
        return self.baked.memory_bytes() * (1 if self.failed else 2)

    def forward(self, aligned_crop: Tensor) -> GeneratorOutput:
        """As BakedGenerator's."""
        self.baked.check(aligned_crop)
        if self.failed is None:
            try:
                return self._run_compiled(aligned_crop)
            except torch.cuda.OutOfMemoryError:
                raise
            # What a missing or broken compiler raises differs between systems and versions of PyTorch.
            except (RuntimeError, ImportError, OSError) as error:
                self._give_up(error)
        return self.baked(aligned_crop)

    def _run_compiled(self, aligned_crop: Tensor) -> GeneratorOutput:
        limit = min(MAX_COMPILED_BATCH, self.baked.chunk_size)
        parts = []
        with torch.no_grad():
            for piece in aligned_crop.split(_pieces(len(aligned_crop), limit)):
                # Copied: under CUDA graphs the next call overwrites what this one returns.
                parts.append([field.clone() for field in self._run(piece)])
        return GeneratorOutput(*(torch.cat(fields) for fields in zip(*parts, strict=True)))

    def _give_up(self, error: Exception) -> None:
        self.failed = " ".join(str(error).split())[:200] or type(error).__name__
        warnings.warn(f"torch.compile does not work here, running without: {self.failed}", stacklevel=3)
        if self.device.type == "cpu" and can_pack(self.dtype):
            self.baked.pack()


def _pieces(batch: int, limit: int) -> list[int]:
    """Sizes that are powers of two, at most `limit`, and add up to `batch`: 8, 8, 2, 1 for 19."""
    pieces = []
    while batch:
        size = 1 << min(batch, limit).bit_length() - 1
        pieces.append(size)
        batch -= size
    return pieces


def _compile(baked: BakedGenerator, mode: str | None) -> Callable[[Tensor], GeneratorOutput]:
    if baked.device.type != "cpu":
        return torch.compile(baked.run, mode=mode or "reduce-overhead", dynamic=False)
    # Frozen weights are constants to the compiler: it packs them and fuses what follows a convolution into it.
    return torch.compile(baked.run, options={"freezing": True}, dynamic=False)
