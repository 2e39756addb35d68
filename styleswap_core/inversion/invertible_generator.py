"""Our generator as an invertible network: its code is `w_plus`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..devices import Precision
from ..identities.identity import Identity
from ..model import FrozenSynthesis, Generator, GeneratorConfig
from ..swappers.styleswap_network import StyleSwapNetwork
from ..swappers.wrapped_network import WrappedNetwork
from .inversion_settings import InversionSettings
from .invertible import Footprint, Rendered

# Temporary memory of the backward pass (gradients of a convolution's input and output, and their products), in units of
# the feature map that enters the last convolution. Measured per face: 1.5 to 1.9 with the demo model, 3.1 to 3.3 with
# the layers of released-256.
_BACKWARD_MAPS = 3.3


class InvertibleGenerator(WrappedNetwork):
    """A `Generator` behind the interface of `invertible.InvertibleNetwork`.

    Attributes:
        generator: The generator; its weights are not changed.
        network: The same as a swapping network.
    """

    def __init__(self, generator: Generator, sha256: str = "") -> None:
        """Wrap a generator.

        Args:
            generator: The generator, in evaluation mode on its device.
            sha256: SHA-256 of its file, which inverted identities are bound to.
        """
        self.generator = generator
        self.network = StyleSwapNetwork(generator, sha256=sha256, baked=False)

    @property
    def code_rows(self) -> int:
        """Number of rows of `w_plus`."""
        return self.generator.num_ws

    @torch.no_grad()
    def codes(self, identities: Sequence[Identity]) -> Tensor:
        """`w` (N, w_dim) of N identities."""
        embeddings = torch.stack([identity.id_embedding for identity in identities])
        return self.generator.map_identity(embeddings.to(next(self.generator.parameters())))

    def precision(self, settings: InversionSettings) -> Precision:
        """The fastest one on the device, unless the settings name another."""
        return settings.chosen_precision(self.device)

    def open(self, precision: Precision, low_memory: bool, check: Callable[[], None]) -> "GeneratorRenderer":
        """See InvertibleNetwork; with `low_memory`, by gradient checkpointing."""
        return GeneratorRenderer(self.generator, precision, low_memory, check)

    def batch_size(self, wanted: int) -> int:
        """Any number of faces runs together."""
        return wanted

    def footprint(self) -> Footprint:
        """Derived from what `FrozenSynthesis` keeps, without the savings of gradient checkpointing."""
        config = self.generator.config
        return Footprint(
            per_face=_kept_elements(config) + _BACKWARD_MAPS * config.feature_channels(config.size, 0) * config.size**2,
            prepared=sum(config.channels_at(side) * side**2 for side in config.resolutions),
            # Each weight is kept once more, multiplied by its style, for all faces of a batch.
            fixed=sum(parameter.numel() for parameter in self.generator.synthesis.parameters()),
        )


class GeneratorRenderer:
    """A generator that is open for an inversion; see `invertible.CodeRenderer`."""

    def __init__(self, generator: Generator, precision: Precision, low_memory: bool, check: Callable[[], None]) -> None:
        self._generator, self._precision, self._check = generator, precision, check
        self._frozen = FrozenSynthesis(
            generator.synthesis, precision.dtype, checkpointing=low_memory, before_each=check
        )

    @torch.no_grad()
    def prepare(self, crops: Tensor) -> list[Tensor]:
        """The attributes of crops, one map (B, C, R, R) per resolution, in the precision of the network."""
        self._check()
        with self._precision.autocast(crops.device):
            return self._generator.encode(crops)

    def render(self, code: Tensor, prepared: Sequence[Tensor], crops: Tensor) -> Rendered:
        """See CodeRenderer; the code is `w_plus` (num_ws, w_dim)."""
        output = self._frozen(code, list(prepared), crops)
        return Rendered(output.image, output.rgb, output.mask)


def _kept_elements(config: GeneratorConfig) -> int:
    """Elements per face that `FrozenSynthesis` keeps for the backward pass.

    They are the output of each convolution and, where attributes are injected, its concatenation with them.
    """
    total = 0
    for side in config.resolutions:
        for conv in range(1 if side == 4 else 2):
            joined = config.feature_channels(side, conv) if config.injects(side, conv) else 0
            total += (config.channels_at(side) + joined) * side**2
    return total
