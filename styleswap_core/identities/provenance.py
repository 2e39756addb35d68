"""Provenance of swapped pictures, for their metadata."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .identity import Identity

MARK = "styleswap"
"""PNG text key that marks a picture as a swap."""

EDITED = "edited; part of another picture pasted in"
"""Text that marks a picture that was changed by unknown means."""

# Between statements, how a swap is stated, and characters of each statement of a file that anyone may have written.
_JOINT, _SWAPPED, _MAX_PART = " | ", "face swapped", 1000
# Digits of a model's hash in the text.
_SHORT = 16
_TEXT = re.compile(r"face swapped; model (.*?) ?([0-9a-f]{16}); identity ([0-9a-f, ]*); strength ([0-9.e+-]+)")


@dataclass(frozen=True)
class SwapFacts:
    """What is stated about a swap.

    Attributes:
        model_sha256: Hash of the model's file, in full or its first 16 digits.
        identities: Fingerprints of the source identities.
        strength: Strength of the swap.
        model: Name of the model if it is a network of another program.
    """

    model_sha256: str
    identities: tuple[str, ...]
    strength: float
    model: str = ""

    @property
    def text(self) -> str:
        """One line that marks a picture as a swap."""
        model = f"{self.model} {self.model_sha256[:_SHORT]}".strip()
        return f"{_SWAPPED}; model {model}; identity {', '.join(self.identities)}; strength {self.strength:g}"

    @classmethod
    def of(cls, model_sha256: str, identities: "Sequence[Identity]", strength: float, model: str = "") -> "SwapFacts":
        """Facts about a swap, with each identity once; arguments as for the attributes."""
        people = tuple(dict.fromkeys(identity.fingerprint for identity in identities))
        return cls(model_sha256, people, strength, model)

    @classmethod
    def parse(cls, text: str) -> "SwapFacts | None":
        """Inverse of `text`; None for any other text."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            return None
        model, sha256, identities, strength = found.groups()
        try:
            return cls(sha256, tuple(identities.split(", ")), float(strength), model)
        except ValueError:
            return None


@dataclass(frozen=True)
class EditFacts:
    """What is stated about a picture with pasted parts, such as crops of faces, that were changed by unknown means.

    Attributes:
        before: What is known of the picture and the parts, each statement once: their texts as of `SwapFacts`.
    """

    before: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line that marks the picture as edited, and with it all that was stated before."""
        return _JOINT.join([*self.before, EDITED])

    @property
    def swapped(self) -> bool:
        """Whether a face is known to be swapped."""
        return any(one.startswith(_SWAPPED) for one in self.before)

    @classmethod
    def of(cls, marks: "Sequence[str]") -> "EditFacts":
        """Facts about a picture and parts with these marks."""
        parts = [part.strip()[:_MAX_PART] for mark in marks for part in mark.split(_JOINT)]
        return cls(tuple(dict.fromkeys(part for part in parts if part not in ("", EDITED))))
