"""Each importer: the converted model gives the output of the foreign network."""

import json
import pickle
import shlex
from collections import OrderedDict

import foreign_networks as foreign
import pytest
import torch
from safetensors.torch import save_file

from styleswap_core.checkpoints import load_generator, save_generator
from styleswap_core.checkpoints.convert import FORMATS, convert, training_command
from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Generator, GeneratorConfig, bake, preset
from styleswap_core.swappers.styleswap_network import domain_notice
from styleswap_core.training.warm_start import initialize_generator

SMALL = {4: 8, 8: 8, 16: 6, 32: 4}
# Attributes are masked from 256 px on.
LARGE = {4: 6, 8: 6, 16: 5, 32: 4, 64: 4, 128: 3, 256: 2}
OUTER = ("to_outtermask1", "to_outtermasks")
MASK = ("to_mask1", "to_masks")
WIDTH = 24


def write_paddle(path, weights):
    arrays = {name: value.numpy() for name, value in foreign.paddle_layout(weights).items()}
    names = {name: f"linear_{index}.w_0" for index, name in enumerate(arrays)}
    path.write_bytes(pickle.dumps({**arrays, "StructuredToParameterName@@": names}, protocol=4))


def write_reimplementation(path, weights):
    other = {name: value + 1 for name, value in weights.items()}
    torch.save(
        {
            "g": other,
            "d": {"convs.0.0.weight": torch.zeros(2)},
            "g_ema": OrderedDict(weights),
            "g_optim": {"state": {}},
            "d_optim": {"state": {}},
        },
        path,
    )


def inputs(size, batch=2):
    random = torch.Generator().manual_seed(3)
    return torch.rand(batch, 3, size, size, generator=random) * 2 - 1, 3 * torch.randn(batch, WIDTH, generator=random)


def assert_close(one, other):
    assert one.shape == other.shape and other.std() > 0.01
    assert (one - other).abs().max() <= 1e-4


def converted(tmp_path, source, **options):
    """Generator, metadata and report after conversion and a round trip through a model file."""
    conversion = convert(source, **options)
    save_generator(tmp_path / "out.safetensors", conversion.generator, conversion.metadata)
    generator, metadata = load_generator(tmp_path / "out.safetensors")
    return generator.eval().requires_grad_(False), metadata, conversion.report


@pytest.mark.parametrize(
    ("channels", "mask"), [(SMALL, OUTER), (SMALL, None), (LARGE, OUTER)], ids=["32", "32-no-mask", "256"]
)
def test_released_styleswap_gives_the_same_output(tmp_path, channels, mask):
    weights = foreign.styleswap_weights(channels, mask)
    write_paddle(tmp_path / "styleswap.pdparams", weights)
    generator, metadata, report = converted(tmp_path, tmp_path / "styleswap.pdparams")
    assert report["format"] == metadata["converted_from"]["format"] == "styleswap-paddle"
    assert report["fresh"] == report["partly_fresh"] == report["unused"] == [] and domain_notice(metadata) is None
    picture, embedding = inputs(max(channels))
    image, rgb, drawn_mask = foreign.styleswap(weights, picture, embedding, mask)
    output = generator(picture, embedding)
    assert_close(output.image, image)
    assert_close(output.rgb, rgb)
    if mask:
        assert_close(output.mask, drawn_mask)
    else:
        assert torch.equal(output.mask, torch.ones_like(output.mask))


def test_reimplementation_gives_the_same_output_also_baked(tmp_path):
    weights = foreign.styleswap_weights(LARGE, MASK, seed=1)
    write_reimplementation(tmp_path / "005000.pth", weights)
    generator, _, report = converted(tmp_path, tmp_path / "005000.pth")
    assert (report["format"], report["part"]) == ("styleswap-pytorch", "g_ema")
    assert report["not_read"] == ["g", "d", "g_optim", "d_optim"]
    picture, embedding = inputs(256, batch=1)
    image, _, mask = foreign.styleswap(weights, picture, embedding, MASK)
    assert_close(generator(picture, embedding).image, image)
    baked = bake(generator, generator.broadcast(generator.mapping(embedding)))(picture)
    assert_close(baked.image, image)
    assert_close(baked.mask, mask)


def test_identities_are_scaled_to_the_embedding_norm(tmp_path):
    weights = foreign.styleswap_weights(SMALL, MASK)
    torch.save(weights, tmp_path / "bare.pt")
    generator, _, report = converted(tmp_path, tmp_path / "bare.pt")
    assert generator.config.embedding_norm == pytest.approx(512**0.5, abs=1e-3)
    assert "sqrt(512)" in report["stated"]["embedding_norm"]["why"]
    _, embedding = inputs(32)
    identity = torch.nn.functional.normalize(embedding)
    raw = identity * generator.config.embedding_norm
    assert torch.allclose(generator.map_identity(identity), generator.mapping(raw), atol=1e-5)
    assert not torch.allclose(generator.map_identity(identity), generator.mapping(identity), atol=1e-3)


def test_gpen_gives_the_same_output_and_new_tensors_are_listed(tmp_path):
    weights = foreign.gpen_weights(SMALL)
    torch.save(weights, tmp_path / "GPEN-BFR-32.pth")
    generator, metadata, report = converted(tmp_path, tmp_path / "GPEN-BFR-32.pth")
    picture, _ = inputs(32)
    restored, code = foreign.gpen(weights, picture)
    w = generator.mapping.layers(generator.mapping.norm(code))
    assert_close(generator.synthesis(generator.broadcast(w), generator.encode(picture), picture).rgb, restored)
    assert "cannot swap yet" in domain_notice(metadata) and generator.config.template == "gpen"
    new = {name for name in generator.state_dict() if name.startswith("mapping.input.") or ".to_mask." in name}
    assert set(report["fresh"]) == new and len(new) == 2 + 4 * 3
    assert report["unused"] == ["final_linear.0.bias", "final_linear.0.weight"]


