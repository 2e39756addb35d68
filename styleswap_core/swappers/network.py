"""Interface between the pipeline and a swapping network.

Everything before a network (detection, choice of faces, cutting) and after it (masks, pasting, reports) is the
pipeline's. A network receives aligned crops and returns swapped crops, whatever runs inside.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.recognizer_id import RecognizerId, check_recognizer
from ..identities.identity import Identity


class SwappedCrops(NamedTuple):
    """Output of a swapping network, on its own device."""

    rgb: Tensor  # (B, 3, S, S) float32, about -1..1: the swapped face
    mask: Tensor  # (B, 1, S, S) float32, 0..1: where `rgb` replaces the target; ones if the network has no mask


class SwappingNetwork(Protocol):
    """A network that gives aligned crops another identity."""

    @property
    def size(self) -> int:
        """Edge length S of its aligned crops in pixels."""
        ...

    @property
    def template(self) -> str:
        """Name of the crop template, a key of `faces.alignment.TEMPLATES`."""
        ...

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes; falsy if any will do."""
        ...

    @property
    def has_mask(self) -> bool:
        """Whether it predicts a mask of its own."""
        ...

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file; empty if the network comes from none."""
        ...

    @property
    def device(self) -> torch.device:
        """Device on which it runs."""
        ...

    def swap_crops(
        self,
        crops: Tensor,
        identities: Sequence[Identity],
        own_embeddings: Tensor | None = None,
        strength: float = 1.0,
    ) -> SwappedCrops:
        """Swap aligned crops.

        Args:
            crops: (B, 3, S, S), -1..1, on any device.
            identities: B source identities, one per crop.
            own_embeddings: (B, 512), embeddings of the targets' own faces; required if `strength` is below 1.
            strength: 0 keeps the target's identity, 1 gives the source's; values between interpolate.
        """
        ...

    def notice(self, rendered: bool = False) -> str | None:
        """Limitation of the network that a user should know, or None.

        Args:
            rendered: The pictures are known to come from the face world.
        """
        ...


def check_identity(network: SwappingNetwork, identity: Identity, analysis: RecognizerId | None = None) -> None:
    """Check that a network can take an identity: made by its recognizer, and inverted, if at all, for this network.

    Args:
        network: The network.
        identity: The identity.
        analysis: Recognizer of the face analysis in use, if there is one: tells whether a recognizer known by name only
            is the one known by hash only.

    Raises:
        StyleSwapError: It cannot.
    """
    check_recognizer(
        network.recognizer,
        identity.recognizer,
        "the identity was made with",
        "extract it with the face analysis pack that belongs to the model",
        bridge=analysis,
    )
    if identity.w_plus is not None and identity.generator_sha256 != network.sha256:
        raise StyleSwapError(
            "this identity was inverted for another model; load that one, or extract the identity anew"
        )
