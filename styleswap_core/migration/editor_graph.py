"""Graphs in the form that ComfyUI's editor saves, and the subgraphs in them."""

from collections.abc import Iterable, Mapping
from typing import Any

from .editor_layout import arrange, box_of, point
from .editor_wires import Wire, Wires
from .foreign_form import ForeignNode
from .foreign_nodes import FOREIGN_NODES
from .graph import Graph, NodeId, Output, Reading, Use, list_of, table_of
from .node_forms import REROUTE, NodeForm

_MUTED, _BYPASSED = 2, 4
# Node ids of a subgraph's borders.
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS = -10, -20
_OPTIONAL_SHAPE = 7
# Nodes that only pass a connection on: core's, and the pairs of other packs that are connected by name.
_REROUTES = ("Reroute", "Reroute (rgthree)")
_SETTERS, _GETTERS = ("SetNode",), ("GetNode",)
# What the editor notes about the pack of a node.
_PACK_PROPERTIES = ("Node name for S&R", "cnr_id", "aux_id", "ver")


def is_editor_graph(value: object) -> bool:
    """Whether a JSON value is a graph of the editor."""
    if not isinstance(value, dict) or not isinstance(value.get("nodes"), list):
        return False
    return any(isinstance(node, dict) and "type" in node and "id" in node for node in value["nodes"])


class Numbers:
    """Numbers for new nodes and connections, unique in a file with all its subgraphs."""

    def __init__(self) -> None:
        """Start at 0; graphs raise it."""
        self.node = self.link = 0

    def see(self, node: object = 0, link: object = 0) -> None:
        """Keep clear of numbers in use."""
        if isinstance(node, int):
            self.node = max(self.node, node)
        if isinstance(link, int):
            self.link = max(self.link, link)


