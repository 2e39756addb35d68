"""Hostile, inconsistent and damaged checkpoints: a one-line error, exit code 2, no code run and no file written."""

import argparse
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from contextlib import nullcontext
from random import Random

import foreign_networks as foreign
import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from styleswap_core.checkpoints import load_generator, save_generator
from styleswap_core.checkpoints.convert import convert
from styleswap_core.checkpoints.foreign_files import read_foreign
from styleswap_core.checkpoints.restricted_pickle import MAX_TUPLE_DEPTH, names_in_pickle, read_plain_pickle
from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Generator, preset

SMALL = {4: 8, 8: 8, 16: 6, 32: 4}
MASK = ("to_outtermask1", "to_outtermasks")
ARRAYS = {
    "a": np.arange(6, dtype="f4").reshape(2, 3),
    "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "c": np.ones(3, dtype=">f4"),
    "d": np.zeros((), dtype="f2"),
}


class Hostile:
    """Creates a folder when it is unpickled without restrictions."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def weights():
    return foreign.styleswap_weights(SMALL, MASK)


@pytest.fixture
def refused(tmp_path, capsys):
    """Function that converts a file which must be refused, and returns the error message."""

    def convert(path, *words):
        before = sorted(os.listdir(tmp_path))
        code = main(["convert", str(path), str(tmp_path / "out.safetensors"), *words])
        captured = capsys.readouterr()
        assert code == 2 and captured.out == ""
        assert captured.err.startswith("styleswap: error: ") and captured.err.count("\n") == 1, captured.err
        assert sorted(os.listdir(tmp_path)) == before, "no file may be written, and no code run"
        assert str(path) in captured.err
        return captured.err

    return convert


# --- pickles


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_round_trip(protocol):
    read = read_plain_pickle(
        pickle.dumps({**ARRAYS, "n": {"a": "linear_0.w_0"}, "i": [1, (2.5, None, True)]}, protocol=protocol)
    )
    for name, array in ARRAYS.items():
        found = read[name].array()
        assert np.array_equal(found, array) and found.dtype == array.dtype
    assert read["n"] == {"a": "linear_0.w_0"} and read["i"] == [1, (2.5, None, True)]


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path, protocol):
    data = pickle.dumps({"a": ARRAYS["a"], "b": Hostile(tmp_path / "run")}, protocol=protocol)
    assert f"{os.name}.mkdir" in list(names_in_pickle(data))
    names = rf"tries to use ({os.name}\.mkdir|__builtin__\.|copy_reg\.)"
    with pytest.raises(StyleSwapError, match=names):
        read_plain_pickle(data)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [os.system, eval, np.load, torch.nn.Linear, argparse.Namespace(), {1, 2}, object()])
def test_only_arrays_and_plain_values_are_read(value):
    with pytest.raises(StyleSwapError, match=r"tries to use|uses the pickle operation"):
        read_plain_pickle(pickle.dumps({"a": value}, protocol=4))


@pytest.mark.parametrize(
    "array",
    [np.array([object()]), np.array(["x"]), np.zeros(2, dtype=[("a", "f4")]), np.array([1j])],
    ids=["objects", "text", "records", "complex"],
)
def test_arrays_without_numbers_are_refused(array):
    with pytest.raises(StyleSwapError):
        read_plain_pickle(pickle.dumps({"a": array}, protocol=4))["a"].array()


PROTOCOL = b"\x80\x04"
MISSHAPEN = {
    "empty stack": PROTOCOL + b".",
    "no stop": PROTOCOL + b"}",
    "a mark as result": PROTOCOL + b"(.",
    "a string of 2^60 bytes": PROTOCOL + b"\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "a frame of 2^62 bytes": PROTOCOL + b"\x95" + struct.pack("<Q", 2**62) + b"Q.",
    "place 2^31 of the memory": PROTOCOL + b"N" + b"r" + struct.pack("<I", 2**31) + b"0.",
    "memory never filled": PROTOCOL + b"h\x07.",
    "a key that is a table": PROTOCOL + b"}}}s.",
    "deep tuples as key": PROTOCOL + b"})" + b"\x85" * 100000 + b"Ns.",
    "something set on a name": PROTOCOL + b"cnumpy\ndtype\n}b.",
    "a call of a value": PROTOCOL + b"K\x01)R.",
    "registered numbers": PROTOCOL + b"\x82\x01.",
    "persistent names": PROTOCOL + b"Pid\n.",
    "an object made by class": PROTOCOL + b"cnumpy\nndarray\n)\x81.",
    "an array of another type": PROTOCOL + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\n\x85R.",
    "a codec": PROTOCOL + b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.",
    "no pickle": b"\x80\x04\xff\xff",
}


@pytest.mark.parametrize("data", MISSHAPEN.values(), ids=MISSHAPEN)
def test_malformed_pickles_raise_one_line_errors(data):
    with pytest.raises(StyleSwapError) as caught:
        read_plain_pickle(data)
    assert "\n" not in str(caught.value)


def test_a_huge_memo_index_is_refused_before_memory_is_allocated():
    with pytest.raises(StyleSwapError, match="place 2147483648 of a memo that has at most 2"):
        read_plain_pickle(PROTOCOL + b"Nr" + struct.pack("<I", 2**31) + b".")


@pytest.mark.parametrize("depth", [MAX_TUPLE_DEPTH - 1, MAX_TUPLE_DEPTH, 100_000])
def test_a_nested_key_is_refused_or_harmless(tmp_path, depth):
    """Hashing a deeply nested tuple would overflow the C stack, and formatting it Python's."""
    (tmp_path / "a.pdparams").write_bytes(PROTOCOL + b"})" + b"\x85" * depth + b"Ns.")
    with pytest.raises(StyleSwapError) as caught:
        read_foreign(tmp_path / "a.pdparams")
    assert ("it has <tuple>" if depth < MAX_TUPLE_DEPTH else "tuples nested more than 8 deep") in str(caught.value)


