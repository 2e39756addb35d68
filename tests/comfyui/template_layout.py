"""Rectangles of a template's nodes and groups: which overlap, and how they are stacked so that none do."""

from collections.abc import Mapping, Sequence

Rectangle = Sequence[float]
"""Left, top, width and height."""

TITLE = 30
# From the bottom of a node to the title of the next one, and to the edge of its group.
NODE_GAP, GROUP_GAP = 40, 30
# From the top of a group to the position of its first node, whose title is above it.
GROUP_HEAD = 90


def overlaps(rectangles: Mapping[int, Rectangle], tolerance: float = 1) -> list[tuple[int, int]]:
    """Pairs of nodes that overlap by more than a tolerance in both directions."""
    numbers = sorted(rectangles)
    return [
        (a, b)
        for place, a in enumerate(numbers)
        for b in numbers[place + 1 :]
        if all(depth > tolerance for depth in _common(rectangles[a], rectangles[b]))
    ]


def half_in_groups(rectangles: Mapping[int, Rectangle], groups: Sequence[Mapping]) -> list[int]:
    """Nodes that are neither inside nor outside each group, such as those that extend below one."""
    return [
        number
        for number, box in rectangles.items()
        for group in groups
        if all(depth > 1 for depth in _common(box, group["bounding"])) and not _inside(box, group["bounding"])
    ]


def stack(workflow: Mapping, heights: Mapping[int, float]) -> bool:
    """Stack the nodes of each group, which is a column, and fit the groups; returns whether anything moved.

    Args:
        workflow: UI-format workflow; its nodes and groups are moved.
        heights: Height that a node needs, without its title, by id; a node keeps at least the size it is saved with.
    """
    moved = False
    for group in workflow["groups"]:
        left, top, width, height = group["bounding"]
        inside = [
            node
            for node in workflow["nodes"]
            if left <= node["pos"][0] <= left + width and top <= node["pos"][1] <= top + height
        ]
        place = top + GROUP_HEAD
        for node in sorted(inside, key=lambda node: node["pos"][1]):
            moved |= node["pos"][1] != place
            node["pos"][1] = place
            place += round(max(node["size"][1], heights.get(node["id"], 0))) + NODE_GAP + TITLE
        bottom = place - NODE_GAP - TITLE + GROUP_GAP
        moved |= group["bounding"][3] != bottom - top
        group["bounding"][3] = bottom - top
    return moved


def _common(a: Rectangle, b: Rectangle) -> tuple[float, float]:
    """Width and height of what two rectangles have in common; negative if they have a gap."""
    return min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]), min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])


def _inside(box: Rectangle, outer: Rectangle) -> bool:
    width, height = _common(box, outer)
    return width >= box[2] - 1 and height >= box[3] - 1
