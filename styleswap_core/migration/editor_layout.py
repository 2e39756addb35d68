"""Places for nodes that are added to a graph in the editor."""

from collections.abc import Sequence
from typing import Any

# Height of a node's title, above its position, and the gap to its neighbors.
_TITLE = 30
_GAP = 40
_STEP = 60
_ROWS = 60
_COLUMNS = (0, -1, 1, -2, 2)

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


def free_place(near: Box, size: tuple[int, int], taken: Sequence[Box]) -> list[float]:
    """Position of a new node of `size`: below, left or right of another one, as close as there is room.

    Args:
        near: The other node.
        size: Width and height of the new one.
        taken: All nodes.
    """
    width, height = size
    places = []
    for column in _COLUMNS:
        left = near[0] + column * (width + _GAP)
        start = near[3] if column == 0 else near[1]
        # Only the nodes of this column are in the way.
        rivals = [box for box in taken if box[0] < left + width + _GAP and box[2] > left - _GAP]
        for row in range(_ROWS):
            top = start + _TITLE + _GAP * (column == 0) + row * _STEP
            if not any(box[1] < top + height + _GAP and box[3] > top - _TITLE - _GAP for box in rivals):
                places.append((abs(top - near[1]) + abs(left - near[0]), left, top))
                break
    if not places:
        return [near[0], max(box[3] for box in taken) + _TITLE + _GAP]
    _, left, top = min(places)
    return [left, top]
