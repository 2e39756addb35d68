"""A stand-in for an accelerator on machines without one.

Tensors "on the card" compute on the CPU, but report the device `meta` and follow the rules of a card: they do not mix
with tensors on the CPU, NumPy cannot see them, and what crosses is recorded.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

CARD = torch.device("meta")


class OnCard(torch.Tensor):
    """A tensor on the card, with its values in `held`."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "OnCard":
        card = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=CARD
        )
        card.held = held
        return card

    def tolist(self) -> Any:
        """The values, which a real card sends as well; PyTorch refuses it for other tensors than its own."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} on a tensor of the pretended card, outside of its context")


class PretendCard(TorchDispatchMode):
    """Context in which the device `meta` is the card.

    Attributes:
        up: Data type and number of elements of every tensor that went to the card, except single numbers.
        down: The same for every tensor that came back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.up: list[tuple[torch.dtype, int]] = []
        self.down: list[tuple[torch.dtype, int]] = []

    def __enter__(self) -> "PretendCard":
        # PyTorch makes these tensors past the mode, so that their values would be lost.
        self._torch_tensor = torch.tensor
        torch.tensor = lambda data, *, device=None, **options: self._made(data, device, options)
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        torch.tensor = self._torch_tensor
        super().__exit__(*exception)

    def _made(self, data: Any, device: Any, options: dict[str, Any]) -> torch.Tensor:
        values = self._torch_tensor(data, **options)
        return values if device is None else values.to(device)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
        if any(value.is_meta and not isinstance(value, OnCard) for value in tensors):
            # PyTorch moves indices to the device past the mode, so that their values are lost.
            raise RuntimeError(f"{func}: indices of a tensor on the card travel to it; index by numbers or slices")
        on_card = any(isinstance(value, OnCard) for value in tensors)
        target = kwargs.get("device")
        crossing = func is torch.ops.aten._to_copy.default or func is torch.ops.aten.copy_.default
        if on_card and not crossing:
            strangers = [value for value in tensors if not isinstance(value, OnCard) and value.dim()]
            if strangers:
                raise RuntimeError(f"{func}: a tensor on the CPU of shape {tuple(strangers[0].shape)} met the card")
        if target is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        held_args, held_kwargs = tree_map_only(OnCard, lambda card: card.held, (args, kwargs))
        result = func(*held_args, **held_kwargs)
        if func is torch.ops.aten.copy_.default:
            self._record(isinstance(args[1], OnCard), isinstance(args[0], OnCard), args[1])
            return args[0]
        stays = torch.device(target) == CARD if target is not None else on_card
        if crossing:
            self._record(on_card, stays, args[0])
        if func._schema.is_mutable and not crossing:
            # In place, or into `out`: the same object again.
            return result if result is None or isinstance(result, tuple) else kwargs.get("out", args[0])
        return tree_map_only(torch.Tensor, OnCard, result) if stays else result

    def _record(self, source_on_card: bool, target_on_card: bool, values: torch.Tensor) -> None:
        if source_on_card != target_on_card and values.numel() > 1:
            (self.up if target_on_card else self.down).append((values.dtype, values.numel()))
