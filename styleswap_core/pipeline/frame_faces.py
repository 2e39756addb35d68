"""The faces of a frame that are swapped, and the identity that each of them gets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..compositing.pixels import Picture
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace
from ..identities.identity import Identity


@dataclass(frozen=True, eq=False)
class FrameFaces:
    """Faces of a frame.

    Attributes:
        chosen: The faces to swap, each with the identity that it gets.
        found: Number of faces in the frame.
        problems: One sentence per requested face that is not swapped.
        left_out: One sentence per face that would have been chosen, but is doubtful or behind another one.
    """

    chosen: list[tuple[DetectedFace, Identity]]
    found: int
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def advice(self) -> str:
        """The first problem, and what to do about it."""
        if not self.found:
            return f"{self.problems[0]}; use a picture with a visible face, or lower the detection threshold"
        doubts = " or swap doubtful ones as well" if "doubtful" in self.problems[0] else ""
        return f"{self.problems[0]}; choose other faces{doubts}"


@dataclass(frozen=True, eq=False)
class AnalyzedFrame:
    """A frame with its faces.

    Attributes:
        number: Its number, counted from 0.
        frame: Its pixels.
        faces: Which faces are swapped.
        kept: (H, W) where it stays as it is, or None.
    """

    number: int
    frame: Picture
    faces: FrameFaces
    kept: torch.Tensor | None = None


def assign_identities(
    found: Sequence[DetectedFace],
    choice: FaceChoice,
    identities: Sequence[Identity],
    swap_doubtful: bool,
    only_in: np.ndarray | None = None,
) -> FrameFaces:
    """Match the chosen faces of a frame with identities.

    Args:
        found: All faces of the frame, numbered in the order of the choice.
        choice: Which ones to swap.
        identities: One for all of them, or the k-th for place k of the choice; see `identity_of_place`.
        swap_doubtful: Whether faces with implausible points count, too.
        only_in: Mask (H, W), 0..1, of the frame: only faces in it count.
    """
    left_out: list[str] = []
    if swap_doubtful:
        picked, problems = choice.pick(found, only_in)
    else:
        picked, problems, left_out = choice.pick_certain(found, only_in)
    given = [(face, identity_of_place(identities, place, choice.deals_in_turn)) for place, face in picked]
    pairs = [(face, identity) for face, identity in given if identity is not None]
    people = len(identities)
    problems = problems + [
        f"face {face.index} is not swapped: there are only {people} identities"
        for face, identity in given
        if identity is None
    ]
    if people > 1 and found and not choice.deals_in_turn and (choice.takes_every_face or choice.rule == "largest"):
        places = {place for place, _ in picked}
        problems += [f"no face for identity {place}" for place in range(people) if place not in places]
    return FrameFaces(pairs, len(found), problems, left_out)


def identity_of_place(identities: Sequence[Identity], place: int, in_turn: bool) -> Identity | None:
    """The identity of a place of the choice; None if there are too few.

    Args:
        identities: One for all places, or the k-th for place k.
        place: The place, from 0 on.
        in_turn: Whether they start again after the last one.
    """
    if len(identities) == 1 or in_turn:
        return identities[place % len(identities)]
    return identities[place] if place < len(identities) else None
