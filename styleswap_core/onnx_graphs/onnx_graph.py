"""An ONNX graph as a torch module.

It supports the operators that exporters emit for recognizers and for swapping networks, see `operators`; any other is
named in the error. A library would do as well for breadth (onnx2torch and onnx2pytorch were tried); this loader is
kept since it is faster in training, forward and backward, where a recognizer runs in every step.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from ..errors import StyleSwapError, decoding
from .graph_file import GraphFile, Node, read_graph


class OnnxGraph(nn.Module):
    """An ONNX graph as a torch module.

    Floating-point weights are frozen buffers, so `.to()` moves them and no optimizer finds them; integer constants
    (shapes, axes) stay on the CPU, where they are used. What depends on constants only is computed when the file is
    read.

    Attributes:
        inputs: The graph's inputs.
        output_names: Names of the graph's outputs.
        leading_node_names: Names of the file's first eight nodes, by which insightface guesses the input range.
        nodes: The operations in order of execution.
    """

    def __init__(self, path: str | Path) -> None:
        """Read an ONNX file.

        Raises:
            StyleSwapError: No ONNX file, or an unsupported operator.
        """
        super().__init__()
        graph = read_graph(path)
        self.inputs, self.output_names = graph.inputs, graph.outputs
        self.leading_node_names = graph.leading_node_names
        self._buffer_names: dict[str, str] = {}
        self._constants: dict[str, Tensor] = {}
        with decoding(f"{path} is not a valid ONNX graph", "download or export it again"):
            self.nodes = self._store_constants(graph)

    def forward(self, *values: Tensor) -> Tensor:
        """The graph's first output.

        Args:
            *values: The graph's inputs, in their order in the file.
        """
        return self.collect(self.output_names[:1], *values)[0]

    def collect(self, names: Sequence[str], *values: Tensor) -> list[Tensor]:
        """The values with these names; nodes after the last of them do not run.

        Args:
            names: Names of values of the graph.
            *values: The graph's inputs.

        Raises:
            StyleSwapError: The graph has no value of that name.
        """
        wanted = set(names)
        found: dict[str, Tensor] = {}
        for name, value in self.walk(*values):
            if name in wanted:
                found[name] = value
                if len(found) == len(wanted):
                    break
        if missing := wanted - found.keys():
            raise StyleSwapError(f"the graph has no value named {', '.join(sorted(missing))}; see OnnxGraph.nodes")
        return [found[name] for name in names]

    def walk(self, *values: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, value) of every node's outputs in order of execution."""
        if len(values) != len(self.inputs):
            raise TypeError(f"the graph takes {[item.name for item in self.inputs]}, got {len(values)} values")
        known = {item.name: value for item, value in zip(self.inputs, values, strict=True)}
        yield from self.run_nodes(self.nodes, known)

    def run_nodes(self, nodes: Sequence[Node], known: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Run some of the nodes; yields (name, value) of their outputs.

        Args:
            nodes: The nodes, in order of execution.
            known: Values by name that they need; results are added, and values that no later node reads are removed.
        """
        for node in nodes:
            results = node.run([self._value(name, known) for name in node.inputs])
            for name, value in zip(node.outputs, results, strict=False):
                known[name] = value
                yield name, value
            for name in node.finished:
                known.pop(name, None)

    def _store_constants(self, graph: GraphFile) -> list[Node]:
        """Store the file's constants and those that are computed from them; returns the other nodes."""
        known = {name: value.float() if value.is_floating_point() else value for name, value in graph.constants.items()}
        nodes = []
        for node in graph.nodes:
            if all(not name or name in known for name in node.inputs):
                results = node.run([known.get(name) for name in node.inputs])
                known |= dict(zip(node.outputs, (value.contiguous() for value in results), strict=False))
            else:
                nodes.append(node)
        used = {name for node in nodes for name in node.inputs}
        for name in known:
            if name in used:
                self._store(name, known[name])
        return nodes

    def _value(self, name: str, values: Mapping[str, Tensor]) -> Tensor | None:
        if not name:
            return None
        if name in values:
            return values[name]
        return self.get_buffer(self._buffer_names[name]) if name in self._buffer_names else self._constants[name]

    def _store(self, name: str, tensor: Tensor) -> None:
        if not tensor.is_floating_point():
            self._constants[name] = tensor
            return
        # Buffer names may not contain dots, ONNX names may be anything.
        self._buffer_names[name] = f"weight_{len(self._buffer_names)}"
        # Half-precision files exist; the promised parity is that of float32 arithmetic.
        self.register_buffer(self._buffer_names[name], tensor.float())
