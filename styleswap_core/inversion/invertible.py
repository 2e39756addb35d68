"""What an inversion needs of a swapping network: a code of numbers per person, through which gradients flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor, device

from ..devices import Precision
from ..faces.recognizer_id import RecognizerId
from ..identities.identity import Identity
from .inversion_settings import InversionSettings

Prepared = tuple[Tensor, ...]
"""What is computed once from a crop, whatever the code; each tensor has a batch dimension."""


class Rendered(NamedTuple):
    """Swapped crops."""

    image: Tensor  # (B, 3, S, S), about -1..1: composited over the target, if the network has a mask
    rgb: Tensor  # (B, 3, S, S): the face alone
    mask: Tensor  # (B, 1, S, S), 0..1; ones without a mask


class Footprint(NamedTuple):
    """Memory of one pass, in numbers in the precision of the network."""

    per_face: float  # kept for the backward pass, for one face
    prepared: float  # kept for each face between the steps
    fixed: float  # kept once


class CodeRenderer(Protocol):
    """A network that is open for an inversion: crops and codes in, swapped crops out."""

    def prepare(self, crops: Tensor) -> list[Tensor]:
        """What does not depend on the code, for crops (B, 3, S, S) in -1..1."""
        ...

    def render(self, code: Tensor, prepared: Sequence[Tensor], crops: Tensor) -> Rendered:
        """Swap crops (B, 3, S, S); differentiable in the code (rows, width), which is the same for all of them."""
        ...


class InvertibleNetwork(Protocol):
    """A swapping network whose code of a person can be optimized."""

    @property
    def size(self) -> int:
        """Edge length S of its aligned crops in pixels."""
        ...

    @property
    def template(self) -> str:
        """Crop template, for `alignment.template_points`."""
        ...

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes; falsy if it takes those of any."""
        ...

    @property
    def has_mask(self) -> bool:
        """Whether it predicts a mask."""
        ...

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file, which inverted identities are bound to; empty if there is none."""
        ...

    @property
    def device(self) -> device:
        """Device on which it runs."""
        ...

    @property
    def code_rows(self) -> int:
        """Number of rows of a code, each of which starts from the same numbers."""
        ...

    def codes(self, identities: Sequence[Identity]) -> Tensor:
        """Rows (N, width) of the codes of N identities, on the device, as the network makes them by itself."""
        ...

    def precision(self, settings: InversionSettings) -> Precision:
        """Precision in which it is inverted."""
        ...

    def open(self, precision: Precision, low_memory: bool, check: Callable[[], None]) -> CodeRenderer:
        """Open it for an inversion.

        Args:
            precision: From `precision`.
            low_memory: Trade time for memory, where it can.
            check: Called often during forward and backward passes; an exception ends them.
        """
        ...

    def batch_size(self, wanted: int) -> int:
        """Number of faces that run together, at most `wanted`."""
        ...

    def footprint(self) -> Footprint:
        """Estimate of the memory that it takes."""
        ...
