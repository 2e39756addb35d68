"""A generator under ComfyUI's memory manager: loaded on demand, unloaded when other models need the memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import comfy.model_management as memory
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP

from ..styleswap_core.checkpoints import load_generator, model_sha256
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.model.inference.baked_generator import BakedGenerator
from ..styleswap_core.swappers.baked_cache import BakedCache
from ..styleswap_core.swappers.halved_batches import run_halved
from ..styleswap_core.swappers.network import SwappedCrops
from ..styleswap_core.swappers.styleswap_network import StyleSwapNetwork
from ..styleswap_core.swappers.wrapped_network import WrappedNetwork
from .host import check_interrupted

# Estimated number of feature maps alive at once at full resolution, each with twice the channels of that resolution.
_MAPS_ALIVE = 6


class LoadedGenerator(WrappedNetwork):
    """Model that Load StyleSwap Model has loaded: a `swappers.network.SwappingNetwork` under ComfyUI's memory manager.

    Attributes:
        network: The network, on the device where ComfyUI keeps it at the moment.
        patcher: ComfyUI's handle on the weights, which moves them between devices.
        baked: Generators baked for the most recent identities; cleared when ComfyUI unloads the generator.
    """

    def __init__(self, name: str, path: Path) -> None:
        """Load a file.

        Args:
            name: Name of the file, or of the demo model, as shown in the menu.
            path: Path of the file.

        Raises:
            StyleSwapError: As for `load_generator`.
        """
        generator, metadata = load_generator(path)
        generator.eval().requires_grad_(False)
        self.patcher = ModelPatcher(generator, memory.get_torch_device(), memory.unet_offload_device())
        self.baked: BakedCache[BakedGenerator] = BakedCache()
        self.network: StyleSwapNetwork = StyleSwapNetwork(
            generator, sha256=model_sha256(path), metadata=metadata, cache=self.baked
        )
        self._name = name
        self.patcher.add_callback(CallbacksMP.ON_DETACH, lambda *_: self.baked.clear())

    @property
    def name(self) -> str:
        """Name of the file, or of the demo model, as shown in the menu."""
        return self._name

    @property
    def metadata(self) -> Mapping[str, object]:
        """Free-form metadata of the file."""
        return self.network.metadata

    @property
    def device(self) -> torch.device:
        """Device on which ComfyUI runs it."""
        return self.patcher.load_device

    def swap_crops(
        self,
        crops: torch.Tensor,
        identities: Sequence[Identity],
        own_embeddings: torch.Tensor | None = None,
        strength: float = 1.0,
    ) -> SwappedCrops:
        """Swap aligned crops on ComfyUI's device; the batch is halved when memory runs out.

        Arguments as for `SwappingNetwork.swap_crops`; the result is on the device of the crops.

        Raises:
            StyleSwapError: There is not enough memory for a single face.
        """

        def run(rows: slice) -> SwappedCrops:
            check_interrupted()
            needed = self._bytes_for(rows.stop - rows.start)
            memory.load_models_gpu([self.patcher], memory_required=needed, force_full_load=True)
            own = None if own_embeddings is None else own_embeddings[rows]
            output = self.network.swap_crops(crops[rows], identities[rows], own, strength)
            return SwappedCrops(*(values.to(crops.device, torch.float32) for values in output))

        return run_halved(
            run,
            slice(0, len(crops)),
            lambda parts: SwappedCrops(
                torch.cat([part.rgb for part in parts]), torch.cat([part.mask for part in parts])
            ),
            full=memory.OOM_EXCEPTION,
            problem=f"not enough memory on {self.device} for one face of {self.size} px; close other programs, or start"
            " ComfyUI with --lowvram or --cpu",
            free=self._free,
        )

    def _free(self) -> None:
        self.baked.clear()
        memory.soft_empty_cache()

    def _bytes_for(self, faces: int) -> int:
        # A baked generator is about as large as the generator itself.
        channels = self.network.generator.config.channels_at(self.size)
        return self.patcher.model_size() + faces * _MAPS_ALIVE * 2 * channels * self.size * self.size * 4