def test_a_key_of_tuples_that_share_their_elements_is_refused():
    """Each of 60 levels holds the previous one twice, so that hashing it would take 2**60 steps."""
    levels = b"".join(b"q%ch%c\x86" % (level, level) for level in range(60))
    with pytest.raises(StyleSwapError, match="tuples nested more than 8 deep"):
        read_plain_pickle(PROTOCOL + b"}K\x01" + levels + b"Ns.")


@pytest.mark.parametrize("old", [False, True])
def test_such_keys_in_pytorch_files_are_refused(tmp_path, refused, weights, old):
    levels = b"".join(b"q%ch%c\x86" % (level, level) for level in range(60))
    pickled = PROTOCOL + b"}K\x01" + levels + b"Ns."
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=not old)
    if old:
        data = path.read_bytes()
        end = data.index(b"}q\x00X", 100)
        path.write_bytes(data[: end - 2] + pickled + data[end:])
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", pickled)
            archive.writestr("a/version", "3")
    assert "tuples nested more than 8 deep" in refused(path)


def test_arrays_that_share_their_bytes_are_refused(tmp_path):
    """1,000 arrays of the same megabyte would become a tensor each."""
    data = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20)
    kind = b"cnumpy\ndtype\n(X\x02\0\0\0f4I0\nI1\ntRq\x02"
    array = b"cnumpy.core.numeric\n_frombuffer\n(h\x01h\x02J\0\0\4\0\x85X\x01\0\0\0CtR"
    for count in (1, 1000):
        many = b"".join(b"X\4\0\0\0%04d" % number + array for number in range(count))
        (tmp_path / "a.pdparams").write_bytes(PROTOCOL + b"}(K\0" + data + b"q\x01K\1" + kind + many + b"u.")
        if count == 1:
            assert read_foreign(tmp_path / "a.pdparams").tensors["0000"].shape == (1 << 18,)
        else:
            with pytest.raises(StyleSwapError, match="its arrays have 1048576000 bytes, but the file has"):
                read_foreign(tmp_path / "a.pdparams")


def test_a_text_that_is_encoded_many_times_is_refused():
    """1,000 encodings of one text of 1 MB would take 1 GB."""
    text = b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000
    latin1 = b"X" + struct.pack("<I", 6) + b"latin1"
    encode = b"c_codecs\nencode\nq\x00" + text + b"q\x01" + latin1 + b"q\x02\x86R"
    again = b"h\x00h\x01h\x02\x86R"
    assert read_plain_pickle(PROTOCOL + encode + b".") == b"a" * 1_000_000
    with pytest.raises(StyleSwapError, match="more bytes than the file has"):
        read_plain_pickle(PROTOCOL + b"](" + encode + again * 1000 + b"e.")


def test_a_repeated_array_takes_memory_once(tmp_path):
    array = np.zeros(100_000, "f4")
    file = read_foreign(paddle_file(tmp_path / "a.pdparams", {f"weight{index}": array for index in range(1000)}))
    assert len(file.tensors) == 1000
    assert len({tensor.data_ptr() for tensor in file.tensors.values()}) == 1


