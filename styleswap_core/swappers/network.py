"""Interface between the pipeline and a swapping network.

A network receives aligned crops and returns swapped crops. Everything before it (detection, choice of faces, cutting)
and after it (masks, pasting, reports) belongs to the pipeline.
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
    """A network that changes the identity of faces in aligned crops."""

    @property
    def name(self) -> str:
        """Name for reports, such as "inswapper_128 (inswapper)"."""
        ...

    @property
    def size(self) -> int:
        """Edge length S of its aligned crops in pixels."""
        ...

    @property
    def template(self) -> str:
        """Name of the crop template, for `faces.alignment.template_points`."""
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
    def phased(self) -> bool:
        """Whether the automatic resolution may run it in phases (see `phases`)."""
        ...

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file; empty if there is none."""
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
            own_embeddings: (B, D), embeddings of the target faces; required if `strength` is not 1.
            strength: 0 keeps the identity of the target, 1 applies that of the source; values between interpolate, and
                values above, up to `swap_ranges.MAX_STRENGTH`, exaggerate the source's difference from the target.
        """
        ...

    def check(self, identity: Identity) -> None:
        """Check that an identity holds what the network needs beyond an embedding of its recognizer.

        Raises:
            StyleSwapError: It does not.
        """
        ...

    def notice(self, rendered: bool = False) -> str | None:
        """Limitation of the network that a user should know, or None.

        Args:
            rendered: Whether the pictures are known to be rendered.
        """
        ...


def check_identity(network: SwappingNetwork, identity: Identity, analysis: RecognizerId | None = None) -> None:
    """Check that an identity was made by the network's recognizer and, if it is inverted, for this network.

    Args:
        network: The network.
        identity: The identity.
        analysis: Recognizer of the face analysis in use, if any; tells whether a recognizer known by name only is the
            same as one known by hash only.

    Raises:
        StyleSwapError: It was not.
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
            "this identity was inverted for another model; load that model, or extract the identity again"
        )
    network.check(identity)
