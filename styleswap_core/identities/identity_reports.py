"""Reports on identities as lines of text: what one is made of, how alike two are, and what a blend resembles."""

from collections.abc import Sequence

from .averaging import cosine_similarity
from .identity import Identity

_SHOWN_DIGITS = 16


def describe_identity(identity: Identity) -> list[str]:
    """Lines that state where an identity comes from and what it holds."""
    lines = [
        f"recognizer {identity.recognizer}",
        f"sources: {len(identity.sources) or 'not recorded'}",
        f"identity {identity.fingerprint}",
    ]
    norm = identity.embedding_norm
    lines.append(f"length of the embedding before normalization: {f'{norm:.4g}' if norm else 'unknown'}")
    lines.append("no portrait" if identity.portrait is None else f"portrait of {identity.portrait.shape[-1]} px")
    if identity.w_plus is not None:
        lines.append(f"inverted for the model {identity.generator_sha256[:_SHOWN_DIGITS]}")
    return lines


def identity_card(identity: Identity) -> dict[str, object]:
    """The same as plain JSON values, with the hashes in full and None for what is unknown."""
    return {
        "identity": identity.fingerprint,
        "recognizer": identity.recognizer.name,
        "recognizer_sha256": identity.recognizer.sha256,
        "dimension": identity.recognizer.dimension,
        "sources": list(identity.sources),
        "embedding_norm": round(identity.embedding_norm, 4) or None,
        "portrait": identity.portrait is not None,
        "inverted_for": identity.generator_sha256 or None,
    }


def describe_likeness(first: Identity, second: Identity) -> str:
    """Sentence on the similarity of two identities.

    Raises:
        StyleSwapError: Different recognizers made them.
    """
    return (
        f"likeness {cosine_similarity(first, second):.3f} by the recognizer {first.recognizer} (1: identical faces,"
        " about 0: strangers; photographs of one person are in between)"
    )


def describe_blend(blend: Identity, parts: Sequence[tuple[str, Identity, float]]) -> list[str]:
    """Lines that state how much a blend resembles each of its parts.

    Args:
        blend: What `averaging.blend_identities` made.
        parts: Name, identity and weight of each part.
    """
    lines = [f"blend of {len(parts)} identities, recognizer {blend.recognizer}"]
    lines += [
        f"{name}: weight {weight:g}, likeness to the blend {cosine_similarity(blend, part):.2f}"
        for name, part, weight in parts
    ]
    if blend.w_plus is None and any(part.w_plus is not None for _, part, _ in parts):
        lines.append("note: w_plus was dropped, because not all identities were inverted for the same model")
    return lines
