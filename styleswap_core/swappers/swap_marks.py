"""What marks a result as a swap, for any network."""

from collections.abc import Sequence

from ..identities.identity import Identity
from ..identities.provenance import SwapFacts
from .guest_network import GuestNetwork
from .network import SwappingNetwork


def swap_facts(network: SwappingNetwork, identities: Sequence[Identity], strength: float) -> SwapFacts:
    """Facts about a swap with a network, which name those of other programs."""
    foreign = network.name if isinstance(network, GuestNetwork) else ""
    return SwapFacts.of(network.sha256, identities, strength, foreign)


def mark_of(network: SwappingNetwork, identities: Sequence[Identity], strength: float) -> str:
    """Text that marks a picture as a swap."""
    return swap_facts(network, identities, strength).text
