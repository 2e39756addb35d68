"""Conversion of socket values to the core's types. Does not import ComfyUI."""

import json
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.identities.reactor_files import identity_of_face
from ..styleswap_core.io.images import bhwc_to_bchw, repair, to_uint8

# Height and width of the mask that Load Image returns for an image without transparency.
_NO_MASK_SIZE = (64, 64)


def as_identities(value: object) -> list[Identity]:
    """The identities in a socket value, which is one or a list; ReActor's face models are converted.

    Raises:
        StyleSwapError: Another kind of value, or an empty list.
    """
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise StyleSwapError("expected an identity, got an empty list; connect Extract ArcFace ID or Load Identity")
    for one in values:
        if not isinstance(one, Identity | Mapping):
            raise StyleSwapError(
                f"expected an identity, got a value of type {type(one).__name__}; connect Extract ArcFace ID, Load"
                " Identity, or a face model of ReActor"
            )
    return [one if isinstance(one, Identity) else identity_of_face(one) for one in values]


def as_identity(value: object, name: str) -> Identity:
    """The only identity in a socket value.

    Args:
        value: The socket value.
        name: Name of the input, for the error message.

    Raises:
        StyleSwapError: Another kind of value, or a list of several.
    """
    identities = as_identities(value)
    if len(identities) > 1:
        raise StyleSwapError(
            f"expected one identity for {name}, got a list of {len(identities)}; connect a single one, or combine them"
            " with Blend Identities"
        )
    return identities[0]


def image_arrays(*batches: torch.Tensor | None, keep_alpha: bool = False) -> Iterator[np.ndarray]:
    """All images of IMAGE batches (B, H, W, 3 or 4) as (H, W, 3) uint8 RGB; transparency shows white.

    Args:
        batches: The batches; None stands for an input that is not connected.
        keep_alpha: Yield images with an alpha channel as (H, W, 4) instead.

    Raises:
        StyleSwapError: A tensor that is no batch of images, or an empty batch.
    """
    for batch in batches:
        if batch is None:
            continue
        if batch.ndim != 4 or 0 in batch.shape or batch.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected a batch of images (B, H, W, 3 or 4), got {tuple(batch.shape)}; connect at least one RGB or"
                " RGBA image"
            )
        for row in range(len(batch)):
            image = repair(batch[row : row + 1])[0]
            if keep_alpha and image.shape[3] == 4:
                # Alpha as the gray picture that `to_uint8` takes.
                alpha = to_uint8(bhwc_to_bchw(image[..., 3:].expand(-1, -1, -1, 3)))[0, ..., :1]
                yield np.concatenate([to_uint8(bhwc_to_bchw(image[..., :3]))[0], alpha], axis=2)
            else:
                yield to_uint8(bhwc_to_bchw(image))[0]


def json_text(value: object) -> str:
    """JSON of a workflow or prompt, with null in place of NaN and infinity, which JSON does not have."""
    text = json.dumps(value)
    return (
        json.dumps(json.loads(text, parse_constant=lambda name: None)) if "NaN" in text or "Infinity" in text else text
    )


def count_images(*batches: torch.Tensor | None) -> int:
    """Number of images that `image_arrays` yields."""
    return sum(len(batch) for batch in batches if batch is not None)


def resolve_mask(mask: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
    """A mask (B, h, w), or ones (1, h, w) if it is the placeholder that stands for no mask.

    Load Image returns an all-zero mask of 64 x 64 for an image without transparency, which here means everywhere. An
    empty mask of the images' own size stays empty.

    Args:
        mask: (B, h, w), 0..1.
        image_size: Height and width of the images it belongs to.
    """
    size = tuple(mask.shape[-2:])
    if size == _NO_MASK_SIZE and image_size != size and not bool(mask.any()):
        return torch.ones_like(mask[:1])
    return mask
