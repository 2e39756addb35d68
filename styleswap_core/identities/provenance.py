"""Provenance of swapped pictures, for their metadata."""

from collections.abc import Sequence

from .identity import Identity

MARK = "styleswap"
"""PNG text key that marks a picture as a swap."""


def swap_mark(model_sha256: str, identities: Sequence[Identity], strength: float, foreign: str = "") -> str:
    """Text that marks a picture as a swap, with the model, the identities and the strength.

    Args:
        model_sha256: Hash of the model's file.
        identities: The source identities.
        strength: Strength of the swap.
        foreign: Name of the model if it is a network of another program.
    """
    people = ", ".join(dict.fromkeys(identity.fingerprint for identity in identities))
    model = f"{foreign} {model_sha256[:16]}".strip()
    return f"face swapped; model {model}; identity {people}; strength {strength:g}"
