"""torch.compile around a baked generator, and what happens where it does not work."""

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Generator, preset
from styleswap_core.model.inference.baked_generator import bake
from styleswap_core.model.inference.compiled import CompiledGenerator, _pieces
from styleswap_core.model.inference.packed_conv import can_pack


@pytest.fixture
def baked():
    torch.manual_seed(4)
    # Two resolutions: the smallest network that has every kind of layer, since compiling takes its time.
    generator = Generator(preset("tiny", size=8, channels={4: 8, 8: 8})).eval()
    return bake(generator, torch.randn(generator.num_ws, generator.config.w_dim), packed=False)


def test_compiled_gives_the_same(baked):
    compiled = CompiledGenerator(baked)
    crop = torch.rand(1, 3, 8, 8) * 2 - 1
    found = compiled(crop)
    if compiled.failed:
        pytest.skip(f"no compiler here: {compiled.failed}")
    for one, other in zip(baked(crop), found, strict=True):
        assert (one - other).abs().max() < 1e-4
    assert (compiled.config, compiled.device, compiled.dtype) == (baked.config, baked.device, baked.dtype)
    with pytest.raises(StyleSwapError, match="aligned_crop must have shape"):
        compiled(torch.zeros(1, 3, 4, 4))


def test_without_a_compiler_it_says_so_once_and_runs_plain(baked, monkeypatch):
    import torch._inductor.config as inductor

    torch._dynamo.reset()
    monkeypatch.setattr(inductor.cpp, "cxx", ("/nowhere/c++",))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    monkeypatch.setenv("CXX", "/nowhere/c++")
    crop = torch.rand(3, 3, 8, 8) * 2 - 1
    expected = baked(crop).image
    compiled = CompiledGenerator(baked)
    with pytest.warns(UserWarning, match="torch.compile does not work here"):
        found = compiled(crop).image
    assert (found - expected).abs().max() < 1e-5 and compiled.failed
    assert baked.packed == can_pack(torch.float32)
    assert torch.equal(compiled(crop).image, found)


def test_a_packed_generator_is_not_compiled():
    generator = Generator(preset("tiny", size=8, channels={4: 8, 8: 8})).eval()
    baked = bake(generator, torch.randn(generator.num_ws, generator.config.w_dim))
    if not baked.packed:
        pytest.skip("this build of PyTorch has no packed convolutions")
    with pytest.raises(StyleSwapError, match="packed=False"):
        CompiledGenerator(baked)


@pytest.mark.parametrize(
    ("batch", "limit", "pieces"), [(19, 8, [8, 8, 2, 1]), (3, 1, [1, 1, 1]), (7, 4, [4, 2, 1]), (8, 6, [4, 4])]
)
def test_batches_run_in_powers_of_two(batch, limit, pieces):
    assert _pieces(batch, limit) == pieces
