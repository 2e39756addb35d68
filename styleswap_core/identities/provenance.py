"""What a swapped picture says about itself, in its metadata."""

from collections.abc import Sequence

from .identity import Identity

MARK = "styleswap"
"""PNG text key of the sentence that says that a picture is a swap."""


def swap_mark(model_sha256: str, identities: Sequence[Identity], strength: float) -> str:
    """The sentence: that a face was swapped, by which model, for whom, how far."""
    people = ", ".join(dict.fromkeys(identity.fingerprint for identity in identities))
    return f"face swapped; model {model_sha256[:16]}; identity {people}; strength {strength:g}"
