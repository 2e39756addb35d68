"""A small ONNX reader: turns the graph of a face recognizer into a torch module through which gradients flow.

It knows the operators that exporters emit for recognizers (convolutions, normalizations, activations, and the shape
arithmetic of a flatten) and names the one it does not know. The semantics are those of the ONNX operator
specification; where an attribute became an input in a later opset, both forms are read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..errors import StyleSwapError

Attributes = dict[str, Any]
Inputs = list[torch.Tensor | None]
Operator = Callable[[Inputs, Attributes], torch.Tensor]


@dataclass(frozen=True)
class Node:
    """One operation: values are referred to by name, "" stands for an optional input that is left out."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes
    finished: tuple[str, ...]
    """Values nobody reads after this node."""


class OnnxGraph(nn.Module):
    """An ONNX graph with one input and one output as a torch module.

    Floating-point weights are frozen buffers, so `.to()` moves them and no optimizer finds them; integer constants
    (shapes, axes) stay on the CPU, where they are used.

    Args:
        path: an .onnx file.

    Raises:
        StyleSwapError: no ONNX file, more than one input or output, or an operator that is not known here.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        model = _read(path)
        graph = model.graph
        self._buffer_names: dict[str, str] = {}
        self._constants: dict[str, torch.Tensor] = {}
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
        """Declared shape of the input; None where it is free."""
        self.leading_node_names = tuple(node.name for node in graph.node[:8])
        """Names of the file's first nodes: insightface guesses a recognizer's input range by them."""
        self.nodes = self._read_nodes(graph, Path(path).name)

    def forward(self, x: torch.Tensor, collect: tuple[str, ...] = ()) -> torch.Tensor | list[torch.Tensor]:
        """Run the graph.

        Args:
            x: the input, float.
            collect: names of values in the graph; if given, those are returned instead of the output, and nodes
                after the last of them do not run.
        """
        wanted = set(collect or (self.output_name,))
        found: dict[str, torch.Tensor] = {}
        for name, value in self.walk(x):
            if name in wanted:
                found[name] = value
                if len(found) == len(wanted):
                    break
        if missing := wanted - found.keys():
            raise StyleSwapError(f"the graph has no value named {', '.join(sorted(missing))}; see OnnxGraph.nodes")
        return [found[name] for name in collect] if collect else found[self.output_name]

    def walk(self, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield (name, value) of every node's output in order of execution."""
        values: dict[str, torch.Tensor] = {self.input_name: x}
        for node in self.nodes:
            arguments = [self._value(name, values) for name in node.inputs]
            values[node.output] = _OPERATORS[node.operator](arguments, node.attributes)
            yield node.output, values[node.output]
            for name in node.finished:
                values.pop(name, None)

    def _value(self, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor | None:
        if not name:
            return None
        if name in values:
            return values[name]
        return getattr(self, self._buffer_names[name]) if name in self._buffer_names else self._constants[name]

    def _store(self, name: str, tensor: torch.Tensor) -> None:
        if not tensor.is_floating_point():
            self._constants[name] = tensor
            return
        # Buffer names may not contain dots, ONNX names may be anything.
        self._buffer_names[name] = f"weight_{len(self._buffer_names)}"
        # Half-precision files exist; the parity that is promised is that of float32 arithmetic.
        self.register_buffer(self._buffer_names[name], tensor.float())

    def _is_stored(self, name: str) -> bool:
        return name in self._buffer_names or name in self._constants

    def _read_nodes(self, graph: Any, file_name: str) -> list[Node]:
        from onnx import helper

        last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
        nodes = []
        for i, node in enumerate(graph.node):
            attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            if node.op_type == "Constant":
                self._store(node.output[0], _constant(attributes))
                continue
            outputs = [name for name in node.output if name]
            # The second output of Dropout and MaxPool (the mask, the indices) is named by some exporters, never read.
            unread = all(name not in last_use and name != self.output_name for name in outputs[1:])
            if node.op_type not in _OPERATORS or node.domain not in ("", "ai.onnx") or not unread:
                kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
                raise StyleSwapError(
                    f"{file_name} uses the ONNX operator {kind} (node {node.name or outputs[0]!r}), which this loader "
                    f"does not know; use a recognizer built of {', '.join(sorted(_OPERATORS))}"
                )
            used = {name for name in (*node.input, outputs[0]) if last_use.get(name, i) == i}
            finished = tuple(sorted(used - {self.output_name, ""}))
            nodes.append(Node(node.op_type, node.name, tuple(node.input), outputs[0], attributes, finished))
        return nodes


def _read(path: str | Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise StyleSwapError("reading ONNX files needs the package onnx: pip install onnx") from error
    path = Path(path)
    if not path.is_file():
        raise StyleSwapError(f"expected an .onnx file, but {path} does not exist; check the path")
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError) as error:
        raise StyleSwapError(f"{path} is not an ONNX file or is damaged; download or export it again") from error
    if not model.graph.node:
        raise StyleSwapError(f"{path} holds no ONNX graph; download or export it again")
    return model


def _to_torch(tensor: Any) -> torch.Tensor:
    from onnx import numpy_helper

    # A copy: the arrays of onnx are views on read-only memory.
    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))


