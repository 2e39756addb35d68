"""Generator configurations: published channel tables, and invalid settings."""

import json

import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import PRESETS, Generator, GeneratorConfig, preset


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("released-256", {4: 256, 8: 256, 16: 256, 32: 256, 64: 128, 128: 64, 256: 32}),
        ("released-512", {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64}),
    ],
)
def test_released_channels(name, table):
    config = PRESETS[name]
    assert {resolution: config.channels_at(resolution) for resolution in config.resolutions} == table


def test_stylegan2_table_up_to_1024():
    config = GeneratorConfig(size=1024, channel_multiplier=2)
    assert [config.channels_at(r) for r in config.resolutions] == [512, 512, 512, 512, 512, 256, 128, 64, 32]


def test_released_settings():
    small, large = PRESETS["released-256"], PRESETS["released-512"]
    assert (small.mask_branch, small.mask_accumulation, small.attribute_masking) == (True, "sigmoid", "mean")
    assert [r for r in small.resolutions if small.masks_attributes(r)] == [256]
    assert small.attribute_injection == large.attribute_injection == "every_conv"
    assert (large.mask_branch, large.attribute_masking) == (False, "none")
    assert (small.rgb_bound, large.rgb_bound) == ("none", "none")
    assert (small.w_dim, small.style_dim, small.mapping_layers) == (512, 512, 8)


@pytest.mark.parametrize(("size", "count"), [(32, 8), (64, 10), (128, 12), (256, 14), (512, 16), (1024, 18)])
def test_num_ws(size, count):
    assert GeneratorConfig(size=size).num_ws == count


def test_demo_networks_are_small():
    counts = {name: sum(p.numel() for p in Generator(PRESETS[name]).parameters()) for name in ("demo-64", "demo-128")}
    assert 3e6 < counts["demo-64"] < counts["demo-128"] < 4.5e6


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_round_trip_through_json(name):
    config = PRESETS[name]
    assert GeneratorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(config.replace())


def test_channels_are_copied_and_sorted():
    table = {8: 4, 4: 6}
    config = GeneratorConfig(size=8, channels=table)
    table[8] = 99
    assert list(config.channels.items()) == [(4, 6), (8, 4)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 100}, "size must be a power of two from 8 to 1024; got 100"),
        ({"size": 2048, "channels": None}, "got 2048"),
        ({"size": 128.0}, "size must be a power of two"),
        ({"attribute_injection": "all"}, "attribute_injection must be one of per_resolution, every_conv; got 'all'"),
        ({"attribute_masking": "blur"}, "attribute_masking must be one of"),
        ({"mask_accumulation": "sum"}, "mask_accumulation must be one of"),
        ({"rgb_bound": "clip"}, "rgb_bound must be one of"),
        ({"masking_start": 4}, "masking_start must be"),
        ({"mask_branch": False}, "needs a mask"),
        ({"mask_branch": 1}, "mask_branch must be true or false"),
        ({"w_dim": 0}, "w_dim must be a positive integer"),
        ({"encoder_blocks": -1}, "encoder_blocks must be"),
        ({"narrow": 0}, "narrow must be a positive number"),
        ({"mapping_lr_mul": float("nan")}, "mapping_lr_mul must be a positive number"),
        ({"embedding_norm": 0}, "embedding_norm must be a positive number"),
        ({"mapping_lr_mul": 2**70}, "mapping_lr_mul must be a positive number up to 1000000"),
        ({"template": 3}, "template must be a name"),
        ({"channels": {4: 8, 8: 8}}, "channels must name the resolutions"),
        ({"channels": {4: 8, 8: 8, 16: 8, 32: 0}}, "channels must be positive integers"),
        ({"channels": [8, 8]}, "channels must map resolutions"),
        ({"noise": 1}, "unknown generator setting noise"),
    ],
)
def test_invalid_settings_raise_one_line_errors(changes, words):
    with pytest.raises(StyleSwapError) as caught:
        preset("tiny", **changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_preset_error_lists_the_presets():
    with pytest.raises(StyleSwapError, match=r"unknown generator preset 'demo-96'; expected one of .*demo-128"):
        preset("demo-96")


def test_configuration_must_be_a_table():
    with pytest.raises(StyleSwapError, match="table of fields; got list"):
        GeneratorConfig.from_dict([1])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder_blocks": 2},
        {"attribute_injection": "every_conv"},
        {"mask_branch": False, "attribute_masking": "none"},
    ],
    ids=range(4),
)
def test_min_elements_is_a_tight_lower_bound(changes):
    config = preset("tiny", **changes)
    true = sum(parameter.numel() for parameter in Generator(config).parameters())
    assert true / 6 < config.min_elements <= true
