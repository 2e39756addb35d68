"""ONNX export of small torch networks.

PyTorch's exporters need additional packages or are deprecated, and their node names are arbitrary, while insightface
infers the input normalization from the names of the first nodes. This module traces the network with `torch.fx` and
turns each module into one node, named after its operator; batch normalization is folded into the preceding convolution
or linear layer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from .graph_builder import GraphBuilder, Shape, write_graph

Fuse = Callable[..., tuple[Tensor, Tensor]]
"""`fuse_conv_bn_weights` or `fuse_linear_bn_weights`."""


class AnchorRows(nn.Module):
    """(B, anchors * width, H, W) -> (B * H * W * anchors, width), with rows ordered by y, x, anchor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, maps: Tensor) -> Tensor:
        """Rows (B * H * W * anchors, width) of maps (B, anchors * width, H, W)."""
        return maps.permute(0, 2, 3, 1).reshape(-1, self.width)


def export_onnx(
    path: str | Path,
    module: nn.Module,
    input_shape: Shape,
    output_shapes: Mapping[str, Shape],
    description: str = "",
) -> None:
    """Write `module` in evaluation mode to an ONNX file, atomically.

    Supported: Conv2d, Linear, BatchNorm after either, PReLU, ReLU, Sigmoid, Flatten, average pooling without padding,
    global average pooling, nearest upsampling, AnchorRows, addition. A module may be called several times; its weights
    are written once.

    Args:
        path: The file.
        module: Takes one tensor, the graph's `input`, and returns one tensor or a flat tuple of tensors.
        input_shape: Shape of the input; a string names a variable dimension.
        output_shapes: Names and shapes of the outputs, in order.
        description: Stored in the file.

    Raises:
        TypeError: The module uses an unsupported operator.
        ValueError: The number of outputs differs from `output_shapes`.
    """
    was_training = module.training
    graph = GraphWriter(module.eval()).run()
    module.train(was_training)
    write_graph(path, graph, type(module).__name__, {"input": input_shape}, output_shapes, description)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        """Convolutions, `AnchorRows` and torch's layers become one node each."""
        return isinstance(module, (AnchorRows, nn.Conv2d)) or super().is_leaf_module(module, qualified_name)


def source_node(argument: object) -> fx.Node:
    """The node that computes an argument; TypeError for a constant."""
    if not isinstance(argument, fx.Node):
        raise TypeError(f"cannot export the constant {argument!r} to ONNX")
    return argument


