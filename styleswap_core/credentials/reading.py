"""Reading and verification of Content Credentials, without asking any server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError, decoding, one_line
from ..io.files import require_file
from .c2pa_library import c2pa_library, offline_settings
from .signing_key import read_certificates

VALID, TRUSTED, INVALID = "valid", "trusted", "invalid"
_UNTRUSTED = "signingCredential.untrusted"
# Parameters of actions that repeat what other attributes hold.
_SHOWN_ELSEWHERE = ("ingredient", "ingredients", "description")
# Codes of C2PA that readers meet, in words; others are quoted.
_PROBLEMS = {
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.bmffHash.mismatch": "the file was changed after it was signed",
    "assertion.boxesHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "a statement was changed after it was signed",
    "claimSignature.mismatch": "the signature does not fit the statements",
    "signingCredential.expired": "the certificate had expired",
    "signingCredential.invalid": "the certificate is not one for Content Credentials",
}


@dataclass(frozen=True)
class Ingredient:
    """Something that a file was made from.

    Attributes:
        title: Its title.
        relationship: "parentOf" for what was edited, "inputTo" for what a model was given, "componentOf" for a part.
        instance_id: Identifier, which for an identity ends with its hash.
        signer: Whom the certificate of its own credentials names; empty if it has none.
        problems: What was wrong with those credentials when it was added.
    """

    title: str
    relationship: str
    instance_id: str
    signer: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """What was done to a file.

    Attributes:
        action: Its name, such as "c2pa.edited".
        agent: Program and version.
        source_type: Digital source type, the last part of its address.
        description: In words.
        parameters: Further parameters.
    """

    action: str
    agent: str
    source_type: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ContentCredentials:
    """Content Credentials of a file.

    Attributes:
        state: "valid" if file and signature fit each other, "trusted" if the signer is also known, "invalid" if not.
        problems: Why they are invalid.
        signer: Whom the certificate names.
        issuer: Organization that it names.
        time: When it was signed, as a timestamp authority states; empty without one.
        generator: Program that made the manifest.
        actions: What was done.
        ingredients: What it was made from.
        store: Everything, as c2pa-python reports it.
    """

    state: str
    problems: tuple[str, ...]
    signer: str
    issuer: str
    time: str
    generator: str
    actions: tuple[Action, ...]
    ingredients: tuple[Ingredient, ...]
    store: Mapping[str, Any] = field(repr=False)


def read_credentials(path: str | Path, trusted: str | Path | None = None) -> ContentCredentials | None:
    """Content Credentials of a file; None if it has none, or its format carries none.

    Args:
        path: Any file.
        trusted: PEM file with certificates of issuers to trust. Without it no signer is known.

    Raises:
        StyleSwapError: No such file, damaged credentials, ones that are on a server only, or a missing c2pa-python.
    """
    path = Path(path)
    require_file(path, "a file")
    text = _read_store(path, "" if trusted is None else _pem_text(Path(trusted)))
    if text is None:
        return None
    with decoding(f"the Content Credentials of {path} are damaged", "use the original file"):
        store = json.loads(text)
        return _credentials(store)


def _pem_text(path: Path) -> str:
    """Certificates as PEM text, of which c2pa-python ignores those that it cannot read."""
    certificates = read_certificates(path)
    from cryptography.hazmat.primitives.serialization import Encoding

    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in certificates)


def _read_store(path: Path, anchors: str) -> str | None:
    """Manifest store as JSON text; None if there is none."""
    c2pa = c2pa_library()
    with (
        decoding(f"the Content Credentials of {path} cannot be read", "use the original file"),
        c2pa.Context.from_dict(offline_settings(anchors)) as context,
        open(path, "rb") as stream,
    ):
        try:
            reader = c2pa.Reader("", stream, context=context)
        except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
            return None
        except c2pa.C2paError as error:
            if "remote manifest" not in str(error):
                raise
            raise StyleSwapError(
                f"the Content Credentials of {path} are on a server, and nothing is fetched ({one_line(error)}); read"
                " them with another program"
            ) from error
        with reader:
            return str(reader.json())


def _credentials(store: Mapping[str, Any]) -> ContentCredentials:
    manifests = store["manifests"]
    active = manifests[store["active_manifest"]]
    signature = active.get("signature_info") or {}
    failures = _failures((store.get("validation_results") or {}).get("activeManifest") or {})
    state = str(store.get("validation_state", INVALID)).lower()
    return ContentCredentials(
        state if state in (VALID, TRUSTED) else INVALID,
        failures,
        str(signature.get("common_name") or signature.get("issuer") or ""),
        str(signature.get("issuer") or ""),
        str(signature.get("time") or ""),
        _agent(next(iter(active.get("claim_generator_info") or []), active.get("claim_generator"))),
        tuple(map(_action, _all_actions(active))),
        tuple(_ingredient(one, manifests) for one in active.get("ingredients") or []),
        store,
    )


def _failures(results: Mapping[str, Any]) -> tuple[str, ...]:
    codes = [one["code"] for one in results.get("failure") or [] if one["code"] != _UNTRUSTED]
    return tuple(dict.fromkeys(_PROBLEMS.get(code, code) for code in codes))


def _all_actions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            found += assertion["data"].get("actions") or []
    return found


def _action(action: Mapping[str, Any]) -> Action:
    parameters = action.get("parameters") or {}
    return Action(
        str(action.get("action", "")),
        _agent(action.get("softwareAgent")),
        str(action.get("digitalSourceType") or "").rsplit("/", 1)[-1],
        str(parameters.get("description") or action.get("description") or ""),
        {name: value for name, value in parameters.items() if name not in _SHOWN_ELSEWHERE},
    )


def _agent(agent: Mapping[str, Any] | str | None) -> str:
    if isinstance(agent, Mapping):
        return f"{agent.get('name', '')} {agent.get('version') or ''}".strip()
    return agent or ""


def _ingredient(ingredient: Mapping[str, Any], manifests: Mapping[str, Any]) -> Ingredient:
    own = manifests.get(str(ingredient.get("active_manifest"))) or {}
    signature = own.get("signature_info") or {}
    return Ingredient(
        str(ingredient.get("title") or ""),
        str(ingredient.get("relationship") or ""),
        str(ingredient.get("instance_id") or ""),
        str(signature.get("common_name") or signature.get("issuer") or ""),
        _failures((ingredient.get("validation_results") or {}).get("activeManifest") or {}),
    )
