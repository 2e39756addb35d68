"""A graph in two parts: what does not depend on one of its inputs is computed once, the rest in every run."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from .graph_file import Node
from .onnx_graph import OnnxGraph

# Rows of a batch may differ by this much from the same rows alone.
_BATCH_TOLERANCE = 1e-3
# Operators whose results share the memory of their input.
_VIEWS = {
    "Cast",
    "Dropout",
    "Expand",
    "Flatten",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}


class SplitGraph:
    """A graph of which one input varies while the others stay the same.

    Attributes:
        graph: The graph.
        varying: Name of the input that varies.
        batched: Whether several rows can run together; found out with random inputs.
        elements: Number of elements of all values that depend on the varying input, for one row, without views.
        prepared_elements: Number of elements of what `prepare` returns for one row.
    """

    def __init__(self, graph: OnnxGraph, varying: str, examples: Mapping[str, Tensor]) -> None:
        """Split a graph.

        Args:
            graph: The graph, on its device.
            varying: Name of the input that varies.
            examples: Two rows of each input.
        """
        self.graph, self.varying = graph, varying
        self._early, self._late = _split(graph, {varying})
        self._kept = self._boundary()
        rows = [{name: value[row : row + 1] for name, value in examples.items()} for row in range(2)]
        self.batched = self._probe(rows, examples)
        self.prepared_elements, self.elements = self._count(rows[0])

    @torch.no_grad()
    def prepare(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What the second part needs of the other inputs, for one row."""
        early = self.graph.run_nodes(self._early, dict(inputs))
        kept = {name: inputs[name] for name in self._kept if name in inputs}
        kept |= {name: value for name, value in early if name in self._kept}
        return tuple(kept[name] for name in self._kept)

    def run(
        self, prepared: Sequence[Tensor], varying: Tensor, check: Callable[[], None] = lambda: None
    ) -> list[Tensor]:
        """The graph's outputs.

        Args:
            prepared: From `prepare`; if the graph is `batched`, results for several rows may be concatenated.
            varying: Value of the varying input.
            check: Called after each node, and before the backward pass of each; an exception ends the run.
        """
        known = dict(zip(self._kept, prepared, strict=True)) | {self.varying: varying}
        found = dict(known)
        for name, value in self.graph.run_nodes(self._late, known):
            check()
            if value.requires_grad:
                value.register_hook(lambda gradient: check())
            if name in self.graph.output_names:
                found[name] = value
        return [found[name] for name in self.graph.output_names]

    def _boundary(self) -> list[str]:
        """Names of the values that the second part takes from the first one."""
        made = {name for node in self._early for name in node.outputs}
        made |= {item.name for item in self.graph.inputs} - {self.varying}
        wanted = [name for node in self._late for name in node.inputs] + list(self.graph.output_names)
        return [name for name in dict.fromkeys(wanted) if name in made]

    def _probe(self, rows: Sequence[Mapping[str, Tensor]], both: Mapping[str, Tensor]) -> bool:
        """Whether rows can run together; if they can only without the split, it is undone."""
        alone = [self._outputs(row) for row in rows]
        if self._runs_together(rows, both, alone):
            return True
        split = self._early, self._late, self._kept
        self._early, self._late = [], list(self.graph.nodes)
        self._kept = self._boundary()
        if self._runs_together(rows, both, alone):
            return True
        # Rows run one by one, for which the split is right whatever the first part computes.
        self._early, self._late, self._kept = split
        return False

    def _outputs(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        with torch.no_grad():
            return self.run(self.prepare(inputs), inputs[self.varying])

    @torch.no_grad()
    def _runs_together(
        self, rows: Sequence[Mapping[str, Tensor]], both: Mapping[str, Tensor], alone: Sequence[Sequence[Tensor]]
    ) -> bool:
        """Whether rows that were prepared separately and then joined give what each gives alone."""
        parts = [self.prepare(row) for row in rows]
        if any(not value.is_floating_point() or value.ndim == 0 or len(value) != 1 for part in parts for value in part):
            return False
        joined = [torch.cat(values) for values in zip(*parts, strict=True)]
        try:
            together = self.run(joined, both[self.varying])
        except (RuntimeError, IndexError, ValueError):
            return False
        for found, *single in zip(together, *alone, strict=True):
            expected = torch.cat(list(single))
            if found.shape != expected.shape or not torch.allclose(found, expected, atol=_BATCH_TOLERANCE):
                return False
        return True

    @torch.no_grad()
    def _count(self, inputs: Mapping[str, Tensor]) -> tuple[int, int]:
        """`prepared_elements` and `elements`."""
        prepared = self.prepare(inputs)
        known = dict(zip(self._kept, prepared, strict=True)) | {self.varying: inputs[self.varying]}
        free = {name for node in self._late if node.operator in _VIEWS for name in node.outputs}
        late = sum(value.numel() for name, value in self.graph.run_nodes(self._late, known) if name not in free)
        return sum(value.numel() for value in prepared), late


def _split(graph: OnnxGraph, dependent: set[str]) -> tuple[list[Node], list[Node]]:
    """The nodes that do not depend on some values, and those that do, each in order of execution."""
    early, late = [], []
    for node in graph.nodes:
        if dependent.intersection(node.inputs):
            dependent.update(node.outputs)
            late.append(node)
        else:
            early.append(node)
    return early, late
