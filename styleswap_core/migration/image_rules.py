"""Nodes that restore faces, mask swaps and convert images; and the loaders of a swap."""

from typing import Any, NamedTuple

from . import foreign_nodes as foreign
from .graph import NodeId, Output, Reading
from .mover import Mover, Rule, Stays
from .node_forms import (
    BLEND_WITH_MASK,
    LOAD_ANALYSIS,
    LOAD_MODEL,
    MASK_TO_IMAGE,
    PASTE_FACES,
    QUICK_SWAP,
    SWAP_FACE,
    WITHOUT_ALPHA,
)
from .restoring import Restorer, add_restoration

_SWITCHED = (foreign.SWAP.node_id, foreign.SWAP_WITH_OPTIONS.node_id)
# Nodes that become ones with a mask as their second output.
_SWAPS = {
    *_SWITCHED,
    *(node.node_id for node in (foreign.MTB_SWAP, foreign.ROOP, foreign.ROOP_IMPROVED)),
    *(node.node_id for node in (foreign.RESTORE, foreign.RESTORE_CHOSEN)),
}
_OWN_SWAPS = {form.node_id for form in (SWAP_FACE, QUICK_SWAP, PASTE_FACES)}
# Orders of the filter, and whether they are reversed; the last two are left out, since no order of ours is like them.
_FILTER_ORDERS = {
    ("x_position", False): "left-right",
    ("x_position", True): "right-left",
    ("y_position", False): "top-bottom",
    ("y_position", True): "bottom-top",
    ("area", True): "largest",
    ("area", False): "smallest",
    ("detection_confidence", True): "confidence",
}


class _Restoration(NamedTuple):
    image: Output | None
    restorer: Restorer
    choice: dict[str, Any]


def _plan_restore(mover: Mover, node: NodeId) -> _Restoration:
    reading = mover.read(node)
    mover.fixed(reading, *(reading.links.keys() - {"image", "facedetection", "visibility", "codeformer_weight"}))
    restorer = Restorer.of(reading, "model", "visibility")
    if restorer is None:
        raise Stays("its model is none, so it does nothing")
    return _Restoration(reading.links.get("image"), restorer, _chosen(reading.values))


def _chosen(values: dict[str, Any]) -> dict[str, Any]:
    """Widgets of Align Faces that choose the faces to restore."""
    selection = values.get("face_selection", "all")
    if selection == "all":
        return {}
    if selection == "largest":
        order: str | None = "largest"
    else:
        order = _FILTER_ORDERS.get((values["sort_by"], values["reverse_order"]))
    if order is None:
        raise Stays("faces cannot be ordered from the lowest confidence on")
    first = values["take_start"]
    numbers = range(first, first + max(values["take_count"], 1))
    return {"faces": "by index", "index": ",".join(map(str, numbers)), "order": order}


def _move_restore(mover: Mover, node: NodeId, plan: _Restoration) -> None:
    analysis = mover.analysis(node)
    add_restoration(mover, node, plan.image, plan.restorer, analysis=analysis, choice=plan.choice, paste=node)


def _plan_mask(mover: Mover, node: NodeId) -> Reading:
    reading = mover.read(node)
    mover.fixed(reading, "morphology_operation", "morphology_distance", "blur_radius")
    if mover.graph.uses(Output(node, 3)):
        raise Stays("its output SWAPPED_FACE is in use, which Blend With Mask does not have")
    if "mask_optional" in reading.links:
        return reading
    swapped = _swapped_by(mover, reading)
    if swapped is None or swapped.slot != 0 or mover.graph.kind(swapped.node) not in _SWAPS | _OWN_SWAPS:
        raise Stays("swapped_image does not come from a swap in the same graph, whose mask could be taken")
    return reading


def _swapped_by(mover: Mover, reading: Reading) -> Output | None:
    """The output that the swapped picture of a mask helper comes from, behind nodes that only hand it on."""
    output = reading.links.get("swapped_image")
    seen: set[Output] = set()
    while output is not None:
        output = mover.graph.through(output)
        handed = _handed_on(mover, output)
        if handed is None or output in seen:
            return output
        seen.add(output)
        output = handed
    return None


def _handed_on(mover: Mover, output: Output) -> Output | None:
    """The picture that an output of a foreign node is, if it is one of its inputs."""
    kind = mover.graph.kind(output.node)
    if kind == foreign.SET_WEIGHT.node_id:
        hands_on = output.slot == 0
    elif kind in _SWITCHED:
        # In the editor, a node that is off becomes a bypassed one, which may be switched on again.
        off = not mover.graph.can_bypass and not mover.read(output.node).values.get("enabled", True)
        hands_on = output.slot == 2 or (output.slot == 0 and off)
    else:
        return None
    return mover.read(output.node).links.get("input_image") if hands_on else None


def _masked_swap(mover: Mover, node: NodeId) -> list[tuple[str, NodeId]]:
    """The swap whose mask is taken."""
    reading = mover.read(node)
    swapped = None if "mask_optional" in reading.links else _swapped_by(mover, reading)
    return [] if swapped is None else [("swapped_image", swapped.node)]


def _move_mask(mover: Mover, node: NodeId, reading: Reading) -> None:
    graph = mover.graph
    previews = graph.uses(Output(node, 2))
    swapped = reading.links.get("swapped_image")
    mask = reading.links.get("mask_optional")
    if mask is None and (origin := _swapped_by(mover, reading)) is not None:
        mask = mover.masks.get(origin, Output(origin.node, 1))
    values = reading.values
    distance = values["morphology_distance"]
    operation = values["morphology_operation"]
    mover.become(
        node,
        BLEND_WITH_MASK,
        target=reading.links.get("image"),
        swapped=swapped,
        mask=mask,
        grow=-distance if operation == "erode" else distance if operation == "dilate" else 0,
        feather=float(values["blur_radius"]),
    )
    if previews:
        preview = mover.add(MASK_TO_IMAGE, node, mask=Output(node, 1))
        graph.redirect(previews, Output(preview, 0))
    mover.note(node, "the mask is that of the swap (or the connected one), not one that a detector and SAM find")
    if distance and operation in ("open", "close"):
        mover.note(node, f"the mask is not changed by the operation {operation}")


def _plan_rgb(mover: Mover, node: NodeId) -> Reading:
    return mover.read(node)


def _move_rgb(mover: Mover, node: NodeId, reading: Reading) -> None:
    mover.become(node, WITHOUT_ALPHA, image=reading.links.get("image"))


def _plan_loader(mover: Mover, node: NodeId) -> Reading:
    return mover.read(node)


def _move_model(mover: Mover, node: NodeId, reading: Reading) -> None:
    name = reading.links.get("faceswap_model", reading.values.get("faceswap_model"))
    mover.become(node, LOAD_MODEL, model_name=name)
    mover.renamed[node, "faceswap_model"] = (node, "model_name")


def _move_analysis(mover: Mover, node: NodeId, reading: Reading) -> None:
    name = reading.links.get("faceswap_model", reading.values.get("faceswap_model"))
    mover.become(node, LOAD_ANALYSIS, pack=name)
    mover.renamed[node, "faceswap_model"] = (node, "pack")


RESTORE = Rule(_plan_restore, _move_restore)
# After the swaps, whose masks it takes.
MASK = Rule(_plan_mask, _move_mask, _masked_swap, last=True)
RGB = Rule(_plan_rgb, _move_rgb)
MODEL = Rule(_plan_loader, _move_model)
ANALYSIS = Rule(_plan_loader, _move_analysis)
