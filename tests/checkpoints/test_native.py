"""The model file format: round trips, and refusal of all other files."""

import json
import pickle
import struct

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

from styleswap_core.checkpoints import load_generator, model_sha256, save_generator
from styleswap_core.checkpoints.native import load_header
from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Generator, preset

METADATA = {"domain": "synthetic", "training": {"steps": 3, "seeds": [1, 2]}, "card": "zwei Wörter"}


def build():
    torch.manual_seed(2)
    return Generator(preset("tiny", size=16, channels={4: 8, 8: 8, 16: 6}, recognizer="demo", rgb_bound="tanh"))


@pytest.fixture(scope="module")
def generator():
    return build()


@pytest.fixture
def model_file(tmp_path, generator):
    path = tmp_path / "model.safetensors"
    save_generator(path, generator, METADATA)
    return path


def test_round_trip(model_file, generator):
    loaded, metadata = load_generator(model_file)
    assert metadata == METADATA
    assert loaded.config == generator.config
    assert loaded.state_dict().keys() == generator.state_dict().keys()
    for name, tensor in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    crop, identity = torch.rand(1, 3, 16, 16), F.normalize(torch.randn(1, 512))
    assert torch.equal(loaded(crop, identity).image, generator(crop, identity).image)


def test_the_header_is_read_without_the_weights(model_file, generator):
    assert load_header(model_file) == (generator.config, METADATA)
    model_file.with_name("identity.safetensors").write_bytes(b"")
    with pytest.raises(StyleSwapError, match="is empty"):
        load_header(model_file.with_name("identity.safetensors"))


def test_float16_halves_the_file_and_returns_float32(tmp_path, model_file, generator):
    path = tmp_path / "half.safetensors"
    save_generator(path, generator, METADATA, dtype="float16")
    assert path.stat().st_size < 0.65 * model_file.stat().st_size
    loaded, _ = load_generator(path)
    for name, tensor in generator.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_the_hash_depends_on_the_content_only(tmp_path, model_file, generator):
    again = tmp_path / "again.safetensors"
    save_generator(again, generator, METADATA)
    assert model_sha256(again) == model_sha256(model_file)
    assert len(model_sha256(again)) == 64
    save_generator(again, generator, {**METADATA, "domain": "photographs"})
    assert model_sha256(again) != model_sha256(model_file)


def test_loading_keeps_the_random_state(model_file):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    load_generator(model_file)
    assert torch.equal(torch.rand(3), expected)


def test_a_channels_last_model_can_be_saved(tmp_path, generator):
    path = tmp_path / "model.safetensors"
    save_generator(path, build().to(memory_format=torch.channels_last), {})
    assert torch.equal(load_generator(path)[0].encoder.down["8"].weight, generator.encoder.down["8"].weight)


def rewrite(path, change_header=lambda header: header, change_tensors=lambda tensors: tensors):
    with safe_open(path, framework="pt") as file:
        header = dict(file.metadata())
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not iterable
    save_file(change_tensors(tensors), path, metadata=change_header(header))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def truncate_header(path):
    path.write_bytes(path.read_bytes()[:50])


def flip_header(path):
    data = bytearray(path.read_bytes())
    data[8] ^= 0xFF
    path.write_bytes(bytes(data))


def foreign_safetensors(path):
    save_file({"weight": torch.zeros(2)}, path)


def other_kind(path):
    save_file({"id_embedding": torch.zeros(512)}, path, metadata={"format": "styleswap-identity", "version": "1"})


def newer(path):
    rewrite(path, lambda header: header | {"version": "9"})


def without_config(path):
    rewrite(path, lambda header: {key: value for key, value in header.items() if key != "config"})


def damaged_config(path):
    rewrite(path, lambda header: header | {"config": "{"})


def unknown_setting(path):
    rewrite(path, lambda header: header | {"config": json.dumps(json.loads(header["config"]) | {"color": 3})})


def metadata_of_another_form(path):
    rewrite(path, lambda header: header | {"metadata": "[1]"})


def missing_tensor(path):
    rewrite(path, change_tensors=lambda tensors: dict(list(tensors.items())[1:]))


def extra_tensor(path):
    rewrite(path, change_tensors=lambda tensors: tensors | {"extra": torch.zeros(1)})


def other_shape(path):
    rewrite(path, change_tensors=lambda tensors: tensors | {"mapping.input.bias": torch.zeros(5)})


def torch_zip(path):
    torch.save({"g_ema": {"weight": torch.zeros(2)}}, path)


def torch_old(path):
    torch.save({"weight": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)


def paddle(path):
    path.write_bytes(pickle.dumps({"weight": [0.0]}, protocol=4))


def paddle_protocol_2(path):
    path.write_bytes(pickle.dumps({"weight": [0.0]}, protocol=2))


def text(path):
    path.write_text("404: not found, a web page instead of a model")


def huge_header(path):
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")


def empty(path):
    path.write_bytes(b"")


def missing(path):
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, "damaged, truncated or not a model file"),
        (truncate_header, "damaged, truncated or not a model file"),
        (flip_header, "damaged, truncated or not a model file"),
        (text, "damaged, truncated or not a model file"),
        (huge_header, "damaged, truncated or not a model file"),
        (empty, "is empty"),
        (missing, "does not exist or is a folder"),
        (foreign_safetensors, "styleswap convert"),
        (torch_zip, "styleswap convert"),
        (torch_old, "styleswap convert"),
        (paddle, "styleswap convert"),
        (paddle_protocol_2, "styleswap convert"),
        (other_kind, "is a styleswap-identity file; expected a styleswap-generator file"),
        (newer, "format version 9"),
        (without_config, "its metadata cannot be read"),
        (damaged_config, "its metadata cannot be read"),
        (metadata_of_another_form, "its metadata is not a table"),
        (unknown_setting, "unknown generator setting color"),
        (missing_tensor, "lacks "),
        (extra_tensor, "has unknown extra"),
        (other_shape, "has the wrong shape for mapping.input.bias"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_invalid_files_raise_one_line_errors(model_file, spoil, words):
    spoil(model_file)
    with pytest.raises(StyleSwapError) as caught:
        load_generator(model_file)
    message = str(caught.value)
    assert words in message
    assert str(model_file) in message
    assert "\n" not in message


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StyleSwapError, match="does not exist or is a folder"):
        load_generator(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dtype": "int8"}, "dtype must be one of float32, float16; got 'int8'"),
        ({"metadata": {"picture": torch.zeros(1)}}, "plain JSON values"),
        ({"metadata": {"loss": float("nan")}}, "plain JSON values"),
    ],
)
def test_failed_saving_leaves_no_file(tmp_path, generator, arguments, words):
    with pytest.raises(StyleSwapError, match=words):
        save_generator(tmp_path / "model.safetensors", generator, **{"metadata": {}, **arguments})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), "float32"), (1e6, "float16")])
def test_weights_that_are_not_finite_in_the_file_are_refused(tmp_path, value, dtype):
    broken = build()
    torch.nn.init.constant_(broken.mapping.input.weight, value)
    with pytest.raises(StyleSwapError, match=r"mapping.input.weight has values that are not finite"):
        save_generator(tmp_path / "model.safetensors", broken, {}, dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_saving_into_a_missing_folder(tmp_path, generator):
    with pytest.raises(StyleSwapError, match="folder"):
        save_generator(tmp_path / "nowhere" / "model.safetensors", generator, {})
