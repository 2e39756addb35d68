"""Networks of other programs as invertible networks: the code is the vector of numbers that enters the network."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import Precision
from ..errors import StyleSwapError
from ..identities.identity import Identity
from ..model.generator_output import composite
from ..onnx_graphs.onnx_graph import OnnxGraph
from ..onnx_graphs.split_graph import SplitGraph
from ..swappers.guest_network import GuestNetwork
from ..swappers.wrapped_network import WrappedNetwork
from .inversion_settings import InversionSettings
from .invertible import Footprint, Rendered

_FLOAT32 = Precision(torch.float32, "networks of other programs are inverted in single precision")
# Gradients of the backward pass beside the values that it needs.
_BACKWARD_SHARE = 0.25


class InvertibleGuest(WrappedNetwork):
    """A network of another program behind the interface of `invertible.InvertibleNetwork`.

    ONNX Runtime has no gradients, so the graph runs in torch. What depends on the target only is computed once.

    Attributes:
        network: The network.
        graph: Its graph as a torch module, which may be moved to another device before it is opened.
    """

    def __init__(self, network: GuestNetwork, device: torch.device | None = None) -> None:
        """Read the graph of a network.

        Args:
            network: The network.
            device: Device of the inversion; by default that of the network.

        Raises:
            StyleSwapError: The network takes no numbers as its source, or its graph has operators that are not
                supported.
        """
        family = network.family
        if not family.source.is_vector:
            raise StyleSwapError(
                f"{network.name} takes {family.source.value} as the source person, so there are no numbers to optimize;"
                " choose a network that takes an embedding"
            )
        self.network: GuestNetwork = network
        self.graph = OnnxGraph(network.file.path).to(network.device if device is None else device)
        self._split: SplitGraph | None = None

    @property
    def device(self) -> torch.device:
        """Device of its graph."""
        return next(self.graph.buffers()).device

    @property
    def code_rows(self) -> int:
        """One: all layers see the same numbers."""
        return 1

    @torch.no_grad()
    def codes(self, identities: Sequence[Identity]) -> Tensor:
        """Source inputs (N, width) of N identities."""
        return self.network.source_numbers(identities).to(self.device)

    def precision(self, settings: InversionSettings) -> Precision:
        """float32 unless the settings name another: normalizations that are written out lose much in bfloat16."""
        return _FLOAT32 if settings.precision == "auto" else settings.chosen_precision(self.device)

    def open(self, precision: Precision, low_memory: bool, check: Callable[[], None]) -> "GuestRenderer":
        """See InvertibleNetwork; `low_memory` changes nothing here, since faces then run one by one."""
        return GuestRenderer(self.network, self.split(), precision, check)

    def batch_size(self, wanted: int) -> int:
        """1 if the graph is fixed to one face."""
        return wanted if self.split().batched else 1

    def footprint(self) -> Footprint:
        """Elements of all values that depend on the code, with their gradients."""
        split = self.split()
        return Footprint(split.elements * (1 + _BACKWARD_SHARE), split.prepared_elements, 0)

    def split(self) -> SplitGraph:
        """The graph in the part of the target and the part of the source."""
        if self._split is None:
            form, random = self.network.file.form, torch.Generator().manual_seed(0)
            assert form.source is not None, "checked at construction"
            crops = torch.rand(2, 3, self.size, self.size, generator=random) * 2 - 1
            numbers = F.normalize(torch.randn(2, form.vector_length, generator=random), dim=1)
            examples = {form.target.name: self.network.network_crops(crops), form.source.name: numbers}
            examples = {name: value.to(self.device) for name, value in examples.items()}
            self._split = SplitGraph(self.graph, form.source.name, examples)
        return self._split


class GuestRenderer:
    """A network that is open for an inversion; see `invertible.CodeRenderer`."""

    def __init__(
        self, network: GuestNetwork, split: SplitGraph, precision: Precision, check: Callable[[], None]
    ) -> None:
        self._network, self._split, self._precision, self._check = network, split, precision, check
        self._target = network.file.form.target.name

    def prepare(self, crops: Tensor) -> list[Tensor]:
        """The values of the graph that depend on the crops only."""
        rows = []
        for crop in crops.split(1):
            self._check()
            with self._precision.autocast(crops.device):
                rows.append(self._split.prepare({self._target: self._network.network_crops(crop)}))
        # A graph that is fixed to one face gets one here, and then values of any shape are left as they are.
        return list(rows[0]) if len(rows) == 1 else [torch.cat(values) for values in zip(*rows, strict=True)]

    def render(self, code: Tensor, prepared: Sequence[Tensor], crops: Tensor) -> Rendered:
        """See CodeRenderer; the code is (1, width)."""
        with self._precision.autocast(crops.device):
            outputs = self._split.run(prepared, code.expand(len(crops), -1), self._check)
        rgb, mask = self._network.swapped([output.float() for output in outputs])
        return Rendered(composite(rgb, mask, crops) if self._network.has_mask else rgb, rgb, mask)
