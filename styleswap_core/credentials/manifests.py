"""What the credentials of a swap state, as c2pa-python takes it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from .. import __version__
from ..errors import StyleSwapError
from ..identities.provenance import EditFacts, SwapFacts

SIGNED_TYPES = {
    ".png": "image/png",
    ".apng": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jfif": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
}
"""Media types of the formats that can carry Content Credentials, by suffix."""

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source type of a picture of which a trained model made a part."""

EDITED = "c2pa.edited"
MODEL, MODEL_HASH, STRENGTH = "styleswap.model", "styleswap.model_sha256", "styleswap.strength"
"""Parameters of the action: the model's name if it is another program's, the hash of its file, the strength."""

IDENTITY_PREFIX = "styleswap:identity:"
"""Prefix of the instance id of an identity, which ends with its hash."""

TARGET = "target"
_AGENT = {"name": "StyleSwap", "version": __version__}


def check_signable(path: str | Path) -> None:
    """Check by its suffix that a result can carry Content Credentials, before it is made.

    Raises:
        StyleSwapError: It cannot.
    """
    if Path(path).suffix.lower() not in SIGNED_TYPES:
        raise StyleSwapError(
            f"{path} cannot be signed, since its format carries no Content Credentials; write one of"
            f" {', '.join(SIGNED_TYPES)}, or do not sign (--no-credentials)"
        )


def swap_manifest(facts: SwapFacts, identity_name: str = "", bare_target: bool = True) -> dict[str, Any]:
    """Definition of a manifest.

    Args:
        facts: What was swapped.
        identity_name: What to call the source person; empty to state only the hash.
        bare_target: Whether the definition lists the target; if not, it has to be added with its own manifest.
    """
    identities = [
        {
            "label": f"identity{number}",
            "title": identity_name or "source identity (hash only)",
            "instance_id": f"{IDENTITY_PREFIX}{fingerprint}",
            "relationship": "inputTo",
        }
        for number, fingerprint in enumerate(facts.identities)
    ]
    parameters = {
        "description": facts.text,
        MODEL_HASH: facts.model_sha256,
        STRENGTH: facts.strength,
        **({MODEL: facts.model} if facts.model else {}),
        "ingredientIds": [TARGET, *(identity["label"] for identity in identities)],
    }
    action = {"action": EDITED, "softwareAgent": _AGENT, "digitalSourceType": COMPOSITE, "parameters": parameters}
    return {
        "claim_generator_info": [_AGENT],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
        "ingredients": [*([_bare_target()] if bare_target else []), *identities],
    }


def edit_manifest(facts: EditFacts, bare_target: bool = True) -> dict[str, Any]:
    """Definition of a manifest of a picture with pasted parts that were changed by unknown means.

    No digital source type is stated unless a face is known to be swapped.

    Args:
        facts: What is known.
        bare_target: As for `swap_manifest`.
    """
    source = {"digitalSourceType": COMPOSITE} if facts.swapped else {}
    parameters = {"description": facts.text, "ingredientIds": [TARGET]}
    action = {"action": EDITED, "softwareAgent": _AGENT, **source, "parameters": parameters}
    return {
        "claim_generator_info": [_AGENT],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
        "ingredients": [_bare_target()] if bare_target else [],
    }


def _bare_target() -> dict[str, str]:
    return {**target_ingredient(), "instance_id": f"xmp:iid:{uuid4()}"}


def target_ingredient() -> dict[str, str]:
    """The target as an ingredient. Its file name, which may name somebody, is left out."""
    return {"label": TARGET, "title": "target", "relationship": "parentOf"}