def _constant(attributes: Attributes) -> torch.Tensor:
    for key, value in attributes.items():
        if key == "value":
            return _to_torch(value)
        if key in ("value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.float32)
        if key in ("value_int", "value_ints"):
            return torch.tensor(value, dtype=torch.int64)
    raise StyleSwapError(f"expected an ONNX Constant holding numbers, got one with {', '.join(attributes)}")


def _padding(attributes: Attributes, x: torch.Tensor, kernel: list[int]) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial axis."""
    mode = attributes.get("auto_pad", b"NOTSET").decode()
    strides = attributes.get("strides", [1] * len(kernel))
    dilations = attributes.get("dilations", [1] * len(kernel))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max(0, (-(-side // stride) - 1) * stride + (k - 1) * dilation + 1 - side)
            for side, stride, k, dilation in zip(x.shape[2:], strides, kernel, dilations, strict=True)
        ]
        small, large = [value // 2 for value in total], [value - value // 2 for value in total]
        return (small, large) if mode == "SAME_UPPER" else (large, small)
    pads = attributes.get("pads", [0] * (2 * len(kernel)))
    return list(pads[: len(kernel)]), list(pads[len(kernel) :])


def _pad(x: torch.Tensor, before: list[int], after: list[int], value: float = 0.0) -> torch.Tensor:
    # F.pad counts from the last axis.
    amounts = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
    return F.pad(x, amounts, value=value) if any(amounts) else x


def _conv(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, weight, bias = (*inputs, None)[:3]
    before, after = _padding(attributes, x, list(weight.shape[2:]))
    if before != after:
        x, before = _pad(x, before, after), [0] * len(before)
    convolution = {1: F.conv1d, 2: F.conv2d}[weight.ndim - 2]
    stride, dilation = attributes.get("strides", 1), attributes.get("dilations", 1)
    return convolution(x, weight, bias, stride, before, dilation, attributes.get("group", 1))


def _batch_norm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, scale, bias, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=attributes.get("epsilon", 1e-5))


def _prelu(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, slope = inputs
    # Under autocast the activations may be narrower than the weights, which prelu does not promote.
    slope = slope.to(x.dtype)
    if slope.numel() != x.shape[1] or slope.numel() != max(slope.shape):
        return torch.where(x >= 0, x, x * slope)
    if slope.requires_grad:
        return F.prelu(x, slope.flatten())
    slopes = slope.reshape(1, -1, *(1,) * (x.ndim - 2)).expand(1, *x.shape[1:])
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        # Written out: along channels_last's innermost axis, broadcasting takes several times as long on a CPU.
        slopes = slopes.contiguous(memory_format=torch.channels_last)
    return _FrozenPRelu.apply(x, slopes)


class _FrozenPRelu(torch.autograd.Function):
    """PReLU of x (B, C, ...) with slopes (1, C, ...) that want no gradient: torch's own computes one for each pixel."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """X (B, C, ...), slopes (1, C, ...) in the memory order of x -> the shape of x."""
        ctx.save_for_backward(x, slopes)
        return torch.lerp(F.relu(x), x, slopes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Gradient of the result -> that of x, and none of the slopes."""
        x, slopes = ctx.saved_tensors
        return torch.lerp(torch.ops.aten.threshold_backward(gradient, x, 0.0), gradient, slopes), None


def _gemm(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    a, b, c = (*inputs, None)[:3]
    a = a.T if attributes.get("transA", 0) else a
    b = b.T if attributes.get("transB", 0) else b
    product = a @ b * attributes.get("alpha", 1.0)
    return product if c is None else product + c * attributes.get("beta", 1.0)


def _reshape(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, shape = inputs
    sides = shape.tolist()
    if not attributes.get("allowzero", 0):
        sides = [x.shape[i] if side == 0 else side for i, side in enumerate(sides)]
    return x.reshape(sides)


def _flatten(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    (x,) = inputs
    axis = attributes.get("axis", 1)
    rows = int(np.prod(x.shape[: axis if axis >= 0 else x.ndim + axis], dtype=np.int64))
    # Not (rows, -1): an empty batch has no -1 to solve for.
    return x.reshape(rows, x.numel() // max(rows, 1))


def _axes(inputs: Inputs, attributes: Attributes) -> list[int] | None:
    if len(inputs) > 1 and inputs[1] is not None:
        return inputs[1].tolist()
    return list(attributes["axes"]) if "axes" in attributes else None


def _unsqueeze(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, axes = inputs[0], _axes(inputs, attributes)
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    axes = _axes(inputs, attributes)
    return inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(axes))


def _reduce_mean(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, axes = inputs[0], _axes(inputs, attributes)
    return x.mean(tuple(range(x.ndim)) if axes is None else tuple(axes), keepdim=bool(attributes.get("keepdims", 1)))


def _clip(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    x, low, high = (*inputs, None, None)[:3]
    low = attributes.get("min") if low is None else low.item()
    high = attributes.get("max") if high is None else high.item()
    return x if low is None and high is None else x.clamp(low, high)


def _max_pool(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    (x,) = inputs
    kernel = attributes["kernel_shape"]
    x = _pad(x, *_padding(attributes, x, kernel), value=float("-inf"))
    stride, dilation = attributes.get("strides", 1), attributes.get("dilations", 1)
    return F.max_pool2d(x, kernel, stride, 0, dilation, bool(attributes.get("ceil_mode", 0)))


def _average_pool(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    (x,) = inputs
    kernel = attributes["kernel_shape"]
    before, after = _padding(attributes, x, kernel)
    stride, ceil = attributes.get("strides", 1), bool(attributes.get("ceil_mode", 0))
    total = F.avg_pool2d(_pad(x, before, after), kernel, stride, 0, ceil)
    if attributes.get("count_include_pad", 0) or not any(before + after):
        return total
    # Padding does not count: divide by the share of real pixels under each window.
    share = F.avg_pool2d(_pad(torch.ones_like(x[:1, :1]), before, after), kernel, stride, 0, ceil)
    return total / share


def _gather(inputs: Inputs, attributes: Attributes) -> torch.Tensor:
    data, indices = inputs
    axis = attributes.get("axis", 0) % data.ndim
    indices = torch.where(indices < 0, indices + data.shape[axis], indices).to(data.device)
    picked = data.index_select(axis, indices.reshape(-1))
    return picked.reshape((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))


_OPERATORS: dict[str, Operator] = {
    "Add": lambda i, a: i[0] + i[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda i, a: torch.cat(i, a["axis"]),
    "Conv": _conv,
    "Div": lambda i, a: i[0] / i[1],
    "Dropout": lambda i, a: i[0],
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda i, a: i[0].mean(tuple(range(2, i[0].ndim)), keepdim=True),
    "Identity": lambda i, a: i[0],
    "LeakyRelu": lambda i, a: F.leaky_relu(i[0], a.get("alpha", 0.01)),
    "MatMul": lambda i, a: i[0] @ i[1],
    "MaxPool": _max_pool,
    "Mul": lambda i, a: i[0] * i[1],
    "PRelu": _prelu,
    "Pow": lambda i, a: i[0] ** i[1],
    "ReduceMean": _reduce_mean,
    "Relu": lambda i, a: F.relu(i[0]),
    "Reshape": _reshape,
    "Shape": lambda i, a: torch.tensor(i[0].shape[a.get("start", 0) : a.get("end", None)], dtype=torch.int64),
    "Sigmoid": lambda i, a: torch.sigmoid(i[0]),
    "Sqrt": lambda i, a: i[0].sqrt(),
    "Squeeze": _squeeze,
    "Sub": lambda i, a: i[0] - i[1],
    "Transpose": lambda i, a: i[0].permute(a.get("perm", list(range(i[0].ndim))[::-1])),
    "Unsqueeze": _unsqueeze,
}
