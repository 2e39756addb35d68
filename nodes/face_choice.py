"""Faces that nodes find in images, or take from the node that found them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from .analysis import open_analysis
from .sockets import (
    Faces,
    Masks,
    face_analysis_input,
    faces_input,
    identity_input,
    index_input,
    likeness_input,
    order_input,
)
from .swap_values import faces_choice

if TYPE_CHECKING:
    from ..styleswap_core.compositing.placed_faces import PlacedFaces
    from ..styleswap_core.faces.choice import FaceChoice
    from ..styleswap_core.faces.detected import FaceAnalyzer

Taken = TypeVar("Taken")


def found_inputs(verb: str, order: str) -> list[io.Input]:
    """Which faces of an image a node takes.

    Args:
        verb: What it does with them, such as "cut out".
        order: What is in their order, such as "their crops".
    """
    return [
        faces_input(
            "all",
            f"Which faces to {verb}: all, the largest, by index (see index), by likeness to the reference, or"
            " everyone but the reference.",
        ),
        index_input(),
        order_input(f"How the faces in each frame are numbered, and the order of {order}."),
        likeness_input("For by likeness and everyone but: minimum cosine similarity between a face and the reference."),
    ]


def origin_inputs(known_faces: str, masks: str) -> list[io.Input]:
    """Where the faces come from, and networks that mask them; all optional.

    Args:
        known_faces: Which nodes' faces can be connected, and what happens to them.
        masks: What the networks are for.
    """
    return [
        face_analysis_input(optional=True),
        Faces.Input(
            "known_faces",
            optional=True,
            tooltip=f"Instead of a face analysis: the faces of {known_faces} The choice of faces has no effect then.",
        ),
        identity_input("reference", "For by likeness and everyone but: the person.", optional=True),
        Masks.Input("masks", optional=True, tooltip=f"From Load Face Masks: {masks}"),
    ]


@dataclass(frozen=True, eq=False)
class FaceOrigin:
    """Where a node takes faces from: values of `origin_inputs` and `found_inputs`.

    Attributes:
        known_faces: Faces of another node, or None.
        face_analysis: Socket value with the face analysis that finds them otherwise, or None.
        reference: Socket value with the reference identities, or None.
        faces: Widget.
        index: Widget.
        order: Widget.
        likeness: Widget.
    """

    known_faces: PlacedFaces | None
    face_analysis: object
    reference: object
    faces: str
    index: str
    order: str
    likeness: float

    def take(
        self,
        verb: str,
        known: Callable[[PlacedFaces], Taken],
        found: Callable[[FaceAnalyzer, FaceChoice], Taken],
    ) -> Taken:
        """What a node makes of the faces.

        Args:
            verb: What it does with them, such as "cut out".
            known: Does it with the faces of another node.
            found: Does it with those that a face analysis finds and a choice picks.

        Raises:
            StyleSwapError: Neither a face analysis nor known faces, an invalid index, or references that are missing or
                of another recognizer.
        """
        if self.known_faces is not None:
            return known(self.known_faces)
        if self.face_analysis is None:
            raise StyleSwapError(
                f"no faces to {verb}: connect Load Face Analysis to face_analysis, or faces of another node to"
                " known_faces"
            )
        with open_analysis(self.face_analysis) as analyzer:
            chosen = faces_choice(analyzer, self.faces, self.index, self.order, self.likeness, self.reference)
            return found(analyzer, chosen)
