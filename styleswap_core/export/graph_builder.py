"""Nodes and weights of an ONNX graph, and the file that they are written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from ..io.files import atomic_write

OPSET = 13
# The oldest format version that supports this opset, for older runtimes.
IR_VERSION = 7

Shape = Sequence[int | str]
Attribute = int | float | str | Sequence[int]


class GraphBuilder:
    """Collector of nodes and weights.

    Attributes:
        nodes: The nodes in order of execution.
        initializers: The weights.
        outputs: Names of the values that the graph returns.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.outputs: list[str] = []

    def node(self, operation: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """Append a node with one output; returns the name of the output."""
        name = f"{operation}_{len(self.nodes)}"
        node = helper.make_node(operation, list(inputs), [f"{name}_output"], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        return f"{name}_output"

    def weight(self, tensor: Tensor, name: str = "") -> str:
        """Append a constant, by default with a name of its own; returns its name."""
        name = name or f"weight_{len(self.initializers)}"
        values = np.ascontiguousarray(tensor.detach().cpu().numpy())
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def numbers(self, *values: float) -> str:
        """Append a float32 constant: a scalar for one value, otherwise a vector; returns its name."""
        return self.weight(torch.tensor(values[0] if len(values) == 1 else values, dtype=torch.float32))

    def integers(self, *values: int) -> str:
        """Append a vector of int64; returns its name."""
        return self.weight(torch.tensor(values, dtype=torch.int64))

    def channels(self, x: str, first: int, end: int | None = None) -> str:
        """Append a selection of the channels from `first` up to `end`, by default all others; returns its name."""
        last = torch.iinfo(torch.int64).max if end is None else end
        return self.node("Slice", [x, self.integers(first), self.integers(last), self.integers(1)])


def write_graph(
    path: str | Path,
    graph: GraphBuilder,
    name: str,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    description: str = "",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Check a finished graph and write it, atomically.

    Args:
        path: The file.
        graph: Its nodes, weights and outputs.
        name: Name of the graph.
        inputs: Names and shapes of the inputs, in order; a string names a variable dimension.
        outputs: Names and shapes of the outputs, in the order of `graph.outputs`.
        description: Stored in the file.
        metadata: Stored in the file, as key and value.

    Raises:
        ValueError: The number of outputs differs from that of the graph.
    """
    if len(graph.outputs) != len(outputs):
        raise ValueError(f"the module returns {len(graph.outputs)} tensors, but {len(outputs)} outputs are named")
    # Renaming the output of the producing node avoids an Identity node.
    renamed = dict(zip(graph.outputs, outputs, strict=True))
    for node in graph.nodes:
        node.output[0] = renamed.get(node.output[0], node.output[0])
        for index, source in enumerate(node.input):
            node.input[index] = renamed.get(source, source)

    def declared(values: Mapping[str, Shape]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(key, TensorProto.FLOAT, list(shape)) for key, shape in values.items()]

    model = helper.make_model(
        helper.make_graph(graph.nodes, name, declared(inputs), declared(outputs), graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="styleswap",
        doc_string=description,
    )
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(path) as temporary:
        onnx.save(model, str(temporary))
