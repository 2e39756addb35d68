"""ONNX reader that turns the graph of a face recognizer into a torch module through which gradients flow.

It supports the operators that exporters emit for recognizers (convolutions, normalizations, activations, and the shape
arithmetic of a flatten), see `onnx_operators`, and names any other in its error.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import StyleSwapError
from .onnx_operators import OPERATORS

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Attribute = int | float | str | Sequence[int] | Sequence[float]


@dataclass(frozen=True)
class Node:
    """One operation of a graph.

    Attributes:
        operator: Key of `OPERATORS`.
        name: Name of the node in the file; may be empty.
        inputs: Names of the input values; "" stands for an optional input that is left out.
        output: Name of the output value.
        attributes: Keyword arguments of the operator.
        finished: Names of the values that no later node reads.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute]
    finished: tuple[str, ...]


class OnnxGraph(nn.Module):
    """An ONNX graph with one input and one output as a torch module.

    Floating-point weights are frozen buffers, so `.to()` moves them and no optimizer finds them; integer constants
    (shapes, axes) stay on the CPU, where they are used.

    Attributes:
        input_name: Name of the graph's input.
        output_name: Name of the graph's output.
        input_shape: Declared shape of the input; None for a free dimension.
        leading_node_names: Names of the file's first eight nodes, by which insightface guesses the input range.
        nodes: The operations in order of execution.
    """

    def __init__(self, path: str | Path) -> None:
        """Read an ONNX file.

        Raises:
            StyleSwapError: No ONNX file, more than one input or output, or an unsupported operator.
        """
        super().__init__()
        graph = _read(Path(path)).graph
        self._buffer_names: dict[str, str] = {}
        self._constants: dict[str, Tensor] = {}
        for tensor in graph.initializer:
            self._store(tensor.name, _to_torch(tensor))
        inputs = [value for value in graph.input if not self._is_stored(value.name)]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise StyleSwapError(
                f"expected a recognizer with one input and one output, {Path(path).name} has {len(inputs)} and "
                f"{len(graph.output)}; name the recognizer file of the pack"
            )
        self.input_name, self.output_name = inputs[0].name, graph.output[0].name
        self.input_shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else None for dim in inputs[0].type.tensor_type.shape.dim
        )
        self.leading_node_names = tuple(node.name for node in graph.node[:8])
        self.nodes = self._read_nodes(graph, Path(path).name)

    def forward(self, x: Tensor) -> Tensor:
        """The graph's output for a floating-point input."""
        (output,) = self.collect(x, (self.output_name,))
        return output

    def collect(self, x: Tensor, names: Sequence[str]) -> list[Tensor]:
        """The values with these names; nodes after the last of them do not run.

        Raises:
            StyleSwapError: The graph has no value of that name.
        """
        wanted = set(names)
        found: dict[str, Tensor] = {}
        for name, value in self.walk(x):
            if name in wanted:
                found[name] = value
                if len(found) == len(wanted):
                    break
        if missing := wanted - found.keys():
            raise StyleSwapError(f"the graph has no value named {', '.join(sorted(missing))}; see OnnxGraph.nodes")
        return [found[name] for name in names]

    def walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, value) of every node's output in order of execution."""
        values = {self.input_name: x}
        for node in self.nodes:
            arguments = [self._value(name, values) for name in node.inputs]
            values[node.output] = OPERATORS[node.operator](*arguments, **node.attributes)
            yield node.output, values[node.output]
            for name in node.finished:
                values.pop(name, None)

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

    def _is_stored(self, name: str) -> bool:
        return name in self._buffer_names or name in self._constants

    def _read_nodes(self, graph: "GraphProto", file_name: str) -> list[Node]:
        last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
        nodes = []
        for i, node in enumerate(graph.node):
            if node.op_type == "Constant":
                self._store(node.output[0], _constant(node))
                continue
            outputs = [name for name in node.output if name]
            # The second output of Dropout and MaxPool (the mask, the indices) is named by some exporters, never read.
            unread = all(name not in last_use and name != self.output_name for name in outputs[1:])
            if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx") or not unread:
                kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
                raise StyleSwapError(
                    f"{file_name} uses the ONNX operator {kind} (node {node.name or outputs[0]!r}), which this loader "
                    f"does not support; use a recognizer built of {', '.join(sorted(OPERATORS))}"
                )
            used = {name for name in (*node.input, outputs[0]) if last_use.get(name, i) == i}
            finished = tuple(sorted(used - {self.output_name, ""}))
            attributes = _attributes(node, file_name)
            nodes.append(Node(node.op_type, node.name, tuple(node.input), outputs[0], attributes, finished))
        return nodes


def _read(path: Path) -> "ModelProto":
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise StyleSwapError("reading ONNX files needs the package onnx: pip install onnx") from error
    if not path.is_file():
        raise StyleSwapError(f"expected an .onnx file, but {path} does not exist; check the path")
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError) as error:
        raise StyleSwapError(f"{path} is not an ONNX file or is damaged; download or export it again") from error
    if not model.graph.node:
        raise StyleSwapError(f"{path} holds no ONNX graph; download or export it again")
    return model


def _attributes(node: "NodeProto", file_name: str) -> dict[str, Attribute]:
    """The attributes of a node that its operator takes; the others concern training or outputs that are never read."""
    from onnx import helper

    signature = inspect.signature(OPERATORS[node.op_type])
    keywords = {name for name, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute if item.name in keywords}
    attributes = {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
    try:
        signature.bind(*node.input, **attributes)
    except TypeError as error:
        raise StyleSwapError(
            f"{file_name} has a node {node.name or node.output[0]!r} without the inputs and attributes of the ONNX "
            f"operator {node.op_type} ({error}); export the recognizer again"
        ) from error
    return attributes


def _constant(node: "NodeProto") -> Tensor:
    from onnx import helper

    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    for key, value in attributes.items():
        if key == "value":
            return _to_torch(value)
        if key in ("value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.float32)
        if key in ("value_int", "value_ints"):
            return torch.tensor(value, dtype=torch.int64)
    raise StyleSwapError(f"expected an ONNX Constant that holds numbers, got one with {', '.join(attributes)}")


def _to_torch(tensor: "TensorProto") -> Tensor:
    from onnx import numpy_helper

    # A copy: the arrays of onnx are views on read-only memory.
    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