def test_shared_tables_are_not_expanded(tmp_path):
    """Forty levels, each with two references to the next: 2^40 tables if expanded, 41 in the file."""
    table = {"weight": np.zeros(1, "f4")}
    for _ in range(40):
        table = {"a": table, "b": table}
    with pytest.raises(StyleSwapError, match="has no tensors of a generator"):
        read_foreign(paddle_file(tmp_path / "a.pdparams", table))


@pytest.mark.parametrize("setting", [b"}X\x04\x00\x00\x00makeNsb.", b"N}X\x04\x00\x00\x00makeNs\x86b."])
def test_a_pickle_cannot_modify_the_reader(setting):
    for name in (b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n"):
        with pytest.raises(StyleSwapError, match="changes something"):
            read_plain_pickle(PROTOCOL + name + setting)
    assert read_plain_pickle(pickle.dumps(ARRAYS, protocol=2))["a"].array().shape == (2, 3)


def test_an_ordered_dict_is_read_as_a_dict():
    assert read_plain_pickle(pickle.dumps(OrderedDict(a=1), protocol=4)) == {"a": 1}
    with pytest.raises(StyleSwapError):
        read_plain_pickle(PROTOCOL + b"ccollections\nOrderedDict\n)" + b"\x85" * 100_000 + b"K\x01\x86\x85\x85R.")


# --- hostile files


@pytest.mark.parametrize(
    "name", ["a.pdparams", "zip.pth", "zip4.pth", "old.pth", "bare.pkl", "safetensors.safetensors"]
)
def test_hostile_files_are_refused_by_name(tmp_path, refused, weights, name):
    path, hostile = tmp_path / name, Hostile(tmp_path / "run")
    arrays = {key: value.numpy() for key, value in weights.items()}
    if name == "a.pdparams":
        path.write_bytes(pickle.dumps({**arrays, "extra": hostile}, protocol=4))
    elif name == "bare.pkl" or name == "safetensors.safetensors":
        path.write_bytes(pickle.dumps({"g_ema": hostile}, protocol=2))
    elif name == "old.pth":
        torch.save({"g_ema": weights, "extra": hostile}, path, _use_new_zipfile_serialization=False)
    else:
        torch.save({"g_ema": weights, "extra": hostile}, path, pickle_protocol=4 if "4" in name else 2)
    message = refused(path)
    assert f"tries to use {os.name}.mkdir" in message and "none of its code was run" in message


@pytest.mark.parametrize("scoped", [True, False], ids=["2.5", "2.4"])
@pytest.mark.parametrize("name", ["good.pt", "hostile.pt"])
def test_the_process_wide_allow_list_is_unchanged(tmp_path, monkeypatch, weights, name, scoped):
    """PyTorch 2.4 has no scoped form of the allow-list of `torch.load`."""
    extra = argparse.Namespace(size=32) if name == "good.pt" else Hostile(tmp_path / "run")
    torch.save({"g_ema": weights, "extra": extra}, tmp_path / name)
    if not scoped:
        monkeypatch.delattr(torch.serialization, "safe_globals")
    before = list(torch.serialization.get_safe_globals())
    assert argparse.Namespace not in before
    with nullcontext() if name == "good.pt" else pytest.raises(StyleSwapError):
        read_foreign(tmp_path / name)
    assert set(torch.serialization.get_safe_globals()) == set(before)


def test_a_namespace_beside_the_weights_is_accepted(tmp_path, weights):
    torch.save({"g_ema": weights, "args": argparse.Namespace(size=32, path="x")}, tmp_path / "a.pt")
    file = read_foreign(tmp_path / "a.pt")
    assert file.part == "g_ema" and file.other_parts == ("args",) and len(file.tensors) == len(weights)


# --- inconsistent files


def paddle_file(path, arrays, protocol=4):
    path.write_bytes(pickle.dumps(arrays, protocol=protocol))
    return path


def test_an_array_that_claims_4_gb_in_a_small_file(tmp_path, refused):
    class InconsistentArray:
        def __reduce__(self):
            function, arguments, _ = np.zeros(2, "f4").__reduce__()
            return function, arguments, (1, (32768, 32768), np.dtype("f4"), False, bytes(8))

    path = paddle_file(tmp_path / "lie.pdparams", {"generator.conv1.conv.weight": InconsistentArray()})
    assert path.stat().st_size < 1024
    message = refused(path)
    assert "is inconsistent: generator.conv1.conv.weight claims the shape (32768, 32768), 4294967296 bytes" in message
    assert "has 8 bytes" in message


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_tensor_that_claims_4_gb_with_stride_0(tmp_path, refused, old):
    path = tmp_path / "lie.pth"
    torch.save({"conv1.conv.weight": torch.zeros(1).expand(32768, 32768)}, path, _use_new_zipfile_serialization=not old)
    assert "is inconsistent: conv1.conv.weight claims the shape (32768, 32768), 4294967296 bytes" in refused(path)


def test_a_storage_that_claims_4_gb_in_an_archive(tmp_path, refused):
    torch.save({"a": torch.arange(4.0)}, tmp_path / "true.pth")
    path = tmp_path / "lie.pth"
    count = struct.pack("<i", 2**30)
    with zipfile.ZipFile(tmp_path / "true.pth") as true, zipfile.ZipFile(path, "w") as lie:
        for entry in true.infolist():
            data = true.read(entry)
            if entry.filename.endswith("data.pkl"):
                changed = data.replace(b"cpuq\x06K\x04", b"cpuq\x06J" + count).replace(
                    b"K\x00K\x04\x85", b"K\x00J" + count + b"\x85"
                )
                assert len(changed) == len(data) + 6
                data = changed
            lie.writestr(entry.filename, data)
    message = refused(path)
    assert "damaged" in message or "inconsistent" in message


def test_a_compressed_archive_is_refused(tmp_path, refused):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("bomb/data/0", bytes(10_000_000))
    assert "is inconsistent: it claims 10" in refused(path)


def safetensors_with(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [([2, 2], [0, 4_000_000_000]), ([32768, 32768], [0, 16]), ([4], [8, 24]), ([4], [16, 0])],
    ids=["beyond the end", "shape", "hole", "backwards"],
)
def test_an_inconsistent_safetensors_header(tmp_path, refused, shape, offsets):
    path = tmp_path / "lie.safetensors"
    path.write_bytes(
        safetensors_with({"conv1.conv.weight": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}, bytes(16))
    )
    assert "damaged, truncated or not a checkpoint" in refused(path)
    with pytest.raises(StyleSwapError):
        load_generator(path)


def test_a_size_without_the_tensors_is_refused(tmp_path, refused, weights):
    """A tensor of level 7 implies 1024 px."""
    path = tmp_path / "large.pth"
    torch.save(weights | {"generator.to_rgbs.7.bias": torch.zeros(1, 3, 1, 1)}, path)
    message = refused(path)
    assert "styleswap-paddle checkpoint of 1024 px" in message and "generator.convs.15.conv.weight" in message


def test_a_tensor_that_implies_a_huge_network_is_refused(tmp_path, refused, weights):
    path = tmp_path / "wide.pth"
    torch.save(weights | {"generator.input.input": torch.zeros(1, 100_000, 1, 1)}, path)
    assert "is inconsistent: some shapes imply a network of at least 90000" in refused(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": {4: 10**7, 8: 10**7, 16: 10**7, 32: 10**7}},
        {"style_dim": 2**62},
        {"mapping_layers": 10**9},
        {"encoder_blocks": 10**9},
        {"size": 1024, "channels": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_model_file_with_an_inconsistent_configuration_is_refused(tmp_path, changes):
    generator = Generator(preset("tiny"))
    path = tmp_path / "model.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    config = json.loads(json.dumps(generator.config.to_dict())) | changes
    save_file(
        tensors,
        path,
        metadata={"format": "styleswap-generator", "version": "1", "config": json.dumps(config), "metadata": "{}"},
    )
    with pytest.raises(StyleSwapError, match="its tensors must be exactly those of its configuration"):
        load_generator(path)


# --- damaged and unsuitable files


def write_as(kind, path, weights):
    if kind == "safetensors":
        save_file(weights, path)
    elif kind == "paddle":
        paddle_file(path, {name: value.numpy() for name, value in foreign.paddle_layout(weights).items()})
    else:
        torch.save({"g_ema": weights}, path, _use_new_zipfile_serialization=kind == "zip")


def _refusal(path):
    try:
        convert(path)
    except StyleSwapError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", ["paddle", "zip", "old", "safetensors"])
def test_corrupted_bytes_raise_one_line_errors_or_do_no_harm(tmp_path, kind):
    path = tmp_path / "a"
    write_as(kind, path, foreign.styleswap_weights({4: 4, 8: 4}, MASK, w_dim=4, layers=2))
    whole, random, refusals = path.read_bytes(), Random(20261122), 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(random.choice((1, 1, 2, 5))):
            # Changes at the beginning have more effects than changes of weights.
            data[random.randrange(min(len(data), random.choice((3000, len(data)))))] = random.randrange(256)
        if random.random() < 0.2:
            del data[random.randrange(len(data)) :]
        path.write_bytes(data)
        message = _refusal(path)
        refusals += message is not None
        assert "\n" not in (message or "")
    assert refusals > 10


def truncated(path, weights):
    torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:-300])


def truncated_old(path, weights):
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-300])