class GraphWriter(GraphBuilder):
    """Converter of a traced module to ONNX nodes and weights; subclasses add operators."""

    def __init__(self, module: nn.Module, tracer: fx.Tracer | None = None) -> None:
        super().__init__()
        self.trace = (tracer or _Tracer()).trace(module)
        self.modules = dict(module.named_modules())
        self.names: dict[fx.Node, str] = {}
        self.written: dict[tuple[nn.Module, str], str] = {}

    def run(self) -> GraphWriter:
        """Fill `nodes`, `initializers` and `outputs`; TypeError for an unsupported operator."""
        for node in self.trace.nodes:
            if node.op == "placeholder":
                self.names[node] = "input"
            elif node.op == "output":
                results = node.args[0] if isinstance(node.args[0], (tuple, list)) else (node.args[0],)
                self.outputs = [self._name_of(result) for result in results]
            elif node.op == "call_module":
                self.names[node] = self.emit_module(node)
            else:
                self.names[node] = self.emit_call(node)
        return self

    def emit_call(self, node: fx.Node) -> str:
        """Append a call of a function or method; returns the name of the output."""
        if node.op == "call_function" and node.target in (operator.add, torch.add):
            return self.node("Add", [self._name_of(argument) for argument in node.args])
        raise TypeError(f"cannot export {node.op} {node.target} to ONNX")

    def emit_module(self, node: fx.Node) -> str:
        """Append a layer, with a following batch normalization folded in; returns the name of the output.

        Raises:
            TypeError: The layer is not supported.
        """
        module = self.modules[str(node.target)]
        source = source_node(node.args[0])
        norm = self._following_norm(node)
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
            if self._following_norm(source) is not module:
                raise TypeError(
                    "batch normalization must directly follow a convolution or linear layer without other readers"
                )
            return self.names[source]
        if isinstance(module, nn.Conv2d):
            return self._conv(module, norm, self.names[source])
        emitters: dict[type[nn.Module], Callable[..., str]] = {
            nn.Linear: self._linear,
            nn.PReLU: self._prelu,
            nn.Upsample: self._upsample,
            nn.AvgPool2d: self._average_pool,
            AnchorRows: self._rows,
        }
        emit = emitters.get(type(module))
        if emit is not None:
            return emit(module, norm, self.names[source])
        simple: dict[type[nn.Module], str] = {
            nn.ReLU: "Relu",
            nn.Sigmoid: "Sigmoid",
            nn.Flatten: "Flatten",
            nn.AdaptiveAvgPool2d: "GlobalAveragePool",
        }
        if type(module) not in simple:
            raise TypeError(f"cannot export {type(module).__name__} to ONNX")
        return self.node(simple[type(module)], [self.names[source]])

    def _name_of(self, argument: object) -> str:
        return self.names[source_node(argument)]

    def _following_norm(self, node: fx.Node) -> nn.Module | None:
        """The batch normalization that is the only reader of this convolution or linear layer, if there is one."""
        if node.op != "call_module" or not isinstance(self.modules[str(node.target)], (nn.Conv2d, nn.Linear)):
            return None
        users = list(node.users)
        if len(users) != 1 or users[0].op != "call_module":
            return None
        module = self.modules[str(users[0].target)]
        return module if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)) else None

    def _conv(self, module: nn.Conv2d, norm: nn.Module | None, source: str) -> str:
        if isinstance(module.padding, str):
            raise TypeError(f"cannot export the padding {module.padding!r} to ONNX; give it as numbers")
        pad_y, pad_x = module.padding
        return self.node(
            "Conv",
            [source, *self._folded(module, norm, fuse_conv_bn_weights)],
            kernel_shape=list(module.kernel_size),
            strides=list(module.stride),
            pads=[pad_y, pad_x, pad_y, pad_x],
            dilations=list(module.dilation),
            group=module.groups,
        )

    def _linear(self, module: nn.Linear, norm: nn.Module | None, source: str) -> str:
        return self.node("Gemm", [source, *self._folded(module, norm, fuse_linear_bn_weights)], transB=1)

    def _prelu(self, module: nn.PReLU, norm: None, source: str) -> str:
        return self.node("PRelu", [source, self.weight(module.weight.reshape(-1, 1, 1))])

    def _upsample(self, module: nn.Upsample, norm: None, source: str) -> str:
        if not isinstance(module.scale_factor, (int, float)):
            raise TypeError("upsampling must have one scale factor for both axes")
        factor = float(module.scale_factor)
        scales = self.weight(torch.tensor([1.0, 1.0, factor, factor]))
        return self.node(
            "Resize",
            [source, "", scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def _average_pool(self, module: nn.AvgPool2d, norm: None, source: str) -> str:
        size, stride = module.kernel_size, module.stride
        if not isinstance(size, int) or not isinstance(stride, int) or module.padding != 0:
            raise TypeError("average pooling must have a square kernel, one stride and no padding")
        return self.node("AveragePool", [source], kernel_shape=[size] * 2, strides=[stride] * 2)

    def _rows(self, module: AnchorRows, norm: None, source: str) -> str:
        last = self.node("Transpose", [source], perm=[0, 2, 3, 1])
        return self.node("Reshape", [last, self.weight(torch.tensor([-1, module.width]))])

    def _folded(self, module: nn.Conv2d | nn.Linear, norm: nn.Module | None, fuse: Fuse) -> list[str]:
        """Names of weight and bias, which are written at the first call of the module."""
        if (module, "weight") not in self.written:
            weight, bias = _fold_norm(module, norm, fuse)
            self.written[module, "weight"], self.written[module, "bias"] = self.weight(weight), self.weight(bias)
        return [self.written[module, "weight"], self.written[module, "bias"]]


def _fold_norm(module: nn.Conv2d | nn.Linear, norm: nn.Module | None, fuse: Fuse) -> tuple[Tensor, Tensor]:
    """Weight and bias (float32), with a following batch normalization folded in."""
    weight = module.weight.detach().float()
    bias = module.bias.detach().float() if module.bias is not None else torch.zeros(weight.shape[0])
    if norm is not None:
        weight, bias = fuse(weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    return weight.contiguous(), bias
