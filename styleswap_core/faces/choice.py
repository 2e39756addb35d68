"""Choice of faces: which faces of a picture are swapped, and which of several identities each one gets.

Every rule assigns faces to *places*: place k stands for the k-th source identity. Places without a face are reported.
In turn, the places are those of the faces that are there, and the identities start again after the last one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np

from ..errors import StyleSwapError, counted
from .detected import DetectedFace, check_order

RULES = ("all", "largest", "by index", "by likeness", "everyone but")
REFERENCE_RULES = ("by likeness", "everyone but")
GENDER_CHOICES = ("any", "female", "male")

# A pixel of a mask counts as white from the first value on, and a face from that share of its box.
_WHITE, _COVERED = 0.5, 0.5


@dataclass(frozen=True, eq=False)
class FaceChoice:
    """A user's choice of faces.

    Attributes:
        rule: One of RULES.
        order: How the faces of a picture are numbered, one of `FACE_ORDERS`.
        indices: For "by index": face numbers in that order; the k-th is place k. Of sources, one may
            occur several times.
        references: For "by likeness": embeddings (D,), L2-normalized; the k-th is place k. For "everyone but": those of
            the people who stay as they are.
        likeness: For these two rules: minimum cosine similarity between a face and a reference, -1..1.
        gender: Only faces of this gender are considered, one of GENDER_CHOICES.
        ages: Only faces of this age in years are considered, from the first to the second; None for any age.
        in_turn: Whether several identities go to the chosen faces that are there one after the other, and start again
            after the last one. Otherwise the k-th identity belongs to the k-th chosen face, even if that is missing.
            No effect on "by likeness", where each identity belongs to a reference.

    Raises:
        StyleSwapError: An unknown rule, order or gender, an empty range of ages, or a rule without what it needs.
    """

    rule: str = "all"
    order: str = "largest"
    indices: tuple[int, ...] = ()
    references: tuple[np.ndarray, ...] = ()
    likeness: float = 0.3
    gender: str = "any"
    ages: tuple[int, int] | None = None
    in_turn: bool = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise StyleSwapError(f"expected one of the face choices {', '.join(RULES)}, got {self.rule!r}")
        check_order(self.order)
        if self.gender not in GENDER_CHOICES:
            raise StyleSwapError(f"expected a gender out of {', '.join(GENDER_CHOICES)}, got {self.gender!r}")
        if self.ages is not None and self.ages[0] > self.ages[1]:
            raise StyleSwapError(f"expected a range of ages, got {self.ages[0]} to {self.ages[1]}; exchange the two")
        if self.rule == "by index" and not self.indices:
            raise StyleSwapError("a choice by index needs face numbers such as 0 or 0,2; enter them")
        if self.needs_embeddings and not self.references:
            raise StyleSwapError(f"the face choice {self.rule!r} needs a reference identity; connect one to reference")

    @classmethod
    def by_index(cls, faces: str | Sequence[SupportsIndex], order: str = "largest") -> "FaceChoice":
        """Choice from face numbers: "0", "0,2" or [0, 2]; a number that occurs twice counts once.

        Raises:
            StyleSwapError: Anything else.
        """
        return cls("by index", order, tuple(dict.fromkeys(parse_numbers(faces))))

    @classmethod
    def parse(cls, faces: str | Sequence[SupportsIndex], order: str = "largest") -> "FaceChoice":
        """Choice from its short form: "largest", "all", "0,2", or [0, 2].

        Raises:
            StyleSwapError: Anything else.
        """
        if isinstance(faces, str) and faces in ("largest", "all"):
            return cls(faces, order)
        return cls.by_index(faces, order)

    @property
    def needs_embeddings(self) -> bool:
        """Whether the faces must come with `id_embedding`."""
        return self.rule in REFERENCE_RULES

    @property
    def takes_every_face(self) -> bool:
        """Whether any number of faces is chosen, and each gets the next identity."""
        return self.rule in ("all", "everyone but")

    @property
    def deals_in_turn(self) -> bool:
        """Whether the identities go to the faces that are there in turn."""
        return self.in_turn and self.rule != "by likeness"

    @property
    def needs_gender_age(self) -> bool:
        """Whether the faces must come with `gender` and `age`."""
        return self.gender != "any" or self.ages is not None

    def pick(
        self, faces: Sequence[DetectedFace], only_in: np.ndarray | None = None
    ) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        """Place and face of each chosen face, and one sentence per place without a face.

        Args:
            faces: The faces of one picture, numbered in `order`.
            only_in: Mask (H, W), 0..1, of the picture: only faces in it are considered, see `lies_in`.
        """
        picked, problems = self._pick(faces, only_in)
        return self._placed(picked), problems

    def _pick(
        self, faces: Sequence[DetectedFace], only_in: np.ndarray | None
    ) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        """`pick`, with the places that the faces have if none is missing."""
        if not faces:
            return [], ["no face found"]
        where = ""
        if only_in is not None:
            found, where, faces = len(faces), " in the mask", [face for face in faces if lies_in(face, only_in)]
            if not faces:
                return [], [f"no face is in the mask, {counted(found, 'face')} found"]
        if self.needs_gender_age:
            found, faces = len(faces), [face for face in faces if self._is_wanted(face)]
            if not faces:
                return [], [f"no face{where} is {self._wanted()}, {counted(found, 'face')} found"]
        if self.rule == "all":
            return list(enumerate(faces)), []
        if self.rule == "largest":
            return [(0, min(faces, key=lambda face: (-face.area, face.index)))], []
        if self.rule == "by index":
            return self._pick_by_index(faces, where)
        return self._pick_by_likeness(faces) if self.rule == "by likeness" else self._pick_others(faces)

    def pick_certain(
        self, faces: Sequence[DetectedFace], only_in: np.ndarray | None = None
    ) -> tuple[list[tuple[int, DetectedFace]], list[str], list[str]]:
        """`pick` among the faces that are not doubtful, and one sentence per doubtful face that it would pick.

        A doubtful face that is requested by its index, and a picture with doubtful faces only, are problems.

        Args:
            faces: The faces of one picture, numbered in `order`.
            only_in: As for `pick`.
        """
        picked, problems = self.pick(faces, only_in)
        doubts = [f"face {face.index} is doubtful ({face.doubtful})" for _, face in picked if face.doubtful]
        if not doubts:
            return picked, problems, []
        certain = [face for face in faces if not face.doubtful]
        if self.rule == "by index" or not certain:
            return self._placed([pair for pair in picked if not pair[1].doubtful]), problems + doubts, []
        return *self.pick(certain, only_in), doubts

    def pick_sources(self, faces: Sequence[DetectedFace]) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        """`pick` of source faces: doubtful ones count only if they are chosen by index, or if there are no others."""
        # A doubtful face is better than none.
        certain = [face for face in faces if not face.doubtful]
        return self.pick(faces if self.rule == "by index" else certain or faces)

    def _placed(self, picked: list[tuple[int, DetectedFace]]) -> list[tuple[int, DetectedFace]]:
        """The faces with their places; in turn, a missing face has none."""
        return list(enumerate(face for _, face in picked)) if self.deals_in_turn else picked

    def _is_wanted(self, face: DetectedFace) -> bool:
        """Whether gender and age of a face are the wanted ones."""
        if self.gender not in ("any", face.gender):
            return False
        return self.ages is None or (face.age is not None and self.ages[0] <= face.age <= self.ages[1])

    def _wanted(self) -> str:
        """The wanted gender and age, such as "female and 20 to 40 years old"."""
        parts = [] if self.gender == "any" else [self.gender]
        parts += [] if self.ages is None else [f"{self.ages[0]} to {self.ages[1]} years old"]
        return " and ".join(parts)

    def _pick_by_index(
        self, faces: Sequence[DetectedFace], where: str
    ) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        by_index = {face.index: face for face in faces}
        picked = [(place, by_index[index]) for place, index in enumerate(self.indices) if index in by_index]
        wanted = f" that is {self._wanted()}" if self.needs_gender_age else ""
        found = f"{counted(len(faces), 'such face' if wanted else 'face')}{where} found"
        return picked, [
            f"no face {index}{wanted}, {found}" for index in dict.fromkeys(self.indices) if index not in by_index
        ]

    def _pick_by_likeness(self, faces: Sequence[DetectedFace]) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        cosines = likeness_table(faces, self.references)
        pairs = match_by_likeness(cosines, self.likeness)
        missing = [
            f"no face like reference {place} (best similarity {cosines[place].max():.2f}, needed {self.likeness:.2f})"
            for place in range(len(self.references))
            if place not in pairs
        ]
        return [(place, faces[row]) for place, row in sorted(pairs.items())], missing

    def _pick_others(self, faces: Sequence[DetectedFace]) -> tuple[list[tuple[int, DetectedFace]], list[str]]:
        closest = likeness_table(faces, self.references).max(axis=0)
        others = [face for face, cosine in zip(faces, closest, strict=True) if cosine < self.likeness]
        return list(enumerate(others)), [] if others else [
            f"no other face than those of the references, {counted(len(faces), 'face')} found"
        ]


Faces = FaceChoice | str | Sequence[int]
"""Faces of a picture: a `FaceChoice`, or "largest", "all", "0,2", or [0, 2], numbered from the largest face."""


def lies_in(face: DetectedFace, mask: np.ndarray) -> bool:
    """Whether a face lies in a mask: the middle of its box is white, or at least half of the box.

    Args:
        face: The face.
        mask: (H, W), 0..1, of its picture; what lies beyond the picture is black.
    """
    x0, y0, x1, y1 = face.box.astype(np.float64)
    height, width = mask.shape
    x, y = math.floor((x0 + x1) / 2), math.floor((y0 + y1) / 2)
    if 0 <= x < width and 0 <= y < height and mask[y, x] >= _WHITE:
        return True
    columns, rows = (slice(max(round(low), 0), max(round(high), 0)) for low, high in ((x0, x1), (y0, y1)))
    return float(mask[rows, columns].sum()) >= _COVERED * face.area > 0


def select_faces(
    faces: Sequence[DetectedFace], choice: str | Sequence[SupportsIndex] | FaceChoice = "largest"
) -> list[DetectedFace]:
    """Faces of a choice, in its order; all of them must exist.

    Doubtful faces count only if they are chosen by index, or if there are no others.

    Args:
        faces: The faces of one picture, as `FaceAnalyzer.detect` returns them.
        choice: The choice, or its short form, see `FaceChoice.parse`.

    Raises:
        StyleSwapError: No faces, an invalid choice, or a face that is not there.
    """
    if not faces:
        raise StyleSwapError("no face found; use a picture with a visible face, or lower the detection threshold")
    parsed = choice if isinstance(choice, FaceChoice) else FaceChoice.parse(choice)
    picked, problems = parsed.pick_sources(faces)
    if problems:
        by_number = parsed.rule == "by index" and not parsed.needs_gender_age
        remedy = f"use indices 0..{len(faces) - 1}" if by_number else "choose another face"
        raise StyleSwapError(f"{problems[0]}; {remedy}")
    return [face for _, face in picked]


def likeness_table(faces: Sequence[DetectedFace], references: Sequence[np.ndarray]) -> np.ndarray:
    """Cosine similarities (references, faces).

    Raises:
        StyleSwapError: The faces have no embeddings.
    """
    return np.stack(references) @ np.stack([face.require_embedding() for face in faces]).T


def match_by_likeness(cosines: np.ndarray, minimum: float) -> dict[int, int]:
    """Greedy assignment of faces to references, most similar pair first; each is used at most once.

    Args:
        cosines: (references, faces).
        minimum: Minimum cosine similarity of a pair.

    Returns:
        Reference -> face, for the references that have one.
    """
    pairs: dict[int, int] = {}
    # The sort is stable: equal similarities go to the lower reference, then to the lower face.
    for flat in np.argsort(-cosines, axis=None, kind="stable"):
        reference, face = divmod(int(flat), cosines.shape[1])
        if cosines[reference, face] < minimum:
            break
        if reference not in pairs and face not in pairs.values():
            pairs[reference] = face
    return pairs


def parse_numbers(faces: str | Sequence[SupportsIndex]) -> tuple[int, ...]:
    """Face numbers, of which one may occur several times, from "0", "0,2,0" or [0, 2, 0].

    Raises:
        StyleSwapError: Anything else.
    """
    error = StyleSwapError(f"expected faces as largest, all, or indices such as 0,2; got {faces!r}")
    if isinstance(faces, str):
        parts = [part.strip() for part in faces.split(",") if part.strip()]
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise error
        indices = [int(part) for part in parts]
    else:
        if not all(isinstance(index, int | np.integer) and not isinstance(index, bool) for index in faces):
            raise error
        indices = [int(index) for index in faces]
    if not indices:
        raise error
    return tuple(indices)
