"""File format of identities: exact round trips, damaged files, a full disk."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from toy_identities import identity

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.identity_format import load_identity, save_identity


def test_norm_and_portrait_are_saved(tmp_path):
    portrait = torch.randint(0, 256, (3, 512, 512), dtype=torch.uint8)
    points = torch.rand(5, 2) * 512
    made = identity(embedding_norm=21.25, portrait=portrait, portrait_points=points)
    path = tmp_path / "a.safetensors"
    save_identity(path, made)
    loaded = load_identity(path)
    assert loaded.embedding_norm == 21.25
    assert torch.equal(loaded.portrait, portrait) and torch.equal(loaded.portrait_points, points)
    save_identity(path, made, portrait=False)
    assert load_identity(path).portrait is None and load_identity(path).embedding_norm == 21.25
    assert path.stat().st_size < 4096


def test_files_without_norm_and_portrait_load_as_before(tmp_path):
    path = tmp_path / "old.safetensors"
    metadata = {"format": "styleswap-identity", "format_version": "1", "recognizer": "w600k_r50", "sources": "[]"}
    path.write_bytes(save({"id_embedding": torch.ones(512) / 512**0.5}, metadata))
    loaded = load_identity(path)
    assert (loaded.embedding_norm, loaded.portrait, loaded.portrait_points) == (0.0, None, None)
    assert loaded.recognizer.dimension == 512


def test_embeddings_of_another_length_are_saved_with_it(tmp_path):
    path = tmp_path / "sface.safetensors"
    save_identity(path, Identity(torch.ones(128), RecognizerId("sface", "a" * 64, 128)))
    loaded = load_identity(path)
    assert loaded.id_embedding.shape == (128,) and loaded.recognizer == RecognizerId("sface", "a" * 64, 128)


def test_recognizers_whose_file_names_are_not_utf_8(tmp_path):
    made = identity(recognizer="r\udcff", sha="a" * 64)
    save_identity(tmp_path / "a.safetensors", made)
    loaded = load_identity(tmp_path / "a.safetensors")
    assert loaded.recognizer.name == "r\\udcff" and loaded.recognizer.matches(made.recognizer)


@pytest.mark.parametrize("with_w_plus", [False, True])
def test_round_trips_through_files_are_exact(tmp_path, with_w_plus):
    more = {"w_plus": torch.randn(6, 32), "generator_sha256": "c" * 64} if with_w_plus else {}
    made = identity(sources=("d" * 64, "e" * 64), **more)
    save_identity(tmp_path / "a.safetensors", made)
    loaded = load_identity(tmp_path / "a.safetensors")
    assert torch.equal(loaded.id_embedding, made.id_embedding)
    assert (loaded.w_plus is None) == (not with_w_plus)
    assert not with_w_plus or torch.equal(loaded.w_plus, made.w_plus)
    for field in ("recognizer", "sources", "generator_sha256"):
        assert getattr(loaded, field) == getattr(made, field)


def _spoil(change):
    def write(path):
        save_identity(path, identity())
        with safe_open(str(path), "pt") as stream:
            metadata = dict(stream.metadata())
        tensors = load_file(path)
        change(tensors, metadata)
        save_file(tensors, path, metadata)

    return write


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"nothing"), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: (save_identity(path, identity()), path.write_bytes(path.read_bytes()[:-9])), "damaged"),
        (lambda path: save_file({"x": torch.zeros(1)}, path), "not an identity"),
        (_spoil(lambda tensors, metadata: metadata.update(format_version="2")), "format '2'"),
        (_spoil(lambda tensors, metadata: metadata.update(format_version="x")), "format 'x'"),
        (_spoil(lambda tensors, metadata: metadata.update(sources="{")), "metadata"),
        (_spoil(lambda tensors, metadata: tensors.update(id_embedding=torch.ones(64))), "embedding"),
        (
            _spoil(lambda tensors, metadata: tensors.update(id_embedding=torch.zeros(512))),
            r"a\.safetensors: .*not zero",
        ),
        (_spoil(lambda tensors, metadata: metadata.update(embedding_norm="nan")), r"a\.safetensors: .*norm"),
        (_spoil(lambda tensors, metadata: tensors.update(other=tensors.pop("id_embedding"))), "no id_embedding"),
    ],
)
def test_unusable_files_are_refused(tmp_path, write, words):
    path = tmp_path / "a.safetensors"
    write(path)
    with pytest.raises(StyleSwapError, match=words) as caught:
        load_identity(path)
    assert "\n" not in str(caught.value)


def test_saving_requires_the_suffix(tmp_path):
    with pytest.raises(StyleSwapError, match="safetensors"):
        save_identity(tmp_path / "a.bin", identity())
    assert list(tmp_path.iterdir()) == []


def test_metadata_is_plain_json(tmp_path):
    save_identity(tmp_path / "a.safetensors", identity(sources=("d" * 64,)))
    with safe_open(str(tmp_path / "a.safetensors"), "pt") as stream:
        metadata = stream.metadata()
    assert metadata["format"] == "styleswap-identity" and json.loads(metadata["sources"]) == ["d" * 64]


def test_a_full_disk_is_reported_and_leaves_no_partial_file(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    path = tmp_path / "anna.safetensors"
    save_identity(path, Identity(torch.ones(512), RecognizerId("any")))
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StyleSwapError, match=r"anna.safetensors: No space left on device; make room"):
        save_identity(path, Identity(torch.arange(512.0), RecognizerId("any")))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
