"""What an importer is made of: how a foreign format is recognized, read into a configuration and into our tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..model import GeneratorConfig

Shape = tuple[int, ...]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Form:
    """How one of our tensors stands in a foreign file.

    Attributes:
        shape: our shape -> theirs.
        value: (their tensor float32, our tensor as freshly drawn) -> ours.
        partial: whether they have nothing for a part of ours, which stays as it was drawn or is zero.
    """

    shape: Callable[[Shape], Shape]
    value: Callable[[Tensor, Tensor], Tensor]
    partial: bool = False


def _first_inputs(theirs: Tensor, fresh: Tensor) -> Tensor:
    """Weight (1, out, in / 2, k, k) -> (out, in, ...), zero for the second half of the inputs, the attributes.

    Equalized weights are divided by the root of their inputs, of which there are twice as many now.
    """
    value = torch.zeros_like(fresh)
    value[:, : theirs.shape[2]] = theirs.reshape(*theirs.shape[1:3], *fresh.shape[2:]) * math.sqrt(2)
    return value


def _first_rows(theirs: Tensor, fresh: Tensor) -> Tensor:
    value = fresh.clone()
    value[: len(theirs)] = theirs
    return value


AS_IT_IS = Form(lambda shape: shape, lambda theirs, fresh: theirs)
# Modulated convolutions keep a place for the batch.
KERNEL = Form(lambda shape: (1, *shape), lambda theirs, fresh: theirs[0])
PIXELS = Form(lambda shape: (1, *shape, 1, 1), lambda theirs, fresh: theirs[0, :, :, 0, 0])
PLANE = Form(lambda shape: (1, *shape, 1, 1), lambda theirs, fresh: theirs.flatten())
KERNEL_FIRST_INPUTS = Form(lambda shape: (1, shape[0], shape[1] // 2, *shape[2:]), _first_inputs, partial=True)
PIXELS_FIRST_INPUTS = Form(lambda shape: (1, shape[0], shape[1] // 2, 1, 1), _first_inputs, partial=True)
FIRST_ROWS = Form(lambda shape: (shape[0] // 2, *shape[1:]), _first_rows, partial=True)


@dataclass(frozen=True)
class Link:
    """One of our tensors: their name of it, and its form there."""

    theirs: str
    form: Form


@dataclass(frozen=True)
class Stated:
    """A setting that shapes cannot say: its value in this format, and where that is known from."""

    value: object
    why: str


@dataclass(frozen=True)
class ForeignFormat:
    """One importer.

    Attributes:
        name: for `--format`.
        title: what it is, for people.
        matches: whether a file's tensors are of this format, by their names and shapes.
        infer: fields of GeneratorConfig that the shapes say.
        stated: (inferred fields) -> those that they cannot say.
        links: configuration -> {our name: Link}; names absent from it start fresh.
        kernels: configuration -> {name of a blur buffer: what its taps add up to}. Files may lack them.
        unused: names that the format has and our generator has no place for.
        settable: fields that a user may know better than the format.
        starting_point: whether training has to follow before it swaps.
        license: for the model file.
    """

    name: str
    title: str
    matches: Callable[[Tensors], bool]
    infer: Callable[[Tensors], dict[str, object]]
    stated: Callable[[Mapping[str, object]], dict[str, Stated]]
    links: Callable[[GeneratorConfig], dict[str, Link]]
    kernels: Callable[[GeneratorConfig], dict[str, float]]
    license: str
    starting_point: bool = False
    unused: re.Pattern = field(default_factory=lambda: re.compile(r"(?!)"))
    settable: tuple[str, ...] = (
        "template",
        "recognizer",
        "embedding_norm",
        "attribute_masking",
        "masking_start",
        "mask_accumulation",
    )