class EditorGraph(Graph):
    """A graph of the editor, which is changed in place; `finish` completes the changes."""

    def __init__(self, graph: dict[str, Any], numbers: Numbers, place: str = "") -> None:
        """Index a graph or a subgraph's definition; entries that are no nodes are left alone."""
        self.place = place
        self._graph = graph
        self._numbers = numbers
        if not isinstance(graph.get("links"), list):
            graph["links"] = []
        self._wires = Wires(graph["links"])
        self._nodes: dict[NodeId, dict[str, Any]] = {}
        for node in graph["nodes"]:
            if isinstance(node, dict) and isinstance(node.get("id"), int | str) and isinstance(node.get("type"), str):
                self._nodes.setdefault(node["id"], node)
                numbers.see(node=node["id"])
        state = table_of(graph.get("state"))
        numbers.see(graph.get("last_node_id"), graph.get("last_link_id"))
        numbers.see(state.get("lastNodeId"), state.get("lastLinkId"))
        numbers.see(link=self._wires.last())
        self._touched: set[NodeId] = set()
        # For each node, those that were added for it.
        self._added: dict[NodeId, list[NodeId]] = {}

    def nodes(self) -> list[NodeId]:
        """Ids of all nodes, in the order of the file."""
        return list(self._nodes)

    def kind(self, node: NodeId) -> str:
        """Class of a node; empty if the node does not exist."""
        return str(self._nodes[node]["type"]) if node in self._nodes else ""

    def title(self, node: NodeId) -> str:
        """Title that the user gave a node, or nothing."""
        title = self._nodes[node].get("title")
        foreign = FOREIGN_NODES.get(self.kind(node))
        if not isinstance(title, str) or title == self.kind(node) or (foreign and title in foreign.titles):
            return ""
        return title

    def is_inactive(self, node: NodeId) -> bool:
        """Whether a node is muted or bypassed."""
        return self._nodes[node].get("mode") in (_MUTED, _BYPASSED)

    def is_reroute(self, node: NodeId) -> bool:
        """Whether a node only bends a connection."""
        return self.kind(node) in _REROUTES

    def read(self, node: NodeId, foreign: ForeignNode) -> Reading:
        """Connections and values of a node."""
        known = {*foreign.links, *(widget.name for widget in foreign.widgets)}
        reading = Reading()
        for slot in self._slots(node):
            if (wire := self._wires.find(slot.get("link"))) is not None:
                name = str(slot.get("name"))
                if name in known:
                    reading.links[name] = wire.origin
                else:
                    reading.ignored.append(name)
        reading.values = {widget.name: widget.default for widget in foreign.widgets if widget.name not in reading.links}
        stored = self._nodes[node].get("widgets_values")
        try:
            if isinstance(stored, dict):
                matched = foreign.match_names(stored)
            else:
                matched = foreign.match_positions(list_of(stored))
        except ValueError as error:
            reading.problem = str(error)
        else:
            reading.values |= {name: value for name, value in matched.items() if name not in reading.links}
        return reading

    def through(self, output: Output) -> Output:
        """Where an output comes from, behind reroutes and pairs of Set and Get nodes."""
        seen = {output}
        while True:
            kind = self.kind(output.node)
            if kind in _REROUTES:
                wires = self._wires.into(output.node)
            elif kind in _GETTERS:
                wires = [wire for node in self._named(_SETTERS, output.node) for wire in self._wires.into(node)]
            else:
                return output
            if not wires or wires[0].origin in seen:
                return output
            output = wires[0].origin
            seen.add(output)

    def uses(self, output: Output) -> list[Use]:
        """Inputs that an output is connected to."""
        return [Use(wire.target[0], self._name_of(wire), wire.id) for wire in self._wires.of(output)]

    def final_uses(self, output: Output) -> list[Use]:
        """`uses`, with reroutes and pairs of Set and Get nodes replaced by what is behind them."""
        found: list[Use] = []
        pending, seen = [output], {output}
        while pending:
            for use in self.uses(pending.pop()):
                kind = self.kind(use.node)
                if kind in _REROUTES:
                    behind = [Output(use.node, 0)]
                elif kind in _SETTERS:
                    behind = [Output(use.node, 0), *(Output(node, 0) for node in self._named(_GETTERS, use.node))]
                else:
                    found.append(use)
                    continue
                pending += [each for each in behind if each not in seen]
                seen.update(behind)
        return found

    def become(self, node: NodeId, form: NodeForm, inputs: Mapping[str, Any]) -> None:
        """Turn a node into one of another class."""
        entry = self._nodes[node]
        if not self.title(node):
            entry.pop("title", None)
        width, _ = point(entry.get("size"))
        entry["type"] = form.node_id
        entry["size"] = [width or form.size[0], form.size[1]]
        properties = table_of(entry.get("properties"))
        kept = {key: value for key, value in properties.items() if key not in _PACK_PROPERTIES}
        entry["properties"] = {**_properties(form), **kept}
        self._fill(node, form, inputs)

    def add(self, form: NodeForm, inputs: Mapping[str, Any], near: NodeId, active: bool = False) -> NodeId:
        """Add a node beside another one."""
        self._numbers.node += 1
        node = self._numbers.node
        neighbor = self._nodes[near]
        self._nodes[node] = {
            "id": node,
            "type": form.node_id,
            "pos": [0.0, 0.0],
            "size": list(form.size),
            "flags": {},
            "order": neighbor.get("order", 0),
            "mode": 0 if active else neighbor.get("mode", 0),
            "inputs": [],
            "outputs": [],
            "properties": _properties(form),
            "widgets_values": [],
        }
        self._graph["nodes"].append(self._nodes[node])
        self._added.setdefault(near, []).append(node)
        self._fill(node, form, inputs)
        return node

    def redirect(self, uses: Iterable[Use], output: Output | None) -> None:
        """Connect inputs to another output, or to nothing."""
        for use in list(uses):
            if (wire := self._wires.find(use.link)) is None:
                continue
            self._touched |= {wire.origin.node, wire.target[0]}
            if output is None:
                self._wires.remove(wire)
                continue
            origin = output
            if (output.node, wire.target[0]) == (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS):
                # The editor cannot run a subgraph whose input is connected to its output directly.
                origin = Output(self.add(REROUTE, {"": output}, wire.origin.node), 0)
            self._wires.move(wire, origin)
            self._touched.add(origin.node)
            if kind := self._output_kind(origin):
                wire.set_kind(kind)

    def drop(self, node: NodeId) -> None:
        """Remove a node and its connections."""
        count = len(list_of(self._nodes[node].get("outputs")))
        for wire in [*self._wires.into(node), *self._wires.out_of(node, count)]:
            self._touched |= {wire.origin.node, wire.target[0]}
            self._wires.remove(wire)
        entry = self._nodes.pop(node)
        self._graph["nodes"][:] = [other for other in self._graph["nodes"] if other is not entry]

    def bypass(self, node: NodeId) -> None:
        """Let a node pass its input on."""
        self._nodes[node]["mode"] = _BYPASSED

    def finish(self) -> None:
        """Place the new nodes, and write numbers of connections to both of their ends, wherever they changed."""
        unplaced = {node for nodes in self._added.values() for node in nodes}
        for near, nodes in self._added.items():
            taken = [box_of(entry) for node, entry in self._nodes.items() if node not in unplaced]
            arrange(box_of(self._nodes[near]), [self._nodes[node] for node in nodes], taken)
            unplaced -= set(nodes)
        self._added.clear()
        for node in self._touched & self._nodes.keys():
            for slot in self._slots(node):
                if slot.get("link") is not None and self._wires.find(slot["link"]) is None:
                    slot["link"] = None
            for number, output in enumerate(list_of(self._nodes[node].get("outputs"))):
                if isinstance(output, dict):
                    _set_links(output, "links", self._wires.of(Output(node, number)))
        self._finish_border("inputs", _SUBGRAPH_INPUTS)
        self._finish_border("outputs", _SUBGRAPH_OUTPUTS)
        self._wires.finish()
        self._forget_removed()
        if self._touched:
            self._write_numbers()

    def _finish_border(self, side: str, border: int) -> None:
        """Connections of a subgraph's inputs or outputs."""
        slots = self._graph.get(side)
        if border not in self._touched or not isinstance(slots, list):
            return
        for number, slot in enumerate(slots):
            if border == _SUBGRAPH_INPUTS:
                wires = self._wires.of(Output(border, number))
            else:
                wires = [wire for wire in self._wires.into(border) if wire.target[1] == number]
            if isinstance(slot, dict):
                _set_links(slot, "linkIds", wires)

    def _forget_removed(self) -> None:
        """Bends of removed connections."""
        extra = self._graph.get("extra")
        for table in (table_of(extra), self._graph):
            for reroute in list_of(table.get("reroutes")):
                if isinstance(reroute, dict) and isinstance(reroute.get("linkIds"), list):
                    reroute["linkIds"] = [link for link in reroute["linkIds"] if not self._wires.was_removed(link)]
        if isinstance(extra, dict) and isinstance(extra.get("linkExtensions"), list):
            extra["linkExtensions"] = [
                entry
                for entry in extra["linkExtensions"]
                if not (isinstance(entry, dict) and self._wires.was_removed(entry.get("id")))
            ]

    def _write_numbers(self) -> None:
        for table, node, link in (
            (self._graph, "last_node_id", "last_link_id"),
            (self._graph.get("state"), "lastNodeId", "lastLinkId"),
        ):
            if isinstance(table, dict) and node in table:
                table[node], table[link] = self._numbers.node, self._numbers.link

    def _fill(self, node: NodeId, form: NodeForm, inputs: Mapping[str, Any]) -> None:
        """Give a node the slots of a form, and connect them."""
        entry = self._nodes[node]
        spare: dict[Output, list[Wire]] = {}
        for wire in self._wires.into(node):
            spare.setdefault(wire.origin, []).append(wire)
            self._touched.add(wire.origin.node)
        slots = [_slot(given.name, given.kind, given.optional) for given in form.inputs if not given.is_widget]
        widgets = [_slot(given.name, given.kind, given.optional, widget=True) for given in form.widgets]
        entry["inputs"] = [*slots, *widgets]
        for number, slot in enumerate(entry["inputs"]):
            output = inputs.get(slot["name"])
            if isinstance(output, Output):
                slot["link"] = self._connect(spare, output, node, number, slot["type"])
        for wires in spare.values():
            for wire in wires:
                self._wires.remove(wire)
        entry["outputs"] = [{"name": name, "type": kind, "links": None} for name, kind in form.outputs]
        values = [inputs.get(widget.name, widget.default) for widget in form.widgets]
        entry["widgets_values"] = [
            widget.default if isinstance(value, Output) else value
            for widget, value in zip(form.widgets, values, strict=True)
        ]
        self._touched.add(node)

    def _connect(self, spare: dict[Output, list[Wire]], output: Output, node: NodeId, slot: int, kind: str) -> int:
        """Number of a connection, which was one of the node before if there was one from the same output."""
        self._touched.add(output.node)
        if spare.get(output):
            wire = spare[output].pop(0)
            self._wires.retarget(wire, node, slot)
            wire.set_kind(kind)
        else:
            self._numbers.link += 1
            wire = self._wires.add(self._numbers.link, output, node, slot, kind)
        return wire.id

    def _slots(self, node: NodeId) -> list[dict[str, Any]]:
        return [slot for slot in list_of(self._nodes[node].get("inputs")) if isinstance(slot, dict)]

    def _name_of(self, wire: Wire) -> str:
        node, number = wire.target
        slots = list_of(self._nodes[node].get("inputs")) if node in self._nodes else []
        if 0 <= number < len(slots) and isinstance(slots[number], dict):
            return str(slots[number].get("name", number))
        return str(number)

    def _output_kind(self, output: Output) -> str:
        outputs = list_of(self._nodes[output.node].get("outputs")) if output.node in self._nodes else []
        if 0 <= output.slot < len(outputs) and isinstance(outputs[output.slot], dict):
            return str(outputs[output.slot].get("type", ""))
        return ""

    def _named(self, kinds: tuple[str, ...], node: NodeId) -> list[NodeId]:
        """Nodes of some kinds that have the same name as another node of such a pair."""
        name = self._pair_name(node)
        return [other for other in self._nodes if self.kind(other) in kinds and name and self._pair_name(other) == name]

    def _pair_name(self, node: NodeId) -> str:
        values = list_of(self._nodes[node].get("widgets_values"))
        return str(values[0]) if values else ""


def _slot(name: str, kind: str, optional: bool, widget: bool = False) -> dict[str, Any]:
    """An input as the editor stores it."""
    slot: dict[str, Any] = {"name": name}
    if optional:
        slot["shape"] = _OPTIONAL_SHAPE
    slot |= {"type": kind, "link": None}
    if widget:
        slot["widget"] = {"name": name}
    return slot


def _set_links(slot: dict[str, Any], key: str, wires: list[Wire]) -> None:
    """Set the numbers of a slot's connections; those that stay keep their order."""
    current = [wire.id for wire in wires]
    old = slot.get(key)
    kept = [link for link in old if link in current] if isinstance(old, list) else []
    links = kept + [wire.id for wire in wires if wire.id not in kept]
    if links != old and not (not links and old is None):
        slot[key] = links


def _properties(form: NodeForm) -> dict[str, Any]:
    return {"Node name for S&R": form.node_id, "cnr_id": "styleswap" if form.is_ours else "comfy-core"}
