"""Optimizers of the generator and the discriminator."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import StyleSwapError
from .memory_format import as_matrix, match_memory_format

# Weights whose matrix has a shorter side than this (biases, the constant, layers from and to RGB) are left to Adam.
MIN_MATRIX_SIDE = 16


def adam(parameters: Iterable[nn.Parameter], learning_rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam with StyleGAN2's epsilon; `initial_lr` of its group is the full learning rate."""
    group = {"params": list(parameters), "lr": learning_rate, "initial_lr": learning_rate}
    return torch.optim.Adam([group], betas=betas, eps=1e-8, fused=True)


class MuonWithAdam:
    """Muon for the weights of convolutions and linear layers, Adam for everything else.

    Muon (Jordan et al. 2024) replaces a matrix's momentum by the nearest orthogonal matrix, so that directions with a
    weak gradient advance as well; the update has the magnitude of Adam's (Liu et al. 2025, "Muon is Scalable for LLM
    Training", section 2.2). The weight (out, in, k, k) of a convolution is treated as a matrix (out, in * k * k) in
    either memory format, since the order of its columns does not affect the orthogonal factor. docs/ablation.md
    compares it with Adam.

    Args:
        network: Its weights are updated in place; they must not be moved to another device afterwards.
        learning_rate: Learning rate of Adam.
        betas: Betas of Adam.
        matrix_learning_rate: Learning rate of Muon.

    Raises:
        StyleSwapError: The installed PyTorch has no Muon.
    """

    def __init__(
        self, network: nn.Module, learning_rate: float, betas: tuple[float, float], matrix_learning_rate: float
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise StyleSwapError(
                f'optimizer "muon" needs PyTorch 2.9 or newer, this is {torch.__version__}; update it, '
                "or train with --set optimizer=adam"
            )
        parameters = list(network.parameters())
        self._matrices = [parameter for parameter in parameters if _is_matrix(parameter)]
        self._views = [nn.Parameter(as_matrix(parameter.detach())) for parameter in self._matrices]
        group = {"params": self._views, "lr": matrix_learning_rate, "initial_lr": matrix_learning_rate}
        self._muon = torch.optim.Muon([group], weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self._adam = adam((p for p in parameters if not _is_matrix(p)), learning_rate, betas)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Parameter groups of both optimizers."""
        return [*self._muon.param_groups, *self._adam.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset all gradients."""
        for parameter in self._matrices:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()
        self._adam.zero_grad(set_to_none)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient, in place."""
        for view, parameter in zip(self._views, self._matrices, strict=True):
            gradient = parameter.grad
            view.grad = None if gradient is None else as_matrix(match_memory_format(gradient, parameter))
        self._muon.step()
        for view in self._views:
            view.grad = None
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """State of both optimizers, as tensors and plain values."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of `state_dict`.

        Raises:
            ValueError: The state belongs to another kind of optimizer or to another network.
        """
        if set(state) != {"muon", "adam"}:
            raise ValueError(f"expected the state of Muon with Adam, got that of another optimizer ({sorted(state)})")
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


Optimizer = torch.optim.Adam | MuonWithAdam

GENERATOR_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "muon": MuonWithAdam,
    "adam": lambda network, learning_rate, betas, _: adam(network.parameters(), learning_rate, betas),
}
"""Constructors by name; arguments: network, learning rate and betas of Adam, learning rate of Muon."""


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set the learning rate of every parameter group to its full rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim in (2, 4) and min(parameter.shape[0], parameter[0].numel()) >= MIN_MATRIX_SIDE
