"""A baked generator as an ONNX file: one identity, any batch, any runtime.

Input `input` (batch, 3, S, S) in -1..1, an aligned crop; outputs `image` and `rgb` of the same shape and `mask`
(batch, 1, S, S), as the generator gives them. Without a mask branch there is `image` alone.
"""

import operator
from collections.abc import Callable
from pathlib import Path

import torch
from torch import fx

from ..errors import StyleSwapError
from ..model.inference.baked_generator import (
    BakedGenerator,
    composite,
    hold_back_,
    raised_logit,
    replace_mask_,
    soften_mask_,
)
from ..model.inference.packed_conv import FoldedConv
from ..model.layers import SLOPE
from .onnx_writer import GraphWriter, write_graph

# What the masks need, as functions of the generator: one node each in the trace, several in the ONNX graph.
_FUNCTIONS = (composite, hold_back_, raised_logit, replace_mask_, soften_mask_)
_MASK, _COLORS = slice(3, None), slice(None, 3)
# Types and layouts of memory mean nothing in the file, where everything is float32.
_LAYOUT_METHODS = ("to", "float", "contiguous")


def export_baked(path: str | Path, baked: BakedGenerator, description: str = "") -> None:
    """Write a baked generator to `path`, atomically.

    Raises:
        StyleSwapError: it is packed or not float32; bake with packed=False.
    """
    if baked.packed or baked.dtype != torch.float32:
        raise StyleSwapError(
            "only a float32 generator that is not packed can be written as ONNX; bake with packed=False"
        )
    graph = _BakedWriter(baked).run()
    size = baked.config.size
    shapes = {"image": ("batch", 3, size, size)}
    if baked.config.mask_branch:
        shapes |= {"rgb": ("batch", 3, size, size), "mask": ("batch", 1, size, size)}
    write_graph(path, graph, "StyleSwap", ("batch", 3, size, size), shapes, description)


def onnx_difference(path: str | Path, baked: BakedGenerator) -> float:
    """The largest difference between what ONNX Runtime makes of the file and what `baked` gives, over two random crops."""
    # Only this check needs it; writing the file does not.
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
        """Folded convolutions are written whole, everything else by its operations."""
        return isinstance(module, FoldedConv)


class _BakedWriter(GraphWriter):
    """Knows the operators of a baked generator."""

    def __init__(self, baked: BakedGenerator) -> None:
        super().__init__(baked, _BakedTracer())
        self._calls: dict[object, Callable[..., str]] = {
            operator.add: lambda a, b: self.node("Add", [a, b]),
            operator.iadd: lambda a, b: self.node("Add", [a, b]),
            operator.mul: lambda a, b: self.node("Mul", [a, self._operand(b)]),
            operator.getitem: self._channels,
            torch.cat: lambda parts, dim: self.node("Concat", parts, axis=dim),
            torch.sigmoid: self._sigmoid,
            torch.tanh: lambda x: self.node("Tanh", [x]),
            hold_back_: self._held_back,
            raised_logit: lambda picture: self._resized(self._part(picture, _MASK), "linear"),
            replace_mask_: self._with_mask,
            soften_mask_: lambda picture: self._with_mask(picture, self._sigmoid(self._part(picture, _MASK))),
        }

    def emit_module(self, node: fx.Node) -> str:
        """The nodes of a folded convolution with its constant and activation; the name of their output."""
        conv = self.modules[str(node.target)]
        inputs = [self.names[node.args[0]], self.weight(conv.weight)]
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
            name = self.node("Add", [name, self.names[node.kwargs["onto"]]])
        return self.node("LeakyRelu", [name], alpha=SLOPE) if conv.activate else name

    def emit_call(self, node: fx.Node) -> str:
        """The nodes of a function or method that a baked generator calls; the name of their output. TypeError for any other."""
        arguments = fx.map_arg((node.args, node.kwargs), self.names.__getitem__)
        if node.op == "call_method" and node.target in _LAYOUT_METHODS:
            return arguments[0][0]
        if node.op == "call_function" and node.target in self._calls:
            return self._calls[node.target](*arguments[0], **arguments[1])
        if node.op == "call_function" and node.target is composite:
            return self._composited(*arguments[0])
        raise TypeError(f"cannot write {node.op} {node.target} as ONNX")

    def run(self) -> GraphWriter:
        """As `GraphWriter.run`; `outputs` are image, rgb and mask, or rgb alone of a generator without a mask."""
        super().run()
        # The last node of the trace gives three results; they stand here by name.
        self.outputs = self._results
        return self

    def _composited(self, rgb: str, mask: str | None, crop: str) -> str:
        if mask is None:
            self._results = [rgb]
            return rgb
        image = self.node("Add", [crop, self.node("Mul", [mask, self.node("Sub", [rgb, crop])])])
        self._results = [image, rgb, mask]
        return image

    def _channels(self, x: str, index: tuple[slice, slice]) -> str:
        everything, channels = index
        if everything != slice(None) or channels.step is not None:
            raise TypeError(f"cannot write the index {index} as ONNX")
        return self._part(x, channels)

    def _part(self, x: str, channels: slice) -> str:
        end = channels.stop if channels.stop is not None else torch.iinfo(torch.int64).max
        bounds = [self._integers(value) for value in (channels.start or 0, end, 1)]
        return self.node("Slice", [x, *bounds])

    def _with_mask(self, picture: str, mask: str) -> str:
        return self.node("Concat", [self._part(picture, _COLORS), mask], axis=1)

    def _held_back(self, maps: str, mask: str, masking: str, repeat: int) -> str:
        if repeat > 1:
            mask = self._resized(mask, "nearest", repeat)
        if masking == "block":
            return self.node("Mul", [maps, self.node("Sub", [self._operand(1.0), mask])])
        axes = self._integers(2, 3)
        total = self.node("ReduceSum", [self.node("Mul", [maps, mask]), axes], keepdims=1)
        weight = self.node("Max", [self.node("ReduceSum", [mask, axes], keepdims=1), self._operand(1e-6)])
        mean = self.node("Div", [total, weight])
        return self.node("Add", [maps, self.node("Mul", [mask, self.node("Sub", [mean, maps])])])

    def _resized(self, x: str, mode: str, factor: int = 2) -> str:
        placed = "asymmetric" if mode == "nearest" else "half_pixel"
        rounding = {"nearest_mode": "floor"} if mode == "nearest" else {}
        scales = self.weight(torch.tensor([1.0, 1.0, factor, factor]))
        return self.node("Resize", [x, "", scales], mode=mode, coordinate_transformation_mode=placed, **rounding)

    def _sigmoid(self, x: str) -> str:
        return self.node("Sigmoid", [x])

    def _operand(self, value: str | float) -> str:
        return value if isinstance(value, str) else self.weight(torch.tensor(value))

    def _integers(self, *values: int) -> str:
        return self.weight(torch.tensor(values, dtype=torch.int64))
