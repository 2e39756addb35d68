"""Initialization from a trained generator: a copy, or a generator of twice the size that behaves the same."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.checkpoints.native import save_generator
from styleswap_core.errors import StyleSwapError
from styleswap_core.model.generator import Generator
from styleswap_core.model.generator_config import preset
from styleswap_core.training.training_config import TrainingConfig
from styleswap_core.training.training_state import generator_config
from styleswap_core.training.warm_start import initialize_generator

CHANNELS = {4: 16, 8: 16, 16: 12, 32: 8, 64: 8, 128: 8}


def generator(size: int, seed: int) -> Generator:
    torch.manual_seed(seed)
    table = {resolution: count for resolution, count in CHANNELS.items() if resolution <= size}
    return Generator(preset("tiny", size=size, channels=table))


@pytest.fixture
def trained(tmp_path):
    model = generator(32, seed=1)
    with torch.no_grad():
        model.encoder.from_rgb["32"].bias.normal_()
    save_generator(tmp_path / "trained.safetensors", model, {})
    return model, tmp_path / "trained.safetensors"


def test_same_size_is_a_copy(trained):
    model, path = trained
    copy = generator(32, seed=2)
    assert initialize_generator(copy, path) == []
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), copy.state_dict().values(), strict=True))


def test_doubled_generator_initially_reproduces_the_small_one(trained):
    model, path = trained
    grown = generator(64, seed=2)
    fresh = initialize_generator(grown, path)
    assert fresh and all(".64" in name or name.startswith("encoder.down.32") for name in fresh)
    # A smooth picture, since the encoder's filter and averaging downsample differently.
    crop = F.interpolate(torch.rand(2, 3, 4, 4) * 2 - 1, (64, 64), mode="bicubic")
    id_embedding = F.normalize(torch.randn(2, 512), dim=1)
    with torch.no_grad():
        small = model(F.avg_pool2d(crop, 2), id_embedding)
        large = grown(crop, id_embedding)
    inner = (..., slice(8, -8), slice(8, -8))  # zero padding has a different extent in the two
    expected = F.interpolate(small.rgb, scale_factor=2, mode="bilinear")
    assert (large.rgb - expected)[inner].abs().mean() < 0.05 * expected[inner].std()
    assert (large.mask - F.interpolate(small.mask, scale_factor=2, mode="bilinear"))[inner].abs().mean() < 0.01


def test_doubled_generator_with_random_encoder_weights_does_not(trained):
    """Control for the test above."""
    model, path = trained
    grown = generator(64, seed=2)
    initialize_generator(grown, path)
    with torch.no_grad():
        grown.encoder.down["32"].weight.normal_()
    crop = F.interpolate(torch.rand(2, 3, 4, 4) * 2 - 1, (64, 64), mode="bicubic")
    id_embedding = F.normalize(torch.randn(2, 512), dim=1)
    with torch.no_grad():
        expected = F.interpolate(model(F.avg_pool2d(crop, 2), id_embedding).rgb, scale_factor=2, mode="bilinear")
        assert (grown(crop, id_embedding).rgb - expected).abs().mean() > 0.2 * expected.std()


def test_two_doublings_at_once_are_refused(trained):
    with pytest.raises(StyleSwapError, match="one doubling"):
        initialize_generator(generator(128, seed=2), trained[1])


def test_generator_for_embeddings_of_another_norm_gives_the_same_w(tmp_path):
    table = {resolution: count for resolution, count in CHANNELS.items() if resolution <= 32}
    torch.manual_seed(1)
    model = Generator(preset("tiny", channels=table, embedding_norm=20.0))
    # Without a bias, the normalization after this layer would remove any scale.
    torch.nn.init.normal_(model.mapping.input.bias)
    save_generator(tmp_path / "converted.safetensors", model, {})
    copy = generator(32, seed=2)
    assert initialize_generator(copy, tmp_path / "converted.safetensors") == []
    identity = F.normalize(torch.randn(2, 512))
    assert torch.allclose(copy.map_identity(identity), model.map_identity(identity), atol=1e-5)
    assert not torch.allclose(copy.map_identity(identity), model.mapping(identity), atol=1e-3)
    with pytest.raises(StyleSwapError, match="embedding_norm must be 1.*got 20.0"):
        generator_config(TrainingConfig(model="tiny", model_overrides={"embedding_norm": 20.0}))
