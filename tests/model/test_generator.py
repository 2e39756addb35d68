"""The equations of the method, one by one, and the interface of the generator."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Generator, preset
from styleswap_core.model.generator_output import composite
from styleswap_core.model.layers import upsample_fir
from styleswap_core.model.masks import accumulate_mask, mask_attributes

SIZE = 32
VARIANTS = [
    {"attribute_injection": injection, "attribute_masking": masking, "mask_accumulation": accumulation}
    for injection, masking, accumulation in itertools.product(
        ("per_resolution", "every_conv"), ("none", "block", "mean"), ("logits", "sigmoid")
    )
]


def build(**changes):
    torch.manual_seed(3)
    return Generator(preset("tiny", **changes))


def inputs(batch=2, size=SIZE, seed=5):
    random = torch.Generator().manual_seed(seed)
    crop = torch.rand(batch, 3, size, size, generator=random) * 2 - 1
    return crop, F.normalize(torch.randn(batch, 512, generator=random))


unit_maps = st.integers(0, 10**6).map(lambda seed: torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(unit_maps)
def test_mask_logits_accumulate_over_the_levels(random):
    maps = [torch.randn(2, 1, edge, edge, generator=random) for edge in (4, 8, 16)]
    logits = []
    for own in maps:
        logits.append(accumulate_mask(own, logits[-1] if logits else None, "logits"))
    # Bilinear upsampling is linear: the last level is the sum of all upsampled masks.
    total = maps[2]
    for own in maps[:2]:
        while own.shape[-1] < 16:
            own = F.interpolate(own, scale_factor=2, mode="bilinear", align_corners=False)
        total = total + own
    torch.testing.assert_close(logits[-1], total)


@settings(max_examples=20, deadline=None)
@given(unit_maps)
def test_sigmoid_accumulation_adds_the_normalized_mask(random):
    first, second = (torch.randn(2, 1, edge, edge, generator=random) for edge in (4, 8))
    logits = accumulate_mask(second, accumulate_mask(first, None, "sigmoid"), "sigmoid")
    torch.testing.assert_close(logits, second + upsample_fir(torch.sigmoid(first)))


@settings(max_examples=20, deadline=None)
@given(unit_maps)
def test_image_is_the_mask_weighted_sum(random):
    rgb, target = (torch.randn(2, 3, 8, 8, generator=random) for _ in range(2))
    mask = torch.rand(2, 1, 8, 8, generator=random)
    torch.testing.assert_close(composite(rgb, mask, target), mask * rgb + (1 - mask) * target)
    assert torch.equal(composite(rgb, torch.zeros_like(mask), target), target)
    assert torch.equal(composite(rgb, torch.ones_like(mask), target), rgb)


@settings(max_examples=20, deadline=None)
@given(unit_maps)
def test_block_masking_multiplies_by_one_minus_the_mask(random):
    maps, mask = torch.randn(2, 5, 8, 8, generator=random), torch.rand(2, 1, 8, 8, generator=random)
    torch.testing.assert_close(mask_attributes(maps, mask, "block"), (1 - mask) * maps)


@settings(max_examples=20, deadline=None)
@given(unit_maps)
def test_mean_masking_replaces_the_face_by_its_mean(random):
    maps, mask = torch.randn(2, 5, 8, 8, generator=random), torch.rand(2, 1, 8, 8, generator=random)
    mean = (maps * mask).sum(dim=(2, 3), keepdim=True) / mask.sum(dim=(2, 3), keepdim=True)
    masked = mask_attributes(maps, mask, "mean")
    torch.testing.assert_close(masked, mask * mean + (1 - mask) * maps, rtol=1e-4, atol=1e-5)
    # A hard mask preserves the mean inside it, and an empty mask changes nothing.
    hard = (mask > 0.5).float()
    kept = mask_attributes(maps, hard, "mean")
    torch.testing.assert_close((kept * hard).sum((2, 3)), (maps * hard).sum((2, 3)), rtol=1e-4, atol=1e-4)
    assert torch.equal(mask_attributes(maps, torch.zeros_like(mask), "mean"), maps)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_forward_equals_its_parts_and_every_parameter_gets_a_gradient(variant):
    generator = build(encoder_blocks=1, **variant)
    for block in generator.encoder.blocks.values():
        torch.nn.init.ones_(block[0].weight)
    crop, identity = inputs()
    output = generator(crop, identity)
    assert output.image.shape == output.rgb.shape == (2, 3, SIZE, SIZE)
    assert output.mask.shape == (2, 1, SIZE, SIZE)
    assert output.mask.min() >= 0 and output.mask.max() <= 1
    assert [logits.shape[-1] for logits in output.mask_logits] == [4, 8, 16, 32]
    torch.testing.assert_close(output.mask, torch.sigmoid(output.mask_logits[-1]))
    torch.testing.assert_close(output.image, output.mask * output.rgb + (1 - output.mask) * crop)

    w_plus = generator.broadcast(generator.mapping(identity))
    assert w_plus.shape == (2, generator.num_ws, 32)
    image, rgb, mask, _ = generator.synthesis(w_plus, generator.encode(crop), crop)
    assert torch.equal(image, output.image) and torch.equal(rgb, output.rgb) and torch.equal(mask, output.mask)

    (output.image.square().mean() + output.mask.mean()).backward()
    idle = [name for name, value in generator.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_samples_of_a_batch_are_independent():
    generator = build(attribute_masking="mean")
    crop, identity = inputs(3)
    whole = generator(crop, identity).image
    alone = torch.cat([generator(crop[i : i + 1], identity[i : i + 1]).image for i in range(3)])
    torch.testing.assert_close(whole, alone, rtol=1e-4, atol=1e-4)


def test_without_mask_branch_the_image_is_the_rgb():
    generator = build(mask_branch=False, attribute_masking="none")
    crop, identity = inputs()
    output = generator(crop, identity)
    assert torch.equal(output.image, output.rgb)
    assert torch.equal(output.mask, torch.ones(2, 1, SIZE, SIZE))
    assert output.mask_logits == []
    assert not any("to_mask" in name for name in generator.state_dict())


def test_tanh_bounds_the_rgb_but_not_the_mask():
    crop, identity = inputs()
    free, bound = (build(rgb_bound=kind)(crop, identity) for kind in ("none", "tanh"))
    torch.testing.assert_close(bound.rgb, torch.tanh(free.rgb))
    assert torch.equal(bound.mask, free.mask)


def record(module, seen, name):
    module.register_forward_pre_hook(lambda _, args: seen.setdefault(name, []).append(args[1]))


def test_w_plus_rows_reach_the_layers_in_the_order_of_the_released_code():
    generator = build()
    crop, _ = inputs(1)
    w_plus = torch.arange(8.0)[None, :, None].expand(1, 8, 32)
    seen = {}
    for resolution, block in generator.synthesis.blocks.items():
        for index, conv in enumerate(block.convs):
            record(conv, seen, f"{resolution}.conv{index}")
        for name in ("to_rgb", "to_mask"):
            modulation = getattr(block, name).modulation
            key = f"{resolution}.{name}"
            modulation.register_forward_pre_hook(lambda _, args, key=key: seen.setdefault(key, []).append(args[0]))
    generator.synthesis(w_plus, generator.encode(crop), crop)
    rows = {name: int(values[0][0, 0]) for name, values in seen.items()}
    expected = {"4.conv0": 0, "4.to_rgb": 1, "4.to_mask": 1}
    for k, resolution in enumerate((8, 16, 32)):
        expected |= {f"{resolution}.conv0": 2 * k + 1, f"{resolution}.conv1": 2 * k + 2}
        expected |= {f"{resolution}.to_rgb": 2 * k + 3, f"{resolution}.to_mask": 2 * k + 3}
    assert rows == expected
    assert max(rows.values()) == generator.num_ws - 1


@pytest.mark.parametrize(("injection", "expected"), [("per_resolution", 4), ("every_conv", 7)])
def test_number_and_position_of_injections(injection, expected):
    generator = build(attribute_injection=injection)
    injecting = [
        (int(resolution), index)
        for resolution, block in generator.synthesis.blocks.items()
        for index, conv in enumerate(block.convs)
        if conv.injects
    ]
    assert len(injecting) == expected
    assert {(4, 0), (8, 1), (16, 1), (32, 1)} <= set(injecting)
    table = generator.config.channels
    first_of_16, second_of_16 = generator.synthesis.blocks["16"].convs
    assert first_of_16.conv.weight.shape == (table[16], 2 * table[8], 3, 3)
    assert second_of_16.conv.weight.shape[1] == table[16] * (2 if injection == "every_conv" else 1)
    assert second_of_16.bias.shape == (2 * table[16],)


@pytest.mark.parametrize("start", [8, 16, 32])
def test_masking_starts_at_the_configured_resolution(start):
    generator = build(attribute_masking="block", masking_start=start)
    for block in generator.synthesis.blocks.values():  # mask logits 0 everywhere
        torch.nn.init.zeros_(block.to_mask.weight)
    crop, identity = inputs(1)
    seen = {}
    for resolution, block in generator.synthesis.blocks.items():
        conv = block.convs[-1]
        conv.register_forward_pre_hook(lambda _, args, key=int(resolution): seen.update({key: args[2]}))
    generator(crop, identity)
    for resolution, maps in zip((4, 8, 16, 32), generator.encode(crop), strict=True):
        # The sigmoid of zero is one half, so masked attributes are halved.
        factor = 0.5 if resolution >= start else 1.0
        torch.testing.assert_close(seen[resolution], maps * factor)


def test_each_mask_is_applied_at_the_next_resolution():
    generator = build(attribute_masking="block")
    crop, identity = inputs(1)
    seen = {}
    for resolution, block in generator.synthesis.blocks.items():
        block.convs[-1].register_forward_pre_hook(lambda _, args, key=int(resolution): seen.update({key: args[2]}))
    output = generator(crop, identity)
    for level, maps in enumerate(generator.encode(crop)[1:], start=1):
        below = F.interpolate(output.mask_logits[level - 1], scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(seen[2 ** (level + 2)], maps * (1 - torch.sigmoid(below)))


def test_bfloat16_autocast_is_close_and_returns_float32():
    generator = build()
    crop, identity = inputs()
    exact = generator(crop, identity)
    with torch.autocast("cpu", torch.bfloat16):
        rough = generator(crop, identity)
    for one, other in zip(exact[:3], rough[:3], strict=True):
        assert other.dtype == torch.float32
        assert (one - other).abs().mean() < 0.03


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g, c, e: g(c[:, :, :16, :16], e), "aligned_crop must have shape (batch, 3, 32, 32)"),
        (lambda g, c, e: g(c[:, :1], e), "got (2, 1, 32, 32)"),
        (lambda g, c, e: g(c, e[:, :256]), "id_embedding must have shape (batch, 512)"),
        (lambda g, c, e: g(c, e[0]), "must have the same batch size"),
        (lambda g, c, e: g(c, e[:1]), "must have the same batch size"),
        (lambda g, c, e: g.synthesis(g.mapping(e), g.encode(c), c), "w_plus must have shape (batch, 8, 32)"),
        (lambda g, c, e: g.synthesis(g.broadcast(g.mapping(e)), g.encode(c)[1:], c), "one map per resolution"),
    ],
)
def test_invalid_arguments_raise_one_line_errors(call, words):
    with pytest.raises(StyleSwapError) as caught:
        call(build(), *inputs())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
