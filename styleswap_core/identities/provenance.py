"""Provenance of swapped pictures, for their metadata."""

from collections.abc import Sequence

from .identity import Identity

MARK = "styleswap"
"""PNG text key that marks a picture as a swap."""


def swap_mark(model_sha256: str, identities: Sequence[Identity], strength: float) -> str:
    """Text that marks a picture as a swap, with the model, the identities and the strength."""
    people = ", ".join(dict.fromkeys(identity.fingerprint for identity in identities))
    return f"face swapped; model {model_sha256[:16]}; identity {people}; strength {strength:g}"
