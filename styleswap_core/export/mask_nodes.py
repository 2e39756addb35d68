"""Nodes of resampling and of the mask branch, which baked and unbaked generators share (equations: `model.masks`)."""

from __future__ import annotations

from ..model import GeneratorConfig
from .graph_builder import GraphBuilder


def double(graph: GraphBuilder, x: str, mode: str) -> str:
    """Append upsampling to twice the size, by `mode` "nearest" or "linear" (bilinear); returns its name."""
    coordinates = "asymmetric" if mode == "nearest" else "half_pixel"
    rounding = {"nearest_mode": "floor"} if mode == "nearest" else {}
    scales = graph.numbers(1.0, 1.0, 2.0, 2.0)
    return graph.node("Resize", [x, "", scales], mode=mode, coordinate_transformation_mode=coordinates, **rounding)


def double_fir(graph: GraphBuilder, x: str) -> str:
    """Append `model.layers.upsample_fir`; returns its name."""
    padded = graph.node("Pad", [x, graph.integers(0, 0, 1, 1, 0, 0, 1, 1)])
    doubled = double(graph, padded, "linear")
    bounds = [graph.integers(value, value) for value in (2, -2)]
    return graph.node("Slice", [doubled, *bounds, graph.integers(2, 3)])


def mask_attributes(graph: GraphBuilder, config: GeneratorConfig, maps: str, mask: str) -> str:
    """Append `model.masks.mask_attributes`; returns its name."""
    if config.mask_accumulation == "sigmoid":
        # The mask has half the resolution of the maps, see masks.mask_for_next_attributes.
        mask = double(graph, mask, "nearest")
    if config.attribute_masking == "block":
        return graph.node("Mul", [maps, graph.node("Sub", [graph.numbers(1.0), mask])])
    axes = graph.integers(2, 3)
    total = graph.node("ReduceSum", [graph.node("Mul", [maps, mask]), axes], keepdims=1)
    weight = graph.node("Max", [graph.node("ReduceSum", [mask, axes], keepdims=1), graph.numbers(1e-6)])
    mean = graph.node("Div", [total, weight])
    return composite(graph, mean, mask, maps)


def composite(graph: GraphBuilder, front: str, mask: str, back: str) -> str:
    """Append mask * front + (1 - mask) * back; returns its name."""
    return graph.node("Add", [back, graph.node("Mul", [mask, graph.node("Sub", [front, back])])])
