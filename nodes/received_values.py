"""Values that reach a node while the graph runs. ComfyUI checks only those that are typed in. Does not import ComfyUI.

Nodes of other packs return None where nothing is chosen, masks without a batch, texts that a combo does not offer.
"""

import math
from collections.abc import Sequence
from functools import wraps
from typing import Any

import torch

from ..styleswap_core.errors import StyleSwapError

# Combos that offer names of files; the nodes look those up, and say where.
_FILES = frozenset({"model_name", "pack", "identity_file", "parsing", "occlusion"})
_TENSORS = {"IMAGE": "an image", "MASK": "a mask"}
# Classes of the values of this pack's sockets, and what to connect.
_OWN = {
    "STYLESWAP_MODEL": (("LoadedGenerator", "LoadedGuest"), "Load StyleSwap Model"),
    "STYLESWAP_FACES": (("PlacedFaces",), "Align Faces or Swap Face"),
    "STYLESWAP_MASKS": (("LoadedMasks",), "Load Face Masks"),
}


def check_received(node: type) -> type:
    """Let a node's `execute` receive values of the kinds and ranges of its schema only.

    None on an optional input counts as unconnected.

    Raises:
        StyleSwapError: By `execute`: None on a required input, no image or mask where one is expected, a text that a
            combo does not offer, or a number out of range.
    """
    execute = node.execute.__func__  # type: ignore[attr-defined]
    inputs: dict[str, Any] = {}

    @wraps(execute)
    def checked(cls: Any, **received: Any) -> Any:
        if not inputs:
            inputs.update((given.id, given) for given in cls.define_schema().inputs)
        present = {
            name: value
            for name, value in received.items()
            if value is not None or not getattr(inputs.get(name), "optional", False)
        }
        return execute(
            cls,
            **{name: _received(inputs[name], value) if name in inputs else value for name, value in present.items()},
        )

    node.execute = classmethod(checked)  # type: ignore[attr-defined]
    return node


def _received(given: Any, value: Any) -> Any:
    """A value for an input of a schema, in the form that nodes take."""
    kind = str(given.get_io_type())
    if value is None:
        raise StyleSwapError(
            f"the node connected to {given.id} returned nothing (None); choose or load something there, or connect"
            " another one"
        )
    if kind in _TENSORS:
        if not isinstance(value, torch.Tensor):
            raise StyleSwapError(
                f"expected {_TENSORS[kind]} on {given.id}, got a value of type {type(value).__name__}; connect"
                f" {_TENSORS[kind]}"
            )
        return image_of(value) if kind == "IMAGE" else mask_of(value)
    if "VIDEO" in kind.split(",") and not isinstance(value, torch.Tensor) and not hasattr(value, "get_components"):
        raise StyleSwapError(
            f"expected a video on {given.id}, got a value of type {type(value).__name__}; connect Load Video"
        )
    classes, source = _OWN.get(kind, ((), ""))
    if classes and type(value).__name__ not in classes:
        raise StyleSwapError(f"expected {given.id} from {source}, got a value of type {type(value).__name__}")
    if kind == "COMBO" and given.id not in _FILES and value not in given.options:
        raise StyleSwapError(choice_problem(given.id, given.options, value))
    if kind == "STRING":
        return value if isinstance(value, str) else str(value)
    return _number(given, value) if kind in ("INT", "FLOAT") else value


def choice_problem(name: str, options: Sequence[object], value: object) -> str:
    """Message about a value that a combo does not offer."""
    return f"expected {name} to be one of {', '.join(map(str, options))}; got {value!r}"


def image_of(image: torch.Tensor) -> torch.Tensor:
    """An IMAGE whose values are 0..1; of one with 8-bit values, as few packs return it, those are scaled."""
    return image.float() / 255 if image.dtype == torch.uint8 else image


def mask_of(mask: torch.Tensor) -> torch.Tensor:
    """A MASK as (B, h, w), also one without a batch (h, w), or with a channel, (B, 1, h, w) or (B, h, w, 1)."""
    if mask.ndim == 2:
        return mask[None]
    if mask.ndim == 4 and 1 in (mask.shape[1], mask.shape[3]):
        return mask[:, 0] if mask.shape[1] == 1 else mask[..., 0]
    return mask


def _number(given: Any, value: Any) -> Any:
    low, high = given.min, given.max
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high):
        return int(number) if str(given.get_io_type()) == "INT" else number
    raise StyleSwapError(f"expected {given.id} from {low} to {high}, got {value!r}; change the node connected to it")
