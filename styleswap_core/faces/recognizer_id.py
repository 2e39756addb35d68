"""Identity of a face recognizer: which recognizer made an embedding, and which one a model was trained with.

Embeddings of two recognizers have nothing in common, so everything that holds or takes embeddings carries a
`RecognizerId`. How much is known varies: a file on disk gives a name and a hash, other programs' face models only a
name, and models of older versions only a hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import StyleSwapError

_SHOWN_DIGITS = 16


@dataclass(frozen=True)
class RecognizerId:
    """A recognizer by name, file hash and embedding length. Falsy if neither name nor hash is known.

    Attributes:
        name: File name without suffix, such as "w600k_r50"; empty if unknown.
        sha256: SHA-256 of the file; empty if unknown.
        dimension: Length of its embeddings.
    """

    name: str = ""
    sha256: str = ""
    dimension: int = 512

    def __bool__(self) -> bool:
        return bool(self.name or self.sha256)

    def __str__(self) -> str:
        short = f"sha256 {self.sha256[:_SHOWN_DIGITS]}" if self.sha256 else ""
        if self.name and short:
            return f"{self.name} ({short})"
        return self.name or short or "unknown"

    def matches(self, other: "RecognizerId", bridge: "RecognizerId | None" = None) -> bool:
        """Whether both are the same recognizer.

        Hashes decide where both are known, otherwise names. If one side knows only its name and the other only its
        hash, nothing can be compared, and they match only through `bridge`.

        Args:
            other: The recognizer to compare with; the order of the two does not matter.
            bridge: A recognizer whose name and hash are both known, such as that of the face analysis in use.
        """
        if self.dimension != other.dimension:
            return False
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        if self.name and other.name:
            return self.name == other.name
        return bridge is not None and self.matches(bridge) and other.matches(bridge)


def check_recognizer(
    wanted: RecognizerId, given: RecognizerId, holder: str, advice: str, bridge: RecognizerId | None = None
) -> None:
    """Check that embeddings fit a model.

    Args:
        wanted: Recognizer that the model was trained with; if neither name nor hash is known, any will do.
        given: Recognizer of the embeddings.
        holder: Start of a clause that `given` ends, such as "the identity was made with".
        advice: What to do about it.
        bridge: See `RecognizerId.matches`.

    Raises:
        StyleSwapError: They do not fit.
    """
    if wanted and not wanted.matches(given, bridge):
        lengths = ""
        if wanted.dimension != given.dimension:
            lengths = f", whose embeddings have {given.dimension} numbers instead of {wanted.dimension}"
        raise StyleSwapError(
            f"this model was trained with the recognizer {wanted}, {holder} {given}{lengths}; {advice}"
        )


def common_recognizer(recognizers: Sequence[RecognizerId]) -> RecognizerId:
    """All that is known of the one recognizer behind several ids; their order does not matter.

    Raises:
        StyleSwapError: They are not all the same.
    """
    for position, one in enumerate(recognizers):
        for other in recognizers[:position]:
            if not any(one.matches(other, bridge) for bridge in recognizers):
                first, second = sorted((str(one), str(other)))
                raise StyleSwapError(
                    f"identities of different recognizers do not mix: {first} and {second}; extract both with the same"
                    " face analysis pack"
                )
    # The name that belongs to the hash comes first, since files of one content may have several names.
    ranked = sorted(recognizers, key=lambda one: (not (one.name and one.sha256), not one.name, one.name))
    sha256 = next((one.sha256 for one in recognizers if one.sha256), "")
    return RecognizerId(ranked[0].name, sha256, ranked[0].dimension)
