"""Graphs in the form that scripts send to ComfyUI: API prompts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .foreign_form import ForeignNode
from .foreign_nodes import FOREIGN_NODES
from .graph import Graph, NodeId, Output, Reading, Use
from .node_forms import NodeForm


def is_prompt(value: object) -> bool:
    """Whether a JSON value is an API prompt."""
    return isinstance(value, dict) and any(isinstance(node, dict) and "class_type" in node for node in value.values())


class PromptGraph(Graph):
    """An API prompt, which is changed in place."""

    can_bypass = False

    def __init__(self, prompt: dict[str, Any]) -> None:
        """Index a prompt; entries that are no nodes are left alone."""
        self._prompt = prompt
        self._uses: dict[Output, list[Use]] = {}
        for node in self.nodes():
            for name, value in self._inputs(node).items():
                if (output := _link(value)) is not None:
                    self._uses.setdefault(output, []).append(Use(node, name))
        numbers = (int(part) for key in prompt for part in key.split(":") if part.isascii() and part.isdigit())
        self._last = max(numbers, default=0)

    def nodes(self) -> list[NodeId]:
        """Ids of all nodes, in the order of the file."""
        return [key for key, node in self._prompt.items() if isinstance(node, dict) and "class_type" in node]

    def kind(self, node: NodeId) -> str:
        """Class of a node; empty if the node does not exist."""
        found = self._prompt.get(str(node))
        return str(found.get("class_type", "")) if isinstance(found, dict) else ""

    def title(self, node: NodeId) -> str:
        """Title that the user gave a node, or nothing."""
        meta = self._prompt[str(node)].get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        foreign = FOREIGN_NODES.get(self.kind(node))
        return title if isinstance(title, str) and not (foreign and title in foreign.titles) else ""

    def is_inactive(self, node: NodeId) -> bool:
        """Prompts have no muted nodes."""
        return False

    def is_reroute(self, node: NodeId) -> bool:
        """Prompts have no reroutes."""
        return False

    def read(self, node: NodeId, foreign: ForeignNode) -> Reading:
        """Connections and values of a node."""
        inputs = self._inputs(node)
        known = {*foreign.links, *(widget.name for widget in foreign.widgets)}
        reading = Reading(ignored=[name for name in inputs if name not in known])
        reading.links = {
            name: output for name, value in inputs.items() if name in known and (output := _link(value)) is not None
        }
        given = {name: value for name, value in inputs.items() if name not in reading.links}
        reading.values = {widget.name: widget.default for widget in foreign.widgets if widget.name not in reading.links}
        try:
            reading.values |= foreign.match_names(given)
        except ValueError as error:
            reading.problem = str(error)
        return reading

    def through(self, output: Output) -> Output:
        """Prompts have no reroutes."""
        return output

    def uses(self, output: Output) -> list[Use]:
        """Inputs that an output is connected to."""
        return list(self._uses.get(output, ()))

    def final_uses(self, output: Output) -> list[Use]:
        """The same."""
        return self.uses(output)

    def become(self, node: NodeId, form: NodeForm, inputs: Mapping[str, Any]) -> None:
        """Turn a node into one of another class."""
        title = self.title(node) or form.title
        entry = self._prompt[str(node)]
        for name, value in self._inputs(node).items():
            if (output := _link(value)) is not None:
                self._uses[output].remove(Use(node, name))
        # The order of the keys is that of the file.
        entry["inputs"] = self._filled(node, form, inputs)
        entry["class_type"] = form.node_id
        if isinstance(entry.get("_meta"), dict):
            entry["_meta"] = {**entry["_meta"], "title": title}
        entry.pop("is_changed", None)

    def add(self, form: NodeForm, inputs: Mapping[str, Any], near: NodeId, active: bool = False) -> NodeId:
        """Add a node."""
        self._last += 1
        node = str(self._last)
        self._prompt[node] = {"inputs": {}, "class_type": form.node_id}
        self._prompt[node]["inputs"] = self._filled(node, form, inputs)
        if isinstance(self._prompt[str(near)].get("_meta"), dict):
            self._prompt[node]["_meta"] = {"title": form.title}
        return node

    def redirect(self, uses: Iterable[Use], output: Output | None) -> None:
        """Connect inputs to another output, or to nothing."""
        for use in list(uses):
            inputs = self._inputs(use.node)
            old = _link(inputs.get(use.name))
            if old is not None:
                self._uses[old].remove(use)
            if output is None:
                inputs.pop(use.name, None)
            else:
                inputs[use.name] = [output.node, output.slot]
                self._uses.setdefault(output, []).append(use)

    def drop(self, node: NodeId) -> None:
        """Remove a node and its connections."""
        for name, value in self._inputs(node).items():
            if (output := _link(value)) is not None:
                self._uses[output].remove(Use(node, name))
        del self._prompt[str(node)]

    def bypass(self, node: NodeId) -> None:
        """Nothing, since prompts cannot say so."""

    def _inputs(self, node: NodeId) -> dict[str, Any]:
        inputs = self._prompt[str(node)].get("inputs")
        return inputs if isinstance(inputs, dict) else {}

    def _filled(self, node: NodeId, form: NodeForm, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._fill(node, form, inputs))

    def _fill(self, node: NodeId, form: NodeForm, inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Inputs in the order of the form, with all required widgets."""
        for slot in form.inputs:
            value = inputs.get(slot.name, slot.default)
            if isinstance(value, Output):
                self._uses.setdefault(value, []).append(Use(node, slot.name))
                yield slot.name, [value.node, value.slot]
            elif slot.is_widget and (slot.name in inputs or not slot.optional):
                yield slot.name, value


def _link(value: object) -> Output | None:
    """The output that an input's value names, or None."""
    if isinstance(value, list) and len(value) == 2:
        node, slot = value
        if isinstance(node, str | int) and not isinstance(node, bool) and isinstance(slot, int | float):
            return Output(str(node), int(slot))
    return None
