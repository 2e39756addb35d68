"""A network of another program under ComfyUI's memory manager: opened on demand, closed when memory is needed."""

from collections.abc import Sequence
from pathlib import Path

import comfy.model_management as memory
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP

from ..styleswap_core.faces.execution_providers import CPU_PROVIDER
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.swappers.guest_files import GuestFile
from ..styleswap_core.swappers.guest_network import GuestNetwork
from ..styleswap_core.swappers.network import SwappedCrops, SwappingNetwork
from ..styleswap_core.swappers.wrapped_network import WrappedNetwork
from .host import check_interrupted
from .loaded_generator import LoadedGenerator

# Estimate of the feature maps that a network keeps for one face: this many channels at full resolution.
_CHANNELS_ALIVE = 768


class GuestPlaceholder(torch.nn.Module):
    """Stands for a session of ONNX Runtime in ComfyUI's memory manager, which handles torch modules only."""


class LoadedGuest(WrappedNetwork):
    """Network of another program that Load StyleSwap Model has loaded: a `swappers.network.SwappingNetwork`.

    ComfyUI's memory manager counts its weights. When it unloads them, the session of ONNX Runtime is closed; the next
    swap opens it again.

    Attributes:
        network: The network.
        patcher: ComfyUI's handle on it.
    """

    def __init__(self, file: GuestFile, folders: Sequence[Path], any_recognizer: bool = False) -> None:
        """Open a network.

        Args:
            file: Its file.
            folders: Folders that may hold further files that it needs.
            any_recognizer: See `GuestNetwork`.

        Raises:
            StyleSwapError: As for `GuestNetwork`.
        """
        device = memory.get_torch_device()
        placeholder = GuestPlaceholder()
        self.patcher = ModelPatcher(
            placeholder, device, memory.unet_offload_device(), size=file.form.summary.stored_bytes()
        )
        # Before the session is opened, so that there is room for it.
        memory.load_models_gpu([self.patcher], force_full_load=True)
        self.network: GuestNetwork = GuestNetwork(file, device, folders=folders, any_recognizer=any_recognizer)
        # On a CPU, where a batch may take seconds, networks mostly run face by face.
        self.network.cancel_by(check_interrupted)
        if self.network.provider == CPU_PROVIDER and device.type != "cpu":
            # It takes no memory of the device; 0 would mean unknown.
            self.patcher.size = 1
        self.patcher.add_callback(CallbacksMP.ON_DETACH, lambda *_: self.network.close())

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
        """Swap aligned crops; arguments as for `SwappingNetwork.swap_crops`, the result is on the CPU.

        Raises:
            StyleSwapError: As for `GuestNetwork.swap_crops`.
        """
        check_interrupted()
        needed = len(crops) * _CHANNELS_ALIVE * self.size * self.size * 4
        memory.load_models_gpu([self.patcher], memory_required=needed, force_full_load=True)
        output = self.network.swap_crops(crops, identities, own_embeddings, strength)
        return SwappedCrops(output.rgb.cpu(), output.mask.cpu())


LoadedModel = LoadedGenerator | LoadedGuest
"""What Load StyleSwap Model returns."""


def core_network(model: LoadedModel) -> SwappingNetwork:
    """The core's own object of a network of another program; a StyleSwap model as it is."""
    return model.network if isinstance(model, LoadedGuest) else model
