"""Muon for weight matrices, Adam for the rest."""

import copy

import pytest
import torch
from torch import nn

from styleswap_core.errors import StyleSwapError
from styleswap_core.model.generator import Generator
from styleswap_core.model.generator_config import preset
from styleswap_core.training.optimizers import MIN_MATRIX_SIDE, MuonWithAdam, adam, set_learning_rate

RATES = {"learning_rate": 0.002, "betas": (0.9, 0.99), "matrix_learning_rate": 0.05}


def small_network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 16, 20))


def descend(network: nn.Module, optimizer: MuonWithAdam | torch.optim.Adam, seed: int = 0) -> None:
    pictures = torch.randn(8, 16, 4, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (network(pictures) - 1).square().mean().backward()
    optimizer.step()


def test_the_update_of_a_matrix_is_nearly_orthogonal_with_the_magnitude_of_adams():
    network = small_network()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    descend(network, MuonWithAdam(network, **RATES))
    for old, new in zip(before, network.parameters(), strict=True):
        if new.ndim == 1:
            continue
        update = (new.detach() - old).reshape(len(new), -1)
        singular = torch.linalg.svdvals(update / (0.05 * 0.2 * max(update.shape) ** 0.5))
        # The quintic iteration brings singular values to 0.5..1.5, except where the gradient is rank-deficient.
        assert singular[: min(update.shape) // 4].min() > 0.5 and singular.max() < 1.5
        assert update.square().mean().sqrt() < 0.05


def test_every_parameter_belongs_to_one_optimizer_and_biases_to_adam():
    generator = Generator(preset("tiny"))
    optimizer = MuonWithAdam(generator, **RATES)
    counts = [sum(parameter.numel() for parameter in group["params"]) for group in optimizer.param_groups]
    assert sum(counts) == sum(parameter.numel() for parameter in generator.parameters())
    matrices = sum(
        parameter.numel()
        for parameter in generator.parameters()
        if parameter.ndim in (2, 4) and min(len(parameter), parameter[0].numel()) >= MIN_MATRIX_SIDE
    )
    assert counts[0] == matrices > counts[1]


def test_the_memory_format_of_a_weight_does_not_matter():
    start = small_network()
    plain, channels_last = small_network(), small_network().to(memory_format=torch.channels_last)
    for network in (plain, channels_last):
        descend(network, MuonWithAdam(network, **RATES))
    for old, one, other in zip(start.parameters(), plain.parameters(), channels_last.parameters(), strict=True):
        # The iteration runs in bfloat16, so its rounding depends on the order of the columns.
        assert (one - other).norm() < 0.02 * (one - old).norm()


def test_a_restored_state_continues_exactly():
    network = small_network()
    optimizer = MuonWithAdam(network, **RATES)
    descend(network, optimizer, 1)
    twin = small_network()
    twin.load_state_dict(network.state_dict())
    restored = MuonWithAdam(twin, **RATES)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    descend(network, optimizer, 2)
    descend(twin, restored, 2)
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_state_of_another_optimizer_is_refused():
    network = small_network()
    with pytest.raises(ValueError, match="expected the state of Muon with Adam"):
        MuonWithAdam(network, **RATES).load_state_dict(adam(network.parameters(), 0.1, (0.9, 0.99)).state_dict())


def test_a_parameter_without_gradient_does_not_change():
    network = small_network()
    network[3].requires_grad_(False)
    before = network[3].weight.detach().clone()
    descend(network, MuonWithAdam(network, **RATES))
    assert torch.equal(before, network[3].weight)


@pytest.mark.parametrize(
    "make", [lambda net: adam(net.parameters(), 0.002, (0.9, 0.99)), lambda net: MuonWithAdam(net, **RATES)]
)
def test_the_factor_scales_the_full_rate_of_every_group(make):
    optimizer = make(small_network())
    for factor in (0.5, 0.25, 1.0):
        set_learning_rate(optimizer, factor)
    assert all(group["lr"] == group["initial_lr"] for group in optimizer.param_groups)
    set_learning_rate(optimizer, 0.0)
    assert all(group["lr"] == 0 for group in optimizer.param_groups)


def test_old_pytorch_without_muon(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(StyleSwapError, match="optimizer=adam"):
        MuonWithAdam(small_network(), **RATES)
