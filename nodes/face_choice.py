"""Faces that nodes find in images, or take from the node that found them."""

from comfy_api.latest import io

from ..styleswap_core.faces.choice import REFERENCE_RULES, RULES, FaceChoice
from ..styleswap_core.faces.detected import FaceAnalyzer
from ..styleswap_core.pipeline.swapper import references_for
from .sockets import index_input, order_input
from .values import as_identities


def found_inputs(verb: str, order: str) -> list[io.Input]:
    """Which faces of an image a node takes.

    Args:
        verb: What it does with them, such as "cut out".
        order: What their order means, such as " and the order of their crops".
    """
    return [
        io.Combo.Input(
            "faces",
            options=list(RULES),
            default="all",
            tooltip=f"Which faces to {verb}: all, the largest, by index (see index), by likeness to the reference, or"
            " everyone but the reference.",
        ),
        index_input(),
        order_input(f"How the faces in each frame are numbered, and the order of {order}."),
        io.Float.Input(
            "likeness",
            default=FaceChoice.likeness,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="For by likeness and everyone but: minimum cosine similarity between a face and the reference.",
        ),
    ]


def found_choice(
    analyzer: FaceAnalyzer, faces: str, index: str, order: str, likeness: float, reference: object
) -> FaceChoice:
    """The faces that the widgets of `found_inputs` choose.

    Args:
        analyzer: The face analysis.
        faces: Widget.
        index: Widget.
        order: Widget.
        likeness: Widget.
        reference: Socket value with the reference identities.

    Raises:
        StyleSwapError: An invalid index, or references that are missing or of another recognizer.
    """
    if faces == "by index":
        return FaceChoice.by_index(index, order)
    people = as_identities(reference) if faces in REFERENCE_RULES and reference is not None else []
    return FaceChoice(faces, order, references=references_for(people, analyzer), likeness=likeness)
