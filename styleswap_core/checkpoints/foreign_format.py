"""Building blocks of importers: detection of a foreign format, its configuration, and the mapping of its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import torch
from torch import Tensor

from ..model import GeneratorConfig

Shape = tuple[int, ...]
Tensors = Mapping[str, Tensor]


class InferredFields(TypedDict, total=False):
    """Fields of GeneratorConfig that follow from the shapes of tensors."""

    size: int
    style_dim: int
    w_dim: int
    mapping_layers: int
    channel_multiplier: float
    narrow: float
    channels: dict[int, int] | None
    mask_branch: bool


class Statement(TypedDict):
    """JSON form of a `Stated`."""

    value: object
    why: str


@dataclass(frozen=True)
class Form:
    """Conversion of a tensor between a foreign layout and ours.

    Attributes:
        shape: Our shape -> theirs.
        value: (Their tensor, float32; our freshly initialized tensor) -> ours.
        partial: Whether theirs covers only a part of ours; the rest keeps its initial value or is zero.
    """

    shape: Callable[[Shape], Shape]
    value: Callable[[Tensor, Tensor], Tensor]
    partial: bool = False


def _first_inputs(theirs: Tensor, fresh: Tensor) -> Tensor:
    """Weight (1, out, in / 2, k, k) -> (out, in, ...), zero for the second half of the inputs, the attributes.

    The equalized learning rate divides weights by the root of the number of inputs, which doubles.
    """
    value = torch.zeros_like(fresh)
    value[:, : theirs.shape[2]] = theirs.reshape(*theirs.shape[1:3], *fresh.shape[2:]) * math.sqrt(2)
    return value


def _first_rows(theirs: Tensor, fresh: Tensor) -> Tensor:
    """Rows of theirs, followed by initial values."""
    value = fresh.clone()
    value[: len(theirs)] = theirs
    return value


UNCHANGED = Form(lambda shape: shape, lambda theirs, fresh: theirs)
# Foreign modulated convolutions have a leading batch dimension.
KERNEL = Form(lambda shape: (1, *shape), lambda theirs, fresh: theirs[0])
PIXELS = Form(lambda shape: (1, *shape, 1, 1), lambda theirs, fresh: theirs[0, :, :, 0, 0])
PLANE = Form(lambda shape: (1, *shape, 1, 1), lambda theirs, fresh: theirs.flatten())
KERNEL_FIRST_INPUTS = Form(lambda shape: (1, shape[0], shape[1] // 2, *shape[2:]), _first_inputs, partial=True)
PIXELS_FIRST_INPUTS = Form(lambda shape: (1, shape[0], shape[1] // 2, 1, 1), _first_inputs, partial=True)
FIRST_ROWS = Form(lambda shape: (shape[0] // 2, *shape[1:]), _first_rows, partial=True)


@dataclass(frozen=True)
class Link:
    """Source of one of our tensors: its foreign name and layout."""

    theirs: str
    form: Form


@dataclass(frozen=True)
class Stated:
    """A setting that does not follow from shapes: its value in this format, and the reason for it."""

    value: object
    why: str


@dataclass(frozen=True)
class ForeignFormat:
    """An importer.

    Attributes:
        name: Name for `--format`.
        title: Display name.
        matches: Whether tensors have this format, judged by names and shapes.
        infer: Tensors -> the fields of GeneratorConfig that follow from shapes.
        stated: Inferred fields -> the fields that do not follow from shapes.
        links: Configuration -> {our name: source}; tensors without a source keep their initial values.
        kernels: Configuration -> {name of a blur buffer: sum of its taps}. Files may lack these buffers.
        unused: Pattern of names for which our generator has no tensor.
        settable: Fields that a user may override.
        starting_point: Whether the generator needs training before it can swap.
        license: License for the model file.
    """

    name: str
    title: str
    matches: Callable[[Tensors], bool]
    infer: Callable[[Tensors], InferredFields]
    stated: Callable[[InferredFields], dict[str, Stated]]
    links: Callable[[GeneratorConfig], dict[str, Link]]
    kernels: Callable[[GeneratorConfig], dict[str, float]]
    license: str
    starting_point: bool = False
    unused: re.Pattern[str] = field(default_factory=lambda: re.compile(r"(?!)"))
    settable: tuple[str, ...] = (
        "template",
        "recognizer",
        "embedding_norm",
        "attribute_masking",
        "masking_start",
        "mask_accumulation",
    )
