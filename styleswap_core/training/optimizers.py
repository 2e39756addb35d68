"""The optimizers of the generator and the discriminator."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import StyleSwapError
from .memory_order import like, rows_in_memory

# Below this, a weight read as a matrix (a bias, the constant, a layer that makes or reads pictures) is left to Adam.
SMALLEST_MATRIX_SIDE = 16


def adam(parameters: Iterable[nn.Parameter], learning_rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam as StyleGAN2 uses it; its groups remember their full rate as `initial_lr`."""
    group = {"params": list(parameters), "lr": learning_rate, "initial_lr": learning_rate}
    return torch.optim.Adam([group], betas=betas, eps=1e-8, fused=True)


class MuonWithAdam:
    """Muon for the weights of convolutions and linear layers, Adam for everything else.

    Muon (Jordan et al., 2024) replaces a matrix's momentum by the nearest orthogonal matrix, so that directions with a
    weak gradient advance as well; the update has the size of Adam's (Liu et al., 2025, "Muon is scalable", 2.2). A
    convolution's weight (out, in, k, k) is the matrix (out, in * k * k), in either memory order: the order of its columns
    changes nothing in the orthogonal factor. `docs/ablation.md` has the comparison with Adam.

    Args:
        network: its weights stay where they are; a weight moved to another device afterwards is no longer trained.
        learning_rate: of Adam.
        matrix_learning_rate: of Muon.

    Raises:
        StyleSwapError: this PyTorch has no Muon.
    """

    def __init__(
        self, network: nn.Module, learning_rate: float, betas: tuple[float, float], matrix_learning_rate: float
    ):
        if not hasattr(torch.optim, "Muon"):
            raise StyleSwapError(
                f'optimizer "muon" needs PyTorch 2.9 or newer, this is {torch.__version__}; update it, '
                "or train with --set optimizer=adam"
            )
        parameters = list(network.parameters())
        self._matrices = [parameter for parameter in parameters if _is_matrix(parameter)]
        self._views = [nn.Parameter(rows_in_memory(parameter.detach())) for parameter in self._matrices]
        group = {"params": self._views, "lr": matrix_learning_rate, "initial_lr": matrix_learning_rate}
        self._muon = torch.optim.Muon([group], weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self._adam = adam((p for p in parameters if not _is_matrix(p)), learning_rate, betas)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, whose `lr` is to be set before each step."""
        return [*self._muon.param_groups, *self._adam.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for parameter in self._matrices:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()
        self._adam.zero_grad(set_to_none)

    @torch.no_grad()
    def step(self) -> None:
        """Advance every parameter that has a gradient, in place."""
        for view, parameter in zip(self._views, self._matrices, strict=True):
            view.grad = None if parameter.grad is None else rows_in_memory(like(parameter.grad, parameter))
        self._muon.step()
        for view in self._views:
            view.grad = None
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of both, of tensors and plain values."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`; ValueError if it belongs to another optimizer or network."""
        if set(state) != {"muon", "adam"}:
            raise ValueError("the optimizer is not Muon with Adam")
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


Optimizer = torch.optim.Adam | MuonWithAdam

GENERATOR_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "muon": MuonWithAdam,
    "adam": lambda network, learning_rate, betas, _: adam(network.parameters(), learning_rate, betas),
}


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Give every group its full rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim in (2, 4) and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST_MATRIX_SIDE
