"""The text that marks a result as a swap, for any network."""

from collections.abc import Sequence

from ..identities.identity import Identity
from ..identities.provenance import swap_mark
from .guest_network import GuestNetwork
from .network import SwappingNetwork


def mark_of(network: SwappingNetwork, identities: Sequence[Identity], strength: float) -> str:
    """Text of `swap_mark` for a network, which names those of other programs."""
    foreign = network.name if isinstance(network, GuestNetwork) else ""
    return swap_mark(network.sha256, identities, strength, foreign)
