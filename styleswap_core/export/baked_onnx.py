"""Export of a baked generator as an ONNX file, for one identity and any batch size.

Input: `input` (batch, 3, S, S) in -1..1, an aligned crop. Outputs: `image` and `rgb` of the same shape and `mask`
(batch, 1, S, S), as in GeneratorOutput; without a mask branch `image` only.
"""

import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import fx

from ..errors import StyleSwapError
from ..model.generator_output import generator_output
from ..model.inference.baked_generator import BakedGenerator
from ..model.inference.baked_masks import apply_mask_sigmoid_, replace_mask_, upsample_mask_logits
from ..model.inference.packed_conv import FoldedConv
from ..model.layers import SLOPE
from ..model.masks import mask_attributes_
from .graph_builder import Shape, write_graph
from .mask_nodes import composite, double, mask_attributes
from .onnx_writer import GraphWriter, source_node

# Functions of the generator that are single nodes of the trace and become several nodes of the ONNX graph.
_FUNCTIONS = (generator_output, mask_attributes_, upsample_mask_logits, replace_mask_, apply_mask_sigmoid_)
_MASK = 3  # channel
# Conversions of type and memory format, which the file does not need: all of its tensors are float32.
_LAYOUT_METHODS = ("to", "float", "contiguous")


def export_baked(path: str | Path, baked: BakedGenerator, description: str = "") -> None:
    """Write a baked generator to an ONNX file, atomically.

    Raises:
        StyleSwapError: It is packed or not float32.
    """
    if baked.packed or baked.dtype != torch.float32:
        raise StyleSwapError(
            f"expected an unpacked float32 generator, got {baked.dtype}, packed={baked.packed}; bake with packed=False"
        )
    graph = _BakedWriter(baked).run()
    size = baked.config.size
    shapes: dict[str, Shape] = {"image": ("batch", 3, size, size)}
    if baked.config.mask_branch:
        shapes |= {"rgb": ("batch", 3, size, size), "mask": ("batch", 1, size, size)}
    write_graph(path, graph, "StyleSwap", {"input": ("batch", 3, size, size)}, shapes, description)


def onnx_difference(path: str | Path, baked: BakedGenerator) -> float:
    """Largest difference between the outputs of the file in ONNX Runtime and those of `baked`, for two random crops."""
    # Only needed here, not for writing the file.
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    size = baked.config.size
    crop = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = baked(crop)
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {"input": crop.numpy()})
    return max(
        float((getattr(expected, name) - torch.from_numpy(values)).abs().max())
        for name, values in zip(names, found, strict=True)
    )


class _BakedTracer(fx.Tracer):
    traced_func_name = "run"

    def __init__(self) -> None:
        super().__init__(autowrap_functions=_FUNCTIONS)

    def is_leaf_module(self, module: torch.nn.Module, qualified_name: str) -> bool:
        """Folded convolutions become one node, everything else is traced."""
        return isinstance(module, FoldedConv)


class _BakedWriter(GraphWriter):
    """Graph writer with the operators of a baked generator."""

    def __init__(self, baked: BakedGenerator) -> None:
        super().__init__(baked, _BakedTracer())
        self._results: list[str] = []
        self._calls: dict[object, Callable[..., str]] = {
            operator.add: lambda a, b: self.node("Add", [a, b]),
            operator.iadd: lambda a, b: self.node("Add", [a, b]),
            operator.mul: lambda a, b: self.node("Mul", [a, self._operand(b)]),
            operator.getitem: self._indexed,
            torch.cat: lambda parts, dim: self.node("Concat", parts, axis=dim),
            torch.sigmoid: self._sigmoid,
            torch.tanh: lambda x: self.node("Tanh", [x]),
            mask_attributes_: lambda maps, mask, _: mask_attributes(self, baked.config, maps, mask),
            upsample_mask_logits: lambda pixels: double(self, self.channels(pixels, _MASK), "linear"),
            replace_mask_: self._replace_mask,
            apply_mask_sigmoid_: lambda pixels: self._replace_mask(pixels, self._sigmoid(self.channels(pixels, _MASK))),
        }

    def emit_module(self, node: fx.Node) -> str:
        """Append a folded convolution with its constant and activation; returns the name of the output."""
        conv = self.modules[str(node.target)]
        assert isinstance(conv, FoldedConv)
        inputs = [self.names[source_node(node.args[0])], self.weight(conv.weight)]
        if conv.bias is not None:
            inputs.append(self.weight(conv.bias))
        name = self.node(
            "ConvTranspose" if conv.transposed else "Conv",
            inputs,
            kernel_shape=list(conv.weight.shape[2:]),
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
            group=conv.groups,
        )
        if conv.map is not None:
            name = self.node("Add", [name, self.weight(conv.map)])
        if "onto" in node.kwargs:
            name = self.node("Add", [name, self.names[source_node(node.kwargs["onto"])]])
        return self.node("LeakyRelu", [name], alpha=SLOPE) if conv.activate else name

    def emit_call(self, node: fx.Node) -> str:
        """Append a function or method that a baked generator calls; returns the name of the output.

        Raises:
            TypeError: The function is not supported.
        """
        args = cast(tuple[Any, ...], fx.map_arg(node.args, self._name_of))
        kwargs = cast(dict[str, Any], fx.map_arg(node.kwargs, self._name_of))
        if node.op == "call_method" and node.target in _LAYOUT_METHODS:
            return args[0]
        if node.op == "call_function" and node.target in self._calls:
            return self._calls[node.target](*args, **kwargs)
        if node.op == "call_function" and node.target is generator_output:
            return self._composite(*args)
        raise TypeError(f"cannot export {node.op} {node.target} to ONNX")

    def run(self) -> GraphWriter:
        """See `GraphWriter.run`; `outputs` are image, rgb and mask, or rgb only for a generator without a mask."""
        super().run()
        # The last node of the trace has several results.
        self.outputs = self._results
        return self

    def _composite(self, rgb: str, mask: str | None, crop: str, mask_logits: Sequence[str]) -> str:
        if mask is None:
            self._results = [rgb]
            return rgb
        image = composite(self, rgb, mask, crop)
        self._results = [image, rgb, mask]
        return image

    def _indexed(self, x: str, index: tuple[slice, slice]) -> str:
        everything, channels = index
        if everything != slice(None) or channels.step is not None:
            raise TypeError(f"cannot export the index {index} to ONNX")
        return self.channels(x, channels.start or 0, channels.stop)

    def _replace_mask(self, pixels: str, mask: str) -> str:
        return self.node("Concat", [self.channels(pixels, 0, _MASK), mask], axis=1)

    def _sigmoid(self, x: str) -> str:
        return self.node("Sigmoid", [x])

    def _operand(self, value: str | float) -> str:
        return value if isinstance(value, str) else self.numbers(value)