@pytest.mark.parametrize("injection", ["per_resolution", "every_conv"])
def test_stylegan2_gives_the_same_output_for_any_target(tmp_path, injection):
    weights = foreign.stylegan2_weights(SMALL)
    torch.save({"g_ema": weights, "latent_avg": torch.zeros(WIDTH)}, tmp_path / "stylegan2.pt")
    generator, _, report = converted(tmp_path, tmp_path / "stylegan2.pt", settings={"attribute_injection": injection})
    picture, z = inputs(32)
    w_plus = generator.broadcast(generator.mapping.layers(generator.mapping.norm(z)))
    expected = foreign.stylegan2(weights, z)
    for target in (picture, -picture):
        assert_close(generator.synthesis(w_plus, generator.encode(target), target).rgb, expected)
    assert {name.split(".")[0] for name in report["fresh"]} == {"encoder", "mapping", "synthesis"}
    assert not any(name.endswith("constant") or ".to_rgb." in name for name in report["fresh"])
    assert "synthesis.blocks.32.to_rgb.modulation.weight" in report["partly_fresh"]
    assert "noises.noise_0" in report["unused"] and "convs.0.noise.weight" in report["unused"]


@pytest.mark.parametrize("make", [foreign.gpen_weights, foreign.stylegan2_weights], ids=["gpen", "stylegan2"])
def test_training_command_starts_from_the_prior(tmp_path, make):
    torch.save({"g_ema": make(SMALL)}, tmp_path / "prior.pth")
    generator, _, _ = converted(tmp_path, tmp_path / "prior.pth")
    words = training_command(generator.config, tmp_path / "out.safetensors")
    told = dict(word.split("=", 1) for word in shlex.split(words) if "=" in word)
    model = Generator(preset(told["model"], **json.loads(told["model_overrides"])))
    assert told["init_from"] == str(tmp_path / "out.safetensors")
    assert initialize_generator(model, told["init_from"]) == []
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), generator.state_dict().values(), strict=True)
    )


def test_new_tensors_are_reproducible_and_the_random_state_is_kept(tmp_path):
    torch.save(foreign.gpen_weights(SMALL), tmp_path / "gpen.pth")
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    one = convert(tmp_path / "gpen.pth").generator.state_dict()
    assert torch.equal(torch.rand(2), expected)
    other = convert(tmp_path / "gpen.pth").generator.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_released_shapes_imply_the_released_presets(monkeypatch):
    """Tests names and shapes only, at full size."""
    # Drawing two hundred million random numbers takes a while, and they are not used.
    monkeypatch.setattr(torch, "randn", torch.zeros)
    narrow = {4: 256, 8: 256, 16: 256, 32: 256, 64: 128, 128: 64, 256: 32}
    wide = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64}
    paddle = FORMATS["styleswap-paddle"]
    for channels, name in ((narrow, "released-256"), (wide, "released-512")):
        # Expanded from one number, since only shapes are read.
        ours = Generator(preset(name)).state_dict()
        shapes = {
            link.theirs: torch.zeros(1).expand(link.form.shape(tuple(ours[key].shape)))
            for key, link in paddle.links(preset(name)).items()
        }
        del ours
        assert paddle.matches(shapes)
        inferred = paddle.infer(shapes)
        config = GeneratorConfig(**inferred, **{key: stated.value for key, stated in paddle.stated(inferred).items()})
        assert config == preset(name, recognizer="arcface_ir_se50", embedding_norm=config.embedding_norm)
        assert [config.channels_at(resolution) for resolution in config.resolutions] == list(channels.values())


@pytest.mark.parametrize(
    "container", ["torch", "old torch", "safetensors", "processes", "half", "no buffers", "paddle-rewritten"]
)
def test_the_same_weights_in_other_containers(tmp_path, container):
    weights = foreign.styleswap_weights(SMALL, OUTER)
    path = tmp_path / "weights.pth"
    expected = {name: value.clone() for name, value in weights.items()}
    if container == "old torch":
        torch.save({"g_ema": weights}, path, _use_new_zipfile_serialization=False)
    elif container == "safetensors":
        save_file(weights, path)
    elif container == "processes":
        torch.save({f"module.{name}": value for name, value in weights.items()}, path)
    elif container == "half":
        torch.save({name: value.half() for name, value in weights.items()}, path)
        expected = {name: value.half().float() for name, value in weights.items()}
    elif container == "no buffers":
        torch.save({name: value for name, value in weights.items() if not name.endswith("kernel")}, path)
    elif container == "paddle-rewritten":
        save_file(foreign.paddle_layout(weights), path)
    else:
        torch.save(weights, path)
    generator = convert(path).generator
    picture, embedding = inputs(32)
    with torch.no_grad():
        assert_close(generator(picture, embedding).image, foreign.styleswap(expected, picture, embedding, OUTER)[0])


def test_user_settings_override_those_of_the_format(tmp_path):
    torch.save(foreign.styleswap_weights(SMALL, OUTER), tmp_path / "a.pth")
    report = convert(tmp_path / "a.pth", settings={"template": "ffhq", "recognizer": "w600k_r50"}).report
    assert report["config"]["template"] == "ffhq" and report["config"]["recognizer"] == "w600k_r50"
    assert report["stated"]["template"] == {"value": "ffhq", "why": "set explicitly"}
    with pytest.raises(StyleSwapError, match=r"size cannot be set for styleswap-paddle.*settable are template"):
        convert(tmp_path / "a.pth", settings={"size": 64})
