"""Moving one graph: which nodes can be moved, in which order, and what becomes of the rest."""

from . import foreign_nodes as foreign
from . import identity_rules, image_rules, swap_rules
from .graph import Graph, NodeId, Output
from .mover import LeftNode, MovedNode, Mover, MoveReport, Rule, Stays, is_ours, label

RULES: dict[str, Rule] = {
    foreign.SWAP.node_id: swap_rules.REACTOR_SWAP,
    foreign.SWAP_WITH_OPTIONS.node_id: swap_rules.REACTOR_SWAP,
    foreign.SET_WEIGHT.node_id: identity_rules.WEIGHT,
    foreign.MASK_HELPER.node_id: image_rules.MASK,
    foreign.LOAD_FACE_MODEL.node_id: identity_rules.LOAD,
    foreign.SAVE_FACE_MODEL.node_id: identity_rules.SAVE,
    foreign.BUILD_FACE_MODEL.node_id: identity_rules.BUILD,
    foreign.RESTORE.node_id: image_rules.RESTORE,
    foreign.RESTORE_CHOSEN.node_id: image_rules.RESTORE,
    foreign.SIMILARITY.node_id: identity_rules.COMPARE,
    foreign.RGB.node_id: image_rules.RGB,
    foreign.MTB_MODEL.node_id: image_rules.MODEL,
    foreign.MTB_ANALYSIS.node_id: image_rules.ANALYSIS,
    foreign.MTB_SWAP.node_id: swap_rules.MTB_SWAP,
    foreign.ROOP.node_id: swap_rules.ROOP_SWAP,
    foreign.ROOP_IMPROVED.node_id: swap_rules.ROOP_SWAP,
}
"""The rules by class."""

ABSORBED = (foreign.OPTIONS.node_id, foreign.FACE_BOOST.node_id, foreign.FACE_MODEL_BATCH.node_id)
"""Classes whose values the nodes behind them take over."""

WITHOUT_COUNTERPART = {
    foreign.REPEAT.node_id: "it makes a list of copies, for which neither ComfyUI nor this pack has a node",
    foreign.UNLOAD.node_id: "ComfyUI frees the memory of this pack's models itself; it can be removed",
}
"""Classes without a counterpart, and why."""

# Types of outputs that change when a node is moved.
_OWN_TYPES = ("FACE_MODEL", "FACE_ANALYSIS_MODEL", "FACESWAP_MODEL")


def move_graph(graph: Graph, report: MoveReport) -> Mover:
    """Move the nodes of a graph that can be moved, and report the others.

    Args:
        graph: The graph, which is changed.
        report: Receives what was done.
    """
    mover = Mover(graph, report)
    # A node that is moved may free one that stayed because of it.
    while True:
        moved, left = _move_once(mover)
        report.moved += moved
        if not moved:
            report.left += left
            return mover


def _move_once(mover: Mover) -> tuple[list[MovedNode], list[LeftNode]]:
    """Move the nodes that can be moved now; also returns those that cannot."""
    graph = mover.graph
    found = [node for node in graph.nodes() if graph.kind(node) in foreign.FOREIGN_NODES]
    kinds = {node: graph.kind(node) for node in found}
    reasons = _reasons_to_stay(mover, found)
    movable = [node for node in found if kinds[node] in RULES and node not in reasons]
    for node in sorted(movable, key=lambda each: RULES[kinds[each]].last):
        rule, ignored = RULES[kinds[node]], mover.read(node).ignored
        rule.move(mover, node, rule.plan(mover, node))
        mover.note_ignored(node, ignored)
    for node in found:
        if kinds[node] in ABSORBED:
            _absorb(mover, node, reasons)
    moved = [MovedNode(node, graph.place, kinds[node], mover.added_for(node)) for node in found if node not in reasons]
    return moved, [LeftNode(node, graph.place, kinds[node], reasons[node]) for node in found if node in reasons]


def _reasons_to_stay(mover: Mover, found: list[NodeId]) -> dict[NodeId, str]:
    """Nodes that cannot be moved, with the reason."""
    graph = mover.graph
    reasons: dict[NodeId, str] = {}
    for node in found:
        kind = graph.kind(node)
        if kind in WITHOUT_COUNTERPART:
            reasons[node] = WITHOUT_COUNTERPART[kind]
        elif kind in RULES:
            try:
                RULES[kind].plan(mover, node)
            except Stays as stays:
                reasons[node] = str(stays)
    # A node that stays may keep others, which keep others.
    while True:
        added = {
            node: reason
            for node in found
            if node not in reasons and graph.kind(node) in RULES and (reason := _held_back(mover, node, reasons))
        }
        if not added:
            return reasons
        reasons |= added


def _held_back(mover: Mover, node: NodeId, reasons: dict[NodeId, str]) -> str:
    """Why a node cannot be moved because of others that stay, or nothing."""
    graph = mover.graph
    kind = graph.kind(node)
    requires = RULES[kind].requires
    for name, origin in requires(mover, node) if requires else ():
        if not _changes(graph, origin, reasons):
            return f"its {name} comes from {label(graph, origin)}, which stays"
    for slot, output_kind in enumerate(foreign.FOREIGN_NODES[kind].outputs):
        if output_kind not in _OWN_TYPES:
            continue
        for use in graph.final_uses(Output(node, slot)):
            if not _takes_ours(graph, use.node, reasons):
                return f"its {output_kind} goes to {label(graph, use.node)}, which stays"
    return ""


def _changes(graph: Graph, node: NodeId, reasons: dict[NodeId, str]) -> bool:
    """Whether a node is one of ours, or will be."""
    kind = graph.kind(node)
    return is_ours(kind) or (kind in RULES and node not in reasons)


def _takes_ours(graph: Graph, node: NodeId, reasons: dict[NodeId, str]) -> bool:
    """Whether a node takes identities, or will."""
    if graph.kind(node) in ABSORBED:
        return all(_changes(graph, use.node, reasons) for use in graph.final_uses(Output(node, 0)))
    return _changes(graph, node, reasons)


def _absorb(mover: Mover, node: NodeId, reasons: dict[NodeId, str]) -> None:
    """Remove a node whose values others have taken over, with the reroutes behind it."""
    graph = mover.graph
    users = graph.final_uses(Output(node, 0))
    if users:
        reasons[node] = f"{label(graph, users[0].node)} still uses it"
        return
    if not mover.has_taken_over(node):
        reasons[node] = "nothing is connected to it"
        return
    ends, pending = [node], [node]
    while pending:
        behind = [use.node for use in graph.uses(Output(pending.pop(), 0))]
        if fixed := [each for each in behind if not graph.is_reroute(each)]:
            reasons[node] = f"{label(graph, fixed[0])} is connected to it"
            return
        ends += behind
        pending += behind
    mover.note_ignored(node, mover.read(node).ignored)
    for each in dict.fromkeys(ends):
        graph.drop(each)