def truncated_paddle(path, weights):
    paddle_file(path, {name: value.numpy() for name, value in weights.items()})
    path.write_bytes(path.read_bytes()[:-300])


def other_archive(path, _):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights here")


def a_tensor(path, _):
    torch.save(torch.zeros(3), path)


def a_list(path, _):
    paddle_file(path, [np.zeros(3)])


def no_tensors(path, _):
    torch.save({"step": 3, "args": {"size": 256}}, path)


def a_recognizer(path, _):
    paddle_file(path, {"input_layer.0.weight": np.zeros((64, 3, 3, 3), "f4")})


def web_page(path, _):
    path.write_text("<!DOCTYPE html><title>404</title>")


def sparse(path, _):
    torch.save({"a": torch.eye(3).to_sparse()}, path)


def our_model(path, _):
    save_generator(path, Generator(preset("tiny")), {})


def blurred_otherwise(path, weights):
    torch.save(weights | {"generator.convs.0.conv.blur.kernel": torch.full((4, 4), 0.25)}, path)


def not_finite(path, weights):
    torch.save(weights | {"generator.input.input": torch.full((1, 8, 4, 4), float("nan"))}, path)


def bfloat_as_integers(path, weights):
    arrays = {name: value.numpy() for name, value in foreign.paddle_layout(weights).items()}
    paddle_file(path, arrays | {"generator.input.input": np.zeros((1, 8, 4, 4), "u2")})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncated, "damaged or truncated"),
        (truncated_old, "damaged or truncated"),
        (truncated_paddle, "damaged or truncated"),
        (other_archive, "damaged or truncated"),
        (a_tensor, "holds a Tensor; expected a table of tensors"),
        (a_list, "holds a list; expected a table"),
        (no_tensors, "has no tensors of a generator; it has step, args"),
        (a_recognizer, "has none of the known formats (styleswap-paddle, styleswap-pytorch, gpen, stylegan2)"),
        (web_page, "damaged, truncated or not a checkpoint"),
        (sparse, "sparse or quantized"),
        (our_model, "is already a StyleSwap model"),
        (blurred_otherwise, "generator.convs.0.conv.blur.kernel is not the filter [1, 3, 3, 1]"),
        (bfloat_as_integers, "1 not floating-point: generator.input.input (uint16)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_unsuitable_files_are_refused(tmp_path, refused, weights, spoil, words):
    path = tmp_path / "checkpoint"
    spoil(path, weights)
    assert words in refused(path)


def test_networks_in_onnx_format_need_no_conversion(tmp_path, refused):
    path = tmp_path / "inswapper_128.onnx"
    onnx.save(onnx.ModelProto(ir_version=9, producer_name="anyone"), path)
    assert "needs no conversion; use it as it is, with --model" in refused(path)


def test_weights_that_are_not_finite_are_refused(tmp_path, weights, capsys):
    not_finite(tmp_path / "a.pth", weights)
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "out.safetensors")]) == 2
    assert "synthesis.blocks.4.constant has values that are not finite" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["a.pth"]


