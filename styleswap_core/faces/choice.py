"""Which faces of a picture are meant, and which of several people each of them becomes.

Every rule gives *places*: place 0, 1, ... of the list of source identities. A place whose face is not in the picture
is named in words instead, so that a report can say what happened to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import StyleSwapError
from .detected import FACE_ORDERS, DetectedFace, parse_indices

RULES = ("all", "largest", "by index", "by likeness")


@dataclass(frozen=True, eq=False)
class FaceChoice:
    """A user's choice of faces.

    Attributes:
        rule: one of RULES.
        order: how the faces of a picture are numbered, one of `FACE_ORDERS`.
        indices: for "by index", numbers in that order; the k-th of them is place k.
        references: for "by likeness", embeddings (512,), L2-normalized; the k-th of them is place k.
        likeness: for "by likeness", the least cosine to a reference, -1..1.

    Raises:
        StyleSwapError: an unknown rule or order, or a rule without what it needs.
    """

    rule: str = "all"
    order: str = "left-right"
    indices: tuple[int, ...] = ()
    references: tuple[np.ndarray, ...] = ()
    likeness: float = 0.3

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise StyleSwapError(f"expected a choice of faces out of {', '.join(RULES)}, got {self.rule!r}")
        if self.order not in FACE_ORDERS:
            raise StyleSwapError(f"expected a face order out of {', '.join(FACE_ORDERS)}, got {self.order!r}")
        if self.rule == "by index" and not self.indices:
            raise StyleSwapError("a choice by index needs face numbers such as 0 or 0,2; write them")
        if self.rule == "by likeness" and not self.references:
            raise StyleSwapError("a choice by likeness needs a reference identity; connect one to reference")

    @classmethod
    def by_index(cls, text: str, order: str = "left-right") -> "FaceChoice":
        """From what a user wrote: "0" or "0,2"; a number that is written twice counts once."""
        return cls("by index", order, tuple(dict.fromkeys(parse_indices(text))))

    @classmethod
    def parse(cls, faces: str | Sequence[int], order: str = "largest") -> "FaceChoice":
        """Choice from its short form: "largest", "all", "0,2", or [0, 2].

        Raises:
            StyleSwapError: Anything else.
        """
        if isinstance(faces, str) and faces in ("largest", "all"):
            return cls(faces, order)
        indices = parse_indices(faces) if isinstance(faces, str) else list(faces)
        return cls("by index", order, tuple(dict.fromkeys(int(index) for index in indices)))

    @property
    def needs_embeddings(self) -> bool:
        """Whether the faces must come with `id_embedding`."""
        return self.rule == "by likeness"

    def pick(self, faces: Sequence[DetectedFace]) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        """(place, face) of each chosen face, and a sentence for each wanted face that is not there.

        Args:
            faces: of one picture, numbered in `order`.
        """
        if not faces:
            return [], ["no face found"]
        if self.rule == "all":
            return list(enumerate(faces)), []
        if self.rule == "largest":
            return [(0, min(faces, key=lambda face: (-face.area, face.index)))], []
        if self.rule == "by index":
            return self._pick_by_index(faces)
        return self._pick_by_likeness(faces)

    def _pick_by_index(self, faces: Sequence[DetectedFace]) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        by_index = {face.index: face for face in faces}
        picked = [(place, by_index[index]) for place, index in enumerate(self.indices) if index in by_index]
        found = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
        return picked, [f"no face {index}, {found} found" for index in self.indices if index not in by_index]

    def _pick_by_likeness(self, faces: Sequence[DetectedFace]) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        cosines = likeness_table(faces, self.references)
        pairs = match_by_likeness(cosines, self.likeness)
        missing = [
            f"no face like reference {place} (the closest has {cosines[place].max():.2f}, {self.likeness:.2f} is needed)"
            for place in range(len(self.references))
            if place not in pairs
        ]
        return [(place, faces[row]) for place, row in sorted(pairs.items())], missing


def likeness_table(faces: Sequence[DetectedFace], references: Sequence[np.ndarray]) -> np.ndarray:
    """Cosines (references, faces).

    Raises:
        StyleSwapError: the faces come without embeddings.
    """
    if any(face.id_embedding is None for face in faces):
        raise StyleSwapError("likeness needs a face analysis pack with a recognizer (such as w600k_r50.onnx)")
    return np.stack(references) @ np.stack([face.id_embedding for face in faces]).T


def match_by_likeness(cosines: np.ndarray, least: float) -> dict[int, int]:
    """Pair references with faces, the most alike pair first; nobody is in two pairs.

    Args:
        cosines: (references, faces).
        least: pairs below this cosine are not made.

    Returns:
        reference -> face, for those that found one.
    """
    pairs: dict[int, int] = {}
    # A stable sort: equal cosines go to the lower reference, then to the lower face.
    for flat in np.argsort(-cosines, axis=None, kind="stable"):
        reference, face = divmod(int(flat), cosines.shape[1])
        if cosines[reference, face] < least:
            break
        if reference not in pairs and face not in pairs.values():
            pairs[reference] = face
    return pairs
