"""What the rules of a move share: reading nodes, loaders that several swaps use, and the report."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .foreign_nodes import FOREIGN_NODES
from .graph import Graph, NodeId, Output, Reading
from .node_forms import EXTRACT, FIRST_OF_BATCH, FORMS, LOAD_ANALYSIS, LOAD_MODEL, NodeForm

PACK = "buffalo_l"
"""Face analysis of the packs that graphs come from."""

# Loaders of a single picture; other outputs may be batches.
_SINGLE_PICTURES = ("LoadImage", "LoadImageOutput", "LoadImageMask", FIRST_OF_BATCH.node_id)


class Stays(Exception):
    """A node cannot be moved; the message is the reason."""


@dataclass(frozen=True)
class MovedNode:
    """A node that was replaced.

    Attributes:
        node: Its id.
        place: Name of its subgraph, or nothing.
        kind: Its class before.
        became: Classes of the nodes that do its work now; empty if other nodes took its values over.
    """

    node: NodeId
    place: str
    kind: str
    became: tuple[str, ...]


@dataclass(frozen=True)
class LeftNode:
    """A node of another pack that is still in the graph.

    Attributes:
        node: Its id.
        place: Name of its subgraph, or nothing.
        kind: Its class.
        reason: Why it was not moved.
    """

    node: NodeId
    place: str
    kind: str
    reason: str


@dataclass(frozen=True)
class MoveNote:
    """Something that a moved node does differently.

    Attributes:
        node: Its id.
        place: Name of its subgraph, or nothing.
        text: What.
    """

    node: NodeId
    place: str
    text: str


@dataclass
class MoveReport:
    """What a move did."""

    moved: list[MovedNode] = field(default_factory=list)
    left: list[LeftNode] = field(default_factory=list)
    notes: list[MoveNote] = field(default_factory=list)


class Rule(NamedTuple):
    """How nodes of a class are moved.

    Attributes:
        plan: Reads a node and checks that it can be moved; raises `Stays`.
        move: Moves it, given the plan.
        requires: Nodes that must be moved, too, as the label of an input and its node.
        last: Moved after all others.
    """

    plan: Callable[["Mover", NodeId], Any]
    move: Callable[["Mover", NodeId, Any], None]
    requires: Callable[["Mover", NodeId], list[tuple[str, NodeId]]] | None = None
    last: bool = False


class Mover:
    """The work on one graph.

    Attributes:
        graph: The graph.
        report: What was done.
        renamed: New node and name of the widgets of moved nodes, by old node and name.
        masks: Mask of each picture that a moved node swaps.
    """

    def __init__(self, graph: Graph, report: MoveReport) -> None:
        """Start with a graph of which nothing is moved yet."""
        self.graph = graph
        self.report = report
        self.renamed: dict[tuple[NodeId, str], tuple[NodeId, str]] = {}
        self.masks: dict[Output, Output] = {}
        self._loaders: dict[tuple[str, object], Output] = {}
        self._became: dict[NodeId, list[str]] = {}
        self._taken_over: set[NodeId] = set()

    def read(self, node: NodeId) -> Reading:
        """Connections and values of a node of another pack.

        Raises:
            Stays: The file holds values that no release of the node has stored.
        """
        reading = self.graph.read(node, FOREIGN_NODES[self.graph.kind(node)])
        if reading.problem:
            raise Stays(f"its saved values are not those of this node ({reading.problem})")
        return reading

    def fixed(self, reading: Reading, *names: str) -> None:
        """Check that widgets have values in the file.

        Raises:
            Stays: One is connected.
        """
        for name in names:
            if name in reading.links:
                raise Stays(f"{name} is connected, so its value is known only when the graph runs")

    def become(self, node: NodeId, form: NodeForm, **inputs: Any) -> None:
        """Turn a node into one of ours; inputs that are None are left out."""
        self._became.setdefault(node, []).insert(0, form.node_id)
        self.graph.become(node, form, _given(inputs))

    def add(self, form: NodeForm, near: NodeId, **inputs: Any) -> NodeId:
        """Add a node for the work of another one; inputs that are None are left out."""
        self._became.setdefault(near, []).append(form.node_id)
        return self.graph.add(form, _given(inputs), near)

    def model(self, name: str | Output, near: NodeId) -> Output:
        """A swapping network, loaded once per graph."""
        return self._loader(LOAD_MODEL, near, model_name=name)

    def analysis(self, near: NodeId, pack: str = PACK) -> Output:
        """A face analysis, loaded once per graph."""
        return self._loader(LOAD_ANALYSIS, near, pack=pack)

    def upscaler(self, form: NodeForm, name: str, near: NodeId) -> Output:
        """A restorer, loaded once per graph."""
        return self._loader(form, near, model_name=name)

    def extract(
        self,
        near: NodeId,
        picture: Output | None,
        analysis: Output,
        index: int | str | Output,
        order: str,
        gender: str = "any",
    ) -> Output:
        """Identity of one face of a picture, the first of a batch; or several, in a list without those it lacks.

        Args:
            near: The node whose work this is.
            picture: The picture.
            analysis: The face analysis.
            index: Number of the face; or several such as "0,2", or the output that names them.
            order: How faces are numbered.
            gender: Only faces of this gender.
        """
        chosen: dict[str, Any] = {} if order == "largest" else {"order": order}
        if gender != "any":
            chosen["gender"] = gender
        if not isinstance(index, int):
            chosen |= {"faces": "by index", "indices": index, "combine": "one per face"}
        elif index or chosen:
            chosen |= {"faces": "by index", "index": index}
        node = self.add(EXTRACT, near, face_analysis=analysis, image=self.first_of(near, picture), **chosen)
        return Output(node, 0)

    def first_of(self, near: NodeId, picture: Output | None) -> Output | None:
        """The first picture of what may be a batch."""
        if picture is None or self.is_single(picture):
            return picture
        return Output(self.add(FIRST_OF_BATCH, near, image=picture), 0)

    def is_single(self, picture: Output) -> bool:
        """Whether an output is known to be a single picture."""
        return self.graph.kind(self.graph.through(picture).node) in _SINGLE_PICTURES

    def note(self, node: NodeId, text: str) -> None:
        """Report a difference, once per node."""
        note = MoveNote(node, self.graph.place, text)
        if note not in self.report.notes:
            self.report.notes.append(note)

    def note_ignored(self, node: NodeId, names: Iterable[str]) -> None:
        """Report inputs that the file gives a node and that it does not have."""
        for name in names:
            self.note(node, f"{name} is no input of this node and had no effect")

    def take_over(self, node: NodeId) -> Reading:
        """`read` of a node whose values the node behind it takes over.

        Raises:
            Stays: As for `read`.
        """
        self._taken_over.add(node)
        return self.read(node)

    def has_taken_over(self, node: NodeId) -> bool:
        """Whether another node took over the values of a node."""
        return node in self._taken_over

    def added_for(self, node: NodeId) -> tuple[str, ...]:
        """Classes of the nodes that do the work of a moved node."""
        return tuple(dict.fromkeys(self._became.get(node, ())))

    def _loader(self, form: NodeForm, near: NodeId, **inputs: Any) -> Output:
        key = form.node_id, *inputs.values()
        if key not in self._loaders:
            self._became.setdefault(near, []).append(form.node_id)
            self._loaders[key] = Output(self.graph.add(form, inputs, near, active=True), 0)
        return self._loaders[key]


def is_ours(kind: str) -> bool:
    """Whether a class is one of this pack."""
    return kind in FORMS and FORMS[kind].is_ours


def label(graph: Graph, node: NodeId) -> str:
    """A node in a message."""
    return f"{graph.kind(node) or 'the border of the subgraph'} {node}"


def _given(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if value is not None}