def test_missing_and_empty_files_and_folders_are_refused(tmp_path, refused):
    (tmp_path / "empty.pth").touch()
    assert "is empty" in refused(tmp_path / "empty.pth")
    assert "does not exist or is a folder" in refused(tmp_path / "nowhere.pth")
    (tmp_path / "folder").mkdir()
    assert "does not exist or is a folder" in refused(tmp_path / "folder")


def test_all_mismatched_tensors_are_listed(tmp_path, refused, weights):
    gone = ["generator.conv1.conv.weight", "generator.convs.3.activate.bias", "ecd2.0.1.weight", "final_linear.0.bias"]
    for name in gone:
        del weights[name]
    weights["generator.convs.1.noise.weight"] = torch.zeros(2)
    weights["generator.style.9.weight2"] = weights["somewhere.else"] = torch.zeros(3)
    torch.save(weights | {"step": 3}, tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth")
    missing = message.split("4 missing: ")[1].split(";")[0]
    assert sorted(missing.split(", ")) == sorted(gone)
    assert "3 surplus: generator.style.9.weight2, somewhere.else, step;" in message
    assert "1 of the wrong shape: generator.convs.1.noise.weight (2,) instead of (1,)" in message


def test_a_file_of_another_format_than_requested_is_refused(tmp_path, refused):
    path = tmp_path / "gpen.pth"
    torch.save(foreign.gpen_weights(SMALL), path)
    for name in ("styleswap-pytorch", "styleswap-paddle"):
        assert "final_linear.0.weight (24, 128) instead of (24, 24)" in refused(path, "--format", name)
    assert "generator.to_mask1.conv.weight" in refused(path, "--format", "styleswap-pytorch")


def test_gpen_for_super_resolution_is_refused(tmp_path, refused):
    weights = foreign.gpen_weights(SMALL)
    weights |= {
        name: value for name, value in foreign.gpen_weights({4: 8, 8: 8, 16: 6}).items() if name.startswith("ecd")
    }
    weights = {name: value for name, value in weights.items() if not name.startswith("ecd3")}
    torch.save(weights, tmp_path / "sr.pth")
    assert "the encoder takes 16 px and the generator returns 32 px" in refused(tmp_path / "sr.pth")


# --- the convert command


def test_convert_command_writes_a_model_and_reports_its_sources(tmp_path, capsys, weights):
    torch.save({"g_ema": weights}, tmp_path / "my weights.pth")
    assert (
        main(["convert", str(tmp_path / "my weights.pth"), str(tmp_path / "m.safetensors"), "--set", "template=ffhq"])
        == 0
    )
    text = capsys.readouterr().out
    for words in (
        "settings inferred from tensor shapes:",
        "size 32",
        "attribute_injection every_conv: ",
        "template ffhq: set explicitly",
        "recognizer arcface_ir_se50",
    ):
        assert words in text
    _, metadata = load_generator(tmp_path / "m.safetensors")
    assert metadata["converted_from"]["stated"]["template"]["value"] == "ffhq"
    assert len(metadata["converted_from"]["sha256"]) == 64 and "ask their authors" in metadata["license"]


def test_convert_command_json_and_dry_run(tmp_path, capsys):
    torch.save(foreign.stylegan2_weights(SMALL), tmp_path / "a.pt")
    assert main(["convert", str(tmp_path / "a.pt"), "--dry-run", "--json"]) == 0
    dry = json.loads(capsys.readouterr().out)
    assert dry["starting_point"] and "file" not in dry and os.listdir(tmp_path) == ["a.pt"]
    assert main(["convert", str(tmp_path / "a.pt"), str(tmp_path / "b.safetensors"), "--json"]) == 0
    wet = json.loads(capsys.readouterr().out)
    assert wet["bytes"] == (tmp_path / "b.safetensors").stat().st_size
    assert {key: value for key, value in wet.items() if key in dry and key != "train"} == {
        key: value for key, value in dry.items() if key != "train"
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.pth"], "expected OUT, the file to write, after IN"),
        (["a.pth", "b.pth"], "name a .safetensors file"),
        (["a.pth", "nowhere/b.safetensors"], "does not exist"),
        (["a.safetensors", "a.safetensors"], "is the checkpoint itself"),
        (["a.pth", "b.safetensors", "--set", "template"], "expected key=value"),
        (["a.pth", "b.safetensors", "--part", "d"], "has no part 'd'; it has g_ema"),
        (["a.pth", "b.safetensors", "--format", "onnx"], "invalid choice"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, capsys, weights, words, told):
    monkeypatch.chdir(tmp_path)
    torch.save({"g_ema": weights}, "a.pth")
    assert main(["convert", *words]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == ["a.pth"]


def test_the_loader_suggests_the_convert_command(tmp_path, weights):
    torch.save(weights, tmp_path / "my weights.pth")
    with pytest.raises(StyleSwapError, match=r"styleswap convert '.*my weights\.pth' MODEL\.safetensors"):
        load_generator(tmp_path / "my weights.pth")
    save_file(weights, tmp_path / "a.safetensors")
    with pytest.raises(StyleSwapError, match="styleswap convert"):
        load_generator(tmp_path / "a.safetensors")
