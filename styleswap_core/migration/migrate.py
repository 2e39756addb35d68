"""Workflows of other face swap packs, moved over to this pack's nodes."""

import copy
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import StyleSwapError
from ..io.json_text import parse_json
from .editor_graph import EditorGraph, Numbers, is_editor_graph
from .foreign_nodes import FOREIGN_NODES
from .graph import list_of, table_of
from .move_graph import move_graph
from .mover import LeftNode, MovedNode, MoveNote, Mover, MoveReport
from .prompt_graph import PromptGraph, is_prompt

# Depth at which scripts and services wrap graphs, such as input.workflow.
_MAX_DEPTH = 6


@dataclass(frozen=True)
class Migration:
    """A workflow after the move.

    Attributes:
        workflow: The workflow, in the form of the original.
        moved: Nodes that were replaced.
        left: Nodes of other packs that are still in it, with the reason.
        notes: What moved nodes do differently.
    """

    workflow: Any
    moved: list[MovedNode] = field(default_factory=list)
    left: list[LeftNode] = field(default_factory=list)
    notes: list[MoveNote] = field(default_factory=list)


def migrate_workflow(workflow: Any) -> Migration:
    """Replace the nodes of ReActor, comfy_mtb and ComfyUI_roop in a workflow by nodes of this pack.

    All other nodes and connections stay as they are, and so do nodes that have no counterpart. A workflow that was
    moved before does not change.

    Args:
        workflow: JSON value that is or contains a graph of the editor or an API prompt, as a table or written out as
            JSON text; it is not changed.

    Returns:
        The new workflow, and what was done.

    Raises:
        StyleSwapError: There is no graph in it.
    """
    moved = copy.deepcopy(workflow)
    report = MoveReport()
    if not _move_value(moved, report):
        raise StyleSwapError(
            "expected a workflow with nodes, or an API prompt; save it in ComfyUI with Save or Export (API)"
        )
    return Migration(moved, report.moved, report.left, report.notes)


def _move_value(value: Any, report: MoveReport, depth: int = 0) -> bool:
    """Move the graphs and prompts in a JSON value, the outermost ones; returns whether there are any."""
    if is_editor_graph(value):
        _move_editor_graph(value, report)
        return True
    if is_prompt(value):
        move_graph(PromptGraph(value), report)
        return True
    if depth == _MAX_DEPTH or not isinstance(value, dict | list):
        return False
    found = False
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        inner = _json_in(entry) if isinstance(entry, str) else entry
        count = len(report.moved)
        found |= _move_value(inner, report, depth + 1)
        if inner is not entry and len(report.moved) > count:
            # A text in which nothing is moved keeps its layout.
            value[key] = json.dumps(inner, ensure_ascii=False)
    return found


def _json_in(text: str) -> Any:
    """The table in a text, as services take graphs that are written out as JSON; None if it holds no such thing."""
    if text.lstrip().startswith("{"):
        with suppress(StyleSwapError):
            return parse_json(text, "text", "")
    return None


def _move_editor_graph(workflow: dict[str, Any], report: MoveReport) -> None:
    """Move a graph of the editor with its subgraphs."""
    numbers = Numbers()
    listed = list_of(table_of(workflow.get("definitions")).get("subgraphs"))
    subgraphs = [each for each in listed if is_editor_graph(each)]
    graphs = [EditorGraph(workflow, numbers)]
    graphs += [EditorGraph(each, numbers, str(each.get("name") or each.get("id"))) for each in subgraphs]
    movers = [move_graph(graph, report) for graph in graphs]
    for graph in graphs:
        graph.finish()
    for subgraph, mover in zip(subgraphs, movers[1:], strict=True):
        for holder in (workflow, *subgraphs):
            _rename_promoted(holder, str(subgraph.get("id")), mover)
    _report_group_nodes(workflow, report)


def _rename_promoted(holder: dict[str, Any], subgraph: str, mover: Mover) -> None:
    """Widgets that nodes of a subgraph show on its outside, by node and name."""
    moved = {str(node) for node, _ in mover.renamed}
    renamed = {(str(node), name): (str(new), new_name) for (node, name), (new, new_name) in mover.renamed.items()}
    for node in holder["nodes"]:
        if not isinstance(node, dict) or node.get("type") != subgraph:
            continue
        properties = table_of(node.get("properties"))
        shown = properties.get("proxyWidgets")
        if not isinstance(shown, list):
            continue
        kept: list[Any] = []
        for entry in shown:
            key = tuple(map(str, entry[:2])) if isinstance(entry, list) and len(entry) >= 2 else None
            if key in renamed:
                kept.append([*renamed[key], *entry[2:]])
            elif key is not None and key[0] in moved:
                mover.note(key[0], f"{key[1]} is no longer shown on the subgraph, since the new nodes do not have it")
            else:
                kept.append(entry)
        properties["proxyWidgets"] = kept


def _report_group_nodes(workflow: dict[str, Any], report: MoveReport) -> None:
    """Nodes in group nodes, the predecessors of subgraphs, which are left alone."""
    groups = table_of(table_of(workflow.get("extra")).get("groupNodes"))
    reason = "it is inside a group node; convert that back to nodes, save, and move the workflow again"
    for name, group in groups.items():
        for number, node in enumerate(list_of(table_of(group).get("nodes"))):
            if str(table_of(node).get("type")) in FOREIGN_NODES:
                report.left.append(LeftNode(number, str(name), str(node["type"]), reason))
