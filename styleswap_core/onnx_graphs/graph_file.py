"""ONNX files: the graph, its constants, and the attributes of its nodes as torch takes them."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError, decoding
from ..installation.import_failures import require
from .operators import Operator, operators_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

Attribute = int | float | str | Sequence[int] | Sequence[float] | Tensor


@dataclass(frozen=True)
class Node:
    """One operation of a graph.

    Attributes:
        operator: Its name in the ONNX specification.
        name: Name of the node in the file; may be empty.
        inputs: Names of the input values; "" stands for an optional input that is left out.
        outputs: Names of the output values.
        attributes: Keyword arguments of the operator.
        function: The operator.
        finished: Names of the values that no later node reads.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    function: Operator
    finished: tuple[str, ...]

    @property
    def output(self) -> str:
        """Name of the first output value."""
        return self.outputs[0]

    def run(self, arguments: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """The values of `outputs`."""
        result = self.function(*arguments, **self.attributes)
        return result if isinstance(result, tuple) else (result,)


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph.

    Attributes:
        name: Its name.
        shape: Its declared shape; None for a free dimension.
    """

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class GraphFile:
    """Content of an ONNX file.

    Attributes:
        name: File name.
        inputs: The inputs that are not constants.
        outputs: Names of the outputs.
        constants: Constants by name, in the file's precision.
        nodes: The operations in order of execution, without constants.
        leading_node_names: Names of the first eight nodes.
    """

    name: str
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Tensor]
    nodes: list[Node]
    leading_node_names: tuple[str, ...]


def read_graph(path: str | Path) -> GraphFile:
    """Read an ONNX file.

    Raises:
        StyleSwapError: No ONNX file, an unsupported operator, or a node that is no proper call of its operator.
    """
    path = Path(path)
    model = _load(path)
    # Files may hold types and attributes that onnx and torch refuse in many ways.
    with decoding(f"{path} is not a valid ONNX graph", "download or export it again"):
        return _graph_file(path.name, model)


def _graph_file(name: str, model: "ModelProto") -> GraphFile:
    graph = model.graph
    constants = {tensor.name: to_torch(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = _constant(node)
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    outputs = tuple(value.name for value in graph.output)
    return GraphFile(
        name=name,
        inputs=tuple(_input(value) for value in graph.input if value.name not in constants),
        outputs=outputs,
        constants=constants,
        nodes=_nodes(list(graph.node), name, outputs, operators_of(opset)),
        leading_node_names=tuple(node.name for node in graph.node[:8]),
    )


def to_torch(tensor: "TensorProto") -> Tensor:
    """A constant of the file."""
    from onnx import numpy_helper

    # A copy: the arrays of onnx are views on read-only memory.
    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))


def _load(path: Path) -> "ModelProto":
    require("onnx", purpose="reading ONNX files needs")
    import onnx

    if not path.is_file():
        raise StyleSwapError(f"expected an .onnx file, but {path} does not exist; check the path")
    with decoding(f"{path} is not an ONNX file or is damaged", "download or export it again"):
        model = onnx.load(str(path))
    if not model.graph.node:
        raise StyleSwapError(f"{path} holds no ONNX graph; download or export it again")
    return model


def _input(value: "ValueInfoProto") -> GraphInput:
    dimensions = value.type.tensor_type.shape.dim
    return GraphInput(value.name, tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dimensions))


def _nodes(
    protos: Sequence["NodeProto"], file_name: str, results: Sequence[str], operators: Mapping[str, Operator]
) -> list[Node]:
    last_use = {name: i for i, node in enumerate(protos) for name in node.input}
    nodes = []
    for i, node in enumerate(protos):
        if node.op_type == "Constant":
            continue
        outputs = tuple(node.output) if node.op_type == "Split" else tuple(node.output[:1])
        # The second output of Dropout and MaxPool (the mask, the indices) is named by some exporters, never read.
        unread = all(name not in last_use and name not in results for name in node.output[len(outputs) :])
        if node.op_type not in operators or node.domain not in ("", "ai.onnx") or not unread:
            kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            raise StyleSwapError(
                f"{file_name} uses the ONNX operator {kind} (node {node.name or node.output[0]!r}), through which this "
                "project has no gradients; use another network, or export it with other operators"
            )
        function = operators[node.op_type]
        attributes = _attributes(node, file_name, function)
        used = {name for name in (*node.input, *outputs) if last_use.get(name, i) == i}
        finished = tuple(sorted(used.difference(results, [""])))
        nodes.append(Node(node.op_type, node.name, tuple(node.input), outputs, attributes, function, finished))
    return nodes


def _attributes(node: "NodeProto", file_name: str, function: Operator) -> dict[str, Attribute]:
    """The attributes of a node that its operator takes; the others concern training or outputs that are never read."""
    from onnx import TensorProto, helper

    signature = inspect.signature(function)
    keywords = {name for name, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    attributes: dict[str, Attribute] = {"num_outputs": len(node.output)} if node.op_type == "Split" else {}
    for item in node.attribute:
        if item.name in keywords:
            value = helper.get_attribute_value(item)
            if isinstance(value, TensorProto):
                value = to_torch(value)
            attributes[item.name] = value.decode() if isinstance(value, bytes) else value
    try:
        signature.bind(*node.input, **attributes)
    except TypeError as error:
        raise StyleSwapError(
            f"{file_name} has a node {node.name or node.output[0]!r} without the inputs and attributes of the ONNX "
            f"operator {node.op_type} ({error}); export the network again"
        ) from error
    return attributes


def _constant(node: "NodeProto") -> Tensor:
    from onnx import helper

    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    for key, value in attributes.items():
        if key == "value":
            return to_torch(value)
        if key in ("value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.float32)
        if key in ("value_int", "value_ints"):
            return torch.tensor(value, dtype=torch.int64)
    raise StyleSwapError(f"expected an ONNX Constant that holds numbers, got one with {', '.join(attributes)}")
