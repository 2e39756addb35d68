"""ONNX operators that move, repeat and select elements, and the arithmetic of shapes."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import devices
from ..errors import StyleSwapError
from .elementwise_operators import on_one_device
from .reduction_operators import axes_of


def concat(*parts: Tensor, axis: int) -> Tensor:
    """Concat."""
    return torch.cat(on_one_device(*parts), axis)


def constant_of_shape(shape: Tensor, /, *, value: Tensor | None = None) -> Tensor:
    """ConstantOfShape, by default zeros in float32."""
    fill = torch.zeros(1) if value is None else value
    return fill.reshape(()).expand(shape.tolist()).clone()


def depth_to_space(x: Tensor, /, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """DepthToSpace."""
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    batch, channels, height, width = x.shape
    inner = channels // blocksize**2
    x = x.reshape(batch, blocksize, blocksize, inner, height, width).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(batch, inner, height * blocksize, width * blocksize)


def expand(x: Tensor, shape: Tensor, /) -> Tensor:
    """Expand; axes of either may be broadcast."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


def flatten(x: Tensor, /, *, axis: int = 1) -> Tensor:
    """Flatten to (product of the sides before `axis`, product of the others)."""
    rows = math.prod(x.shape[: axis if axis >= 0 else x.ndim + axis])
    # Not (rows, -1): an empty batch has no -1 to solve for.
    return x.reshape(rows, x.numel() // max(rows, 1))


def gather(data: Tensor, indices: Tensor, /, *, axis: int = 0) -> Tensor:
    """Gather; negative indices count from the end."""
    axis %= data.ndim
    indices = torch.where(indices < 0, indices + data.shape[axis], indices).to(data.device)
    picked = data.index_select(axis, indices.reshape(-1))
    return picked.reshape((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))


def grid_sample(
    x: Tensor, grid: Tensor, /, *, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: int = 0
) -> Tensor:
    """GridSample; the modes have other names since opset 20."""
    known = {"linear": "bilinear", "cubic": "bicubic"}
    return devices.grid_sample(x, grid, known.get(mode, mode), padding_mode, bool(align_corners))


def pad(
    x: Tensor,
    pads_input: Tensor | None = None,
    fill: Tensor | None = None,
    axes: Tensor | None = None,
    /,
    *,
    mode: str = "constant",
    pads: list[int] | None = None,
    value: float = 0.0,
) -> Tensor:
    """Pad any axes, by a constant, by reflection, or by the edge; pads and value are attributes before opset 11."""
    amounts: list[int] = list(pads or []) if pads_input is None else pads_input.tolist()
    chosen = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes.tolist()]
    sides = [(0, 0)] * x.ndim
    for place, axis in enumerate(chosen):
        sides[axis] = (amounts[place], amounts[place + len(chosen)])
    number = value if fill is None else float(fill)
    spatial = x.ndim == 4 and not any(sides[0] + sides[1])
    if mode == "constant" or (mode in ("reflect", "edge") and spatial):
        # F.pad counts from the last axis.
        used = sides[2:] if spatial else sides
        amounts = [amount for pair in reversed(used) for amount in pair]
        return F.pad(x, amounts, {"edge": "replicate"}.get(mode, mode), number if mode == "constant" else None)
    for axis, (before, after) in enumerate(sides):
        if before or after:
            x = x.index_select(axis, _padded_indices(x.shape[axis], before, after, mode).to(x.device))
    return x


def _padded_indices(side: int, before: int, after: int, mode: str) -> Tensor:
    """For each place of a padded axis, the element that it repeats."""
    places = torch.arange(-before, side + after)
    if mode == "edge":
        return places.clamp(0, side - 1)
    if mode == "wrap":
        return places % side
    if mode != "reflect":
        raise StyleSwapError(f"expected an ONNX Pad by constant, reflect, edge or wrap, got {mode!r}")
    period = max(2 * (side - 1), 1)
    places = places % period
    return torch.where(places < side, places, period - places)


def range_of(start: Tensor, limit: Tensor, delta: Tensor, /) -> Tensor:
    """Range."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def reshape(x: Tensor, shape: Tensor, /, *, allowzero: int = 0) -> Tensor:
    """Reshape; a side of 0 is copied from `x` unless `allowzero`."""
    sides: list[int] = shape.tolist()
    if not allowzero:
        sides = [x.shape[i] if side == 0 else side for i, side in enumerate(sides)]
    return x.reshape(sides)


def shape_of(x: Tensor, /, *, start: int = 0, end: int | None = None) -> Tensor:
    """Shape, int64 on the CPU."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def slice_of(
    x: Tensor,
    starts_input: Tensor | None = None,
    ends_input: Tensor | None = None,
    axes_input: Tensor | None = None,
    steps_input: Tensor | None = None,
    /,
    *,
    starts: list[int] | None = None,
    ends: list[int] | None = None,
    axes: list[int] | None = None,
) -> Tensor:
    """Slice; bounds and axes are attributes before opset 10."""
    first = list(starts or []) if starts_input is None else starts_input.tolist()
    last = list(ends or []) if ends_input is None else ends_input.tolist()
    chosen = axes_of(axes_input, axes) or tuple(range(len(first)))
    steps = [1] * len(first) if steps_input is None else steps_input.tolist()
    for axis, start, end, step in zip(chosen, first, last, steps, strict=True):
        begin, stop, stride = slice(start, end, step).indices(x.shape[axis])
        if stride == 1:
            x = x.narrow(axis, begin, max(stop - begin, 0))
        else:
            x = x.index_select(axis, torch.arange(begin, stop, stride, device=x.device))
    return x


def space_to_depth(x: Tensor, /, *, blocksize: int) -> Tensor:
    """SpaceToDepth."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // blocksize, blocksize, width // blocksize, blocksize)
    x = x.permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, channels * blocksize**2, height // blocksize, width // blocksize)


def split(
    x: Tensor,
    lengths: Tensor | None = None,
    /,
    *,
    axis: int = 0,
    split: list[int] | None = None,
    num_outputs: int = 1,
) -> tuple[Tensor, ...]:
    """Split; without lengths into `num_outputs` parts, of which the last may be smaller."""
    given = split if lengths is None else lengths.tolist()
    return torch.split(x, given or -(-x.shape[axis] // num_outputs), axis)


def squeeze(x: Tensor, axes_input: Tensor | None = None, /, *, axes: list[int] | None = None) -> Tensor:
    """Squeeze, by default all axes of length 1."""
    chosen = axes_of(axes_input, axes)
    return x.squeeze() if chosen is None else x.squeeze(chosen)


def tile(x: Tensor, repeats: Tensor, /) -> Tensor:
    """Tile."""
    counts: Sequence[int] = repeats.tolist()
    return x.repeat(*counts)


def transpose(x: Tensor, /, *, perm: list[int] | None = None) -> Tensor:
    """Transpose, which by default reverses the axes."""
    return x.permute(*(perm or reversed(range(x.ndim))))


def unsqueeze(x: Tensor, axes_input: Tensor | None = None, /, *, axes: list[int] | None = None) -> Tensor:
    """Unsqueeze; the axes are those of the result."""
    chosen = axes_of(axes_input, axes)
    if chosen is None:
        raise StyleSwapError("expected an ONNX Unsqueeze with axes, got one without; export the network again")
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


SHAPES: dict[str, Callable[..., Tensor | tuple[Tensor, ...]]] = {
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "Dropout": lambda x, *unused: x,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GridSample": grid_sample,
    "Identity": lambda x: x,
    "Pad": pad,
    "Range": range_of,
    "Reshape": reshape,
    "Shape": shape_of,
    "Slice": slice_of,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
