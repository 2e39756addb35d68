"""What a class that runs a swapping network in its own way takes over from that network."""

import torch

from ..faces.recognizer_id import RecognizerId
from ..identities.identity import Identity
from .network import SwappingNetwork


class WrappedNetwork:
    """Base of classes that run a swapping network in their own way and share everything else with it.

    Attributes:
        network: The network.
    """

    network: SwappingNetwork

    @property
    def name(self) -> str:
        """Name for reports, such as "inswapper_128 (inswapper)"."""
        return self.network.name

    @property
    def size(self) -> int:
        """Edge length of its aligned crops in pixels."""
        return self.network.size

    @property
    def template(self) -> str:
        """Name of its crop template."""
        return self.network.template

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes; falsy if it takes those of any."""
        return self.network.recognizer

    @property
    def has_mask(self) -> bool:
        """Whether it predicts a mask."""
        return self.network.has_mask

    @property
    def phased(self) -> bool:
        """Whether the automatic resolution may run it in phases."""
        return self.network.phased

    @property
    def sha256(self) -> str:
        """SHA-256 of its file; empty if there is none."""
        return self.network.sha256

    @property
    def device(self) -> torch.device:
        """Device on which it runs."""
        return self.network.device

    def check(self, identity: Identity) -> None:
        """Check that an identity holds what the network needs; see `SwappingNetwork.check`.

        Raises:
            StyleSwapError: It does not.
        """
        self.network.check(identity)

    def notice(self, rendered: bool = False) -> str | None:
        """Limitation of the network that a user should know, or None; see `SwappingNetwork.notice`."""
        return self.network.notice(rendered)
