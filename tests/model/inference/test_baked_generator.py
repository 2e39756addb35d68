"""Baked generators against the generators that they were made from."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import PRESETS, Generator, preset
from styleswap_core.model.inference.baked_generator import CPU_CHUNK_BYTES, bake
from styleswap_core.model.inference.packed_conv import can_pack

VARIANTS = [
    {
        "attribute_injection": injection,
        "attribute_masking": masking,
        "mask_accumulation": accumulation,
        "rgb_bound": bound,
    }
    for injection, masking, accumulation, bound in itertools.product(
        ("per_resolution", "every_conv"), ("none", "block", "mean"), ("logits", "sigmoid"), ("none", "tanh")
    )
]
WITHOUT_MASK = [
    {"attribute_injection": injection, "mask_branch": False, "attribute_masking": "none"}
    for injection in ("per_resolution", "every_conv")
]
OTHERS = [{"encoder_blocks": 1}, {"masking_start": 16}]


def build(config):
    """A generator without biases, strengths or residual weights at neutral values, which would hide errors."""
    torch.manual_seed(7)
    generator = Generator(config).eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith(("bias", "attribute_weight")) or ("blocks" in name and parameter.numel() == 1):
            parameter += 0.3 * torch.randn_like(parameter)
        if "to_rgb.weight" in name:
            # Scales rgb to about -1..1, as in trained generators.
            parameter *= 0.2
    return generator


def inputs(config, batch):
    random = torch.Generator().manual_seed(11)
    crop = torch.rand(batch, 3, config.size, config.size, generator=random) * 2 - 1
    return crop, F.normalize(torch.randn(1, config.style_dim, generator=random), dim=1)


def compare(config, batch, packed, dtype=torch.float32):
    """Outputs of the generator and of its baked form."""
    generator = build(config)
    crop, embedding = inputs(config, batch)
    with torch.no_grad():
        w_plus = generator.broadcast(generator.mapping(embedding))
        # Different rows, as from an inversion, reveal a wrong order of the layers.
        w_plus = w_plus + 0.3 * torch.randn(w_plus.shape, generator=torch.Generator().manual_seed(1))
        expected = generator.synthesis(w_plus.expand(batch, -1, -1), generator.encode(crop), crop)
    return expected, bake(generator, w_plus, dtype, packed)(crop)


def assert_same(expected, found):
    assert expected.image.std() > 0.1 and expected.mask.shape == found.mask.shape
    for name, one, other in zip(("image", "rgb", "mask"), expected[:3], found[:3], strict=True):
        assert other.dtype == torch.float32
        assert (one - other).abs().max() <= 1e-4, name


def psnr(one, other):
    return float(-10 * torch.log10(((one - other) / 2).square().mean()))


needs_packing = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this build of PyTorch has no packed convolutions"
)


@pytest.mark.parametrize(
    "changes", VARIANTS + WITHOUT_MASK + OTHERS, ids=lambda changes: "-".join(map(str, changes.values()))
)
def test_every_form_equals_the_generator(changes):
    assert_same(*compare(preset("tiny", **changes), batch=2, packed=False))


@needs_packing
@pytest.mark.parametrize("changes", [VARIANTS[5], VARIANTS[18], WITHOUT_MASK[0], OTHERS[0]], ids=range(4))
def test_packed_equals_the_generator(changes):
    assert_same(*compare(preset("tiny", **changes), batch=2, packed=True))


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "tiny"])
def test_every_preset_equals_the_generator(name):
    expected, found = compare(preset(name), batch=1 if PRESETS[name].size > 128 else 2, packed=None)
    assert_same(expected, found)


@pytest.mark.parametrize("name", ["tiny", "demo-64", "demo-128", "released-256"])
def test_bfloat16_is_close(name):
    expected, found = compare(preset(name), batch=1, packed=None, dtype=torch.bfloat16)
    assert psnr(expected.image, found.image) >= 40 and psnr(expected.mask * 2, found.mask * 2) >= 40


def test_float16_is_close():
    expected, found = compare(preset("tiny"), batch=1, packed=False, dtype=torch.float16)
    assert psnr(expected.image, found.image) >= 55


def test_a_batch_of_several_chunks_equals_its_pictures():
    config = preset("tiny")
    batch = CPU_CHUNK_BYTES // (4 * config.size**2) + 1
    baked = bake(build(config), torch.randn(config.num_ws, config.w_dim))
    crop, _ = inputs(config, batch)
    together = baked(crop)
    assert together.image.shape == (batch, 3, config.size, config.size)
    for row in (0, batch - 1):
        for field, alone in zip(together[:3], baked(crop[row : row + 1])[:3], strict=True):
            torch.testing.assert_close(field[row], alone[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("changes", [*VARIANTS[:6], *WITHOUT_MASK[:1]], ids=str)
@pytest.mark.parametrize("batch", [2, 11])
def test_merged_chunks_equal_their_pictures(changes, batch, monkeypatch):
    from styleswap_core.model.inference import baked_generator as module

    config = preset("tiny", **changes)
    monkeypatch.setattr(module, "MERGE_RESOLUTION", config.size // 2)
    monkeypatch.setattr(module, "CPU_CHUNK_BYTES", 4 * config.size**2)
    monkeypatch.setattr(module, "MERGE_BYTES", 5 * 4 * config.size**2)
    baked = bake(build(config), torch.randn(config.num_ws, config.w_dim))
    assert baked.chunk_size == 1
    crop, _ = inputs(config, batch)
    together = baked(crop)
    for row in range(batch):
        for field, alone in zip(together[:3], baked(crop[row : row + 1])[:3], strict=True):
            torch.testing.assert_close(field[row], alone[0], atol=2e-5, rtol=0)


def test_baked_generator_is_independent_of_further_training():
    generator = build(preset("tiny"))
    crop, embedding = inputs(generator.config, 1)
    w_plus = generator.broadcast(generator.mapping(embedding))
    baked = bake(generator, w_plus)
    before = baked(crop).image
    for parameter in generator.parameters():
        parameter += 1.0
    assert torch.equal(baked(crop).image, before) and not list(baked.parameters())


@needs_packing
def test_packing_keeps_the_memory_and_prevents_moving():
    generator = build(preset("tiny"))
    w_plus = torch.randn(1, generator.num_ws, generator.config.w_dim)
    plain, packed = (bake(generator, w_plus, packed=packed) for packed in (False, True))
    half = bake(generator, w_plus, torch.bfloat16, packed=False)
    assert plain.memory_bytes() <= packed.memory_bytes() < 1.5 * plain.memory_bytes()
    assert half.memory_bytes() < 0.6 * plain.memory_bytes()
    assert plain.to(torch.float64).dtype == torch.float64
    with pytest.raises(StyleSwapError, match="cannot move"):
        packed.to(torch.float64)


def test_invalid_arguments_of_bake_are_refused():
    generator = build(preset("tiny"))
    rows, width = generator.num_ws, generator.config.w_dim
    for shape in ((2, rows, width), (rows + 1, width), (width,)):
        with pytest.raises(StyleSwapError, match="w_plus must have shape"):
            bake(generator, torch.zeros(shape))
    with pytest.raises(StyleSwapError, match="dtype must be one of"):
        bake(generator, torch.zeros(rows, width), torch.int8)
    with pytest.raises(StyleSwapError, match="aligned_crop must have shape"):
        bake(generator, torch.zeros(rows, width))(torch.zeros(1, 3, 16, 16))
