"""A generator under ComfyUI's memory manager: loaded when it is needed, moved away when others need the room."""

from collections.abc import Sequence
from pathlib import Path

import comfy.model_management as memory
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP

from ..styleswap_core.checkpoints import load_generator, model_sha256
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.model import GeneratorConfig, GeneratorOutput
from ..styleswap_core.swappers.baked_cache import BakedCache, BakedFaces
from .host import check_interrupted

# Feature maps that are alive at one time at the full resolution, each of twice the resolution's channels.
_MAPS_ALIVE = 6


class LoadedGenerator:
    """What Load StyleSwap Model gives.

    Attributes:
        name: as the user chose it.
        path: its file.
        sha256: of that file.
        metadata: free values of the file.
        patcher: ComfyUI's handle, which moves the weights.
        baked: the generator folded for the identities used last; dropped whenever ComfyUI unloads the generator.
    """

    def __init__(self, name: str, path: Path) -> None:
        generator, self.metadata = load_generator(path)
        self.name, self.path, self.sha256 = name, path, model_sha256(path)
        generator.eval().requires_grad_(False)
        self.patcher = ModelPatcher(generator, memory.get_torch_device(), memory.unet_offload_device())
        self.baked = BakedCache()
        self.patcher.add_callback(CallbacksMP.ON_DETACH, lambda *_: self.baked.clear())

    @property
    def config(self) -> GeneratorConfig:
        """Of the generator."""
        return self.patcher.model.config

    @property
    def on_cpu(self) -> bool:
        """Whether the processor runs it, not a device of its own."""
        return self.patcher.load_device.type == "cpu"

    def generate(
        self, crops: torch.Tensor, identities: Sequence[Identity], own: torch.Tensor | None, strength: float
    ) -> GeneratorOutput:
        """What `swap.generate_faces` gives, baked, on ComfyUI's device; where memory does not suffice, in halves.

        Raises:
            StyleSwapError: there is not memory enough for a single face.
        """
        check_interrupted()
        faces = len(crops)
        memory.load_models_gpu([self.patcher], memory_required=self._bytes_for(faces), force_full_load=True)
        try:
            run = BakedFaces(self.patcher.model, self.sha256, self.baked)
            return _on_cpu(run(crops, identities, own, strength))
        except memory.OOM_EXCEPTION as error:
            if faces == 1:
                raise StyleSwapError(
                    f"not memory enough on {self.patcher.load_device} for one face of {self.config.size} px; close other"
                    " programs, or start ComfyUI with --lowvram or --cpu"
                ) from error
        # Outside of the handler, which would keep the failed run's tensors alive.
        self.baked.clear()
        memory.soft_empty_cache()
        half = faces // 2
        parts = [
            self.generate(crops[rows], identities[rows], None if own is None else own[rows], strength)
            for rows in (slice(0, half), slice(half, faces))
        ]
        return GeneratorOutput(*(torch.cat(pair) for pair in zip(*parts, strict=True)))

    def _bytes_for(self, faces: int) -> int:
        # A baked generator is about as large as the generator itself.
        size = self.config.size
        return self.patcher.model_size() + faces * _MAPS_ALIVE * 2 * self.config.channels_at(size) * size * size * 4


def _on_cpu(output: GeneratorOutput) -> GeneratorOutput:
    return GeneratorOutput(*(tensor.float().cpu() for tensor in output))
