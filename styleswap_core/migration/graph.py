"""What the rules of a move need of a graph, whatever form it is saved in."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .foreign_form import ForeignNode
from .node_forms import NodeForm

NodeId = int | str


class Output(NamedTuple):
    """An output of a node."""

    node: NodeId
    slot: int


class Use(NamedTuple):
    """An input that an output is connected to. Inputs of subgraph borders have no node of their own."""

    node: NodeId
    name: str
    link: int | None = None


@dataclass
class Reading:
    """What a node of another pack is set to.

    Attributes:
        links: Connected inputs, widgets among them.
        values: Values of the widgets that are not connected, with defaults for those that the file lacks.
        ignored: Inputs in the file that the node does not have.
        problem: Why the values cannot be read, or nothing.
    """

    links: dict[str, Output] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    problem: str = ""


class Graph(ABC):
    """A graph whose nodes can be exchanged. Nodes, links and values that no rule names stay as they are.

    Attributes:
        place: Name of the subgraph, or nothing.
        can_bypass: Whether nodes can be bypassed.
    """

    place: str = ""
    can_bypass: bool = True

    @abstractmethod
    def nodes(self) -> list[NodeId]:
        """Ids of all nodes, in the order of the file."""

    @abstractmethod
    def kind(self, node: NodeId) -> str:
        """Class of a node; empty if the node does not exist."""

    @abstractmethod
    def title(self, node: NodeId) -> str:
        """Title that the user gave a node, or nothing."""

    @abstractmethod
    def is_inactive(self, node: NodeId) -> bool:
        """Whether a node is muted or bypassed."""

    @abstractmethod
    def is_reroute(self, node: NodeId) -> bool:
        """Whether a node only bends a connection."""

    @abstractmethod
    def read(self, node: NodeId, foreign: ForeignNode) -> Reading:
        """Connections and values of a node."""

    @abstractmethod
    def through(self, output: Output) -> Output:
        """Where an output comes from, behind reroutes and pairs of Set and Get nodes."""

    @abstractmethod
    def uses(self, output: Output) -> list[Use]:
        """Inputs that an output is connected to."""

    @abstractmethod
    def final_uses(self, output: Output) -> list[Use]:
        """`uses`, with reroutes and pairs of Set and Get nodes replaced by what is behind them."""

    @abstractmethod
    def become(self, node: NodeId, form: NodeForm, inputs: Mapping[str, Any]) -> None:
        """Turn a node into one of another class; connections of its outputs stay for `redirect`.

        Args:
            node: The node.
            form: The class.
            inputs: An `Output` for each connected input, a value for each widget that is not at its default.
        """

    @abstractmethod
    def add(self, form: NodeForm, inputs: Mapping[str, Any], near: NodeId, active: bool = False) -> NodeId:
        """Add a node beside another one.

        Args:
            form: Its class.
            inputs: As for `become`.
            near: The other node, whose mode it gets.
            active: It is neither muted nor bypassed, whatever the other node is.
        """

    @abstractmethod
    def redirect(self, uses: Iterable[Use], output: Output | None) -> None:
        """Connect inputs to another output, or to nothing."""

    @abstractmethod
    def drop(self, node: NodeId) -> None:
        """Remove a node and its connections."""

    @abstractmethod
    def bypass(self, node: NodeId) -> None:
        """Let a node pass its input on; only if `can_bypass`."""


def table_of(value: object) -> dict[str, Any]:
    """A JSON value if it is a table, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """A JSON value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else []
