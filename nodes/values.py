"""What travels through sockets, made into what the core takes. Knows nothing of ComfyUI's modules."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.identities.reactor_files import identity_of_face
from ..styleswap_core.io.images import bhwc_to_bchw, repair, to_uint8

# What Load Image gives for a picture without transparency.
_NO_MASK_SIZE = (64, 64)


def as_identities(value: Any) -> list[Identity]:
    """The identities of a socket's value: one, or a list; face models of ReActor are converted.

    Raises:
        StyleSwapError: something else, or an empty list.
    """
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise StyleSwapError("expected an identity, got an empty list; connect Extract ArcFace ID or Load Identity")
    return [one if isinstance(one, Identity) else identity_of_face(one) for one in values]


def as_identity(value: Any, name: str) -> Identity:
    """The one identity of a socket's value.

    Raises:
        StyleSwapError: something else, or a list of several.
    """
    identities = as_identities(value)
    if len(identities) > 1:
        raise StyleSwapError(
            f"expected one identity as {name}, got a list of {len(identities)}; choose one, or mix them with Blend Identities"
        )
    return identities[0]


def picture_arrays(*batches: torch.Tensor | None) -> Iterator[np.ndarray]:
    """All pictures of IMAGE batches (B, H, W, 3 or 4) as (H, W, 3) uint8; transparency is taken over white.

    Raises:
        StyleSwapError: a value that is no batch of pictures, or one without a picture.
    """
    for batch in batches:
        if batch is None:
            continue
        if batch.ndim != 4 or 0 in batch.shape or batch.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected pictures (B, H, W, 3 or 4) with at least one picture, got {tuple(batch.shape)}"
            )
        for row in range(len(batch)):
            yield to_uint8(bhwc_to_bchw(repair(batch[row : row + 1])[0]))[0]


def count_pictures(*batches: torch.Tensor | None) -> int:
    """How many pictures `picture_arrays` will give."""
    return sum(len(batch) for batch in batches if batch is not None)


def meant_mask(mask: torch.Tensor, picture_size: tuple[int, int]) -> torch.Tensor:
    """A mask (B, h, w) as its user meant it.

    Load Image gives an all-zero mask of 64 x 64 for a picture that has no transparency. On pictures of another size
    that is taken as no mask at all, which means everywhere; an empty mask of the pictures' own size stays empty.
    """
    size = tuple(mask.shape[-2:])
    if size == _NO_MASK_SIZE and tuple(picture_size) != size and not bool(mask.any()):
        return torch.ones_like(mask[:1])
    return mask
