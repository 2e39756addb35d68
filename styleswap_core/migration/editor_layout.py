"""Places for nodes that are added to a graph in the editor."""

from collections.abc import Sequence
from typing import Any

from . import node_forms as forms

# Height of a node's title, above its position.
_TITLE = 30
# Between columns, and between the nodes of a column, which are taller where the page draws them as its elements.
_COLUMN_GAP = 60
_ROW_GAP = 70

_STAGES = (
    (forms.LOAD_MODEL, forms.LOAD_ANALYSIS),
    (forms.FIRST_OF_BATCH, forms.EXTRACT, forms.IDENTITY_LIST, forms.BLEND_IDENTITIES),
    (forms.ALIGN_FACES, forms.LOAD_UPSCALER, forms.UPSCALE, forms.BLEND_IMAGES),
    (forms.PASTE_FACES, forms.SAVE_IDENTITY, forms.MASK_TO_IMAGE),
)
_STAGE_OF = {form.node_id: stage for stage, members in enumerate(_STAGES) for form in members}

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def box_of(node: dict[str, Any]) -> Box:
    """The area of a node with its title."""
    left, top = point(node.get("pos"))
    width, height = point(node.get("size"))
    return left, top - _TITLE, left + max(width, 1.0), top + max(height, 1.0)


def point(value: Any) -> tuple[float, float]:
    """Two coordinates, which older graphs store as a table."""
    if isinstance(value, dict):
        value = [value.get("0"), value.get("1")]
    if isinstance(value, list) and len(value) >= 2 and all(isinstance(part, int | float) for part in value[:2]):
        return float(value[0]), float(value[1])
    return 0.0, 0.0


def arrange(near: Box, added: Sequence[dict[str, Any]], taken: Sequence[Box]) -> None:
    """Place nodes that were added for another one: in columns from loaders to results, below it where there is room.

    Args:
        near: The other node.
        added: The new nodes, whose position is set.
        taken: All other nodes.
    """
    columns: dict[int, list[dict[str, Any]]] = {}
    for node in added:
        columns.setdefault(_STAGE_OF.get(node["type"], 1), []).append(node)
    places: list[tuple[dict[str, Any], float, float]] = []
    left = bottom = 0.0
    for _, column in sorted(columns.items()):
        top = 0.0
        for node in column:
            places.append((node, left, top + _TITLE))
            top += _TITLE + node["size"][1] + _ROW_GAP
        left += max(node["size"][0] for node in column) + _COLUMN_GAP
        bottom = max(bottom, top)
    origin = near[0], _free_height(near, left, bottom, taken)
    for node, x, y in places:
        node["pos"] = [origin[0] + x, origin[1] + y]


def _free_height(near: Box, width: float, height: float, taken: Sequence[Box]) -> float:
    """The first height below a node at which a block has room."""
    right = near[0] + width
    in_the_way = sorted(
        (box[1], box[3]) for box in taken if box[0] < right and box[2] > near[0] - _COLUMN_GAP and box[3] > near[3]
    )
    top = near[3] + _ROW_GAP
    for start, end in in_the_way:
        if start < top + height and end + _ROW_GAP > top:
            top = end + _ROW_GAP
    return top
