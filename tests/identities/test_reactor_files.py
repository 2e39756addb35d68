"""Face models of ReActor: reading and writing."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.identity_format import save_identity
from styleswap_core.identities.reactor_files import FIELDS, identity_of_face, load_any_identity, save_face_model


def embedding(seed=0):
    return torch.randn(512, generator=torch.Generator().manual_seed(seed))


def test_face_models_tell_the_norm_of_their_embedding(tmp_path):
    raw = torch.nn.functional.normalize(embedding(3), dim=0) * 22.5
    assert identity_of_face({"embedding": raw.numpy()}).embedding_norm == pytest.approx(22.5, rel=1e-5)
    known, unknown = (Identity(embedding(1), RecognizerId("w600k_r50"), embedding_norm=norm) for norm in (22.5, 0.0))
    for made, norm in ((known, 22.5), (unknown, 0.0)):
        save_face_model(tmp_path / "face.safetensors", made)
        loaded = load_any_identity(tmp_path / "face.safetensors")
        assert loaded.embedding_norm == pytest.approx(norm, rel=1e-5)
        assert torch.allclose(loaded.id_embedding, made.id_embedding, atol=1e-6)


def test_face_models_load(tmp_path):
    path = tmp_path / "anna.safetensors"
    tensors = {
        name: torch.zeros(shape, dtype=torch.int64 if name in ("gender", "age") else torch.float32)
        for name, shape in FIELDS.items()
    }
    save_file({**tensors, "embedding": 22 * embedding()}, path)
    identity = load_any_identity(path)
    assert identity.recognizer == RecognizerId("w600k_r50")
    assert torch.allclose(identity.id_embedding, torch.nn.functional.normalize(embedding(), dim=0), atol=1e-6)


def test_written_face_models_have_all_fields_that_reactor_requires(tmp_path):
    path = tmp_path / "anna.safetensors"
    identity = Identity(embedding(), RecognizerId("w600k_r50", "c" * 64))
    save_face_model(path, identity)
    with safe_open(path, "pt") as stream:
        assert stream.metadata() is None
        read = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not iterable
    assert {name: tuple(value.shape) for name, value in read.items()} == FIELDS
    assert read["gender"].dtype == torch.int64 and read["embedding"].dtype == torch.float32
    assert torch.allclose(load_any_identity(path).id_embedding, identity.id_embedding, atol=1e-6)


def test_face_models_may_state_the_format_of_another_program(tmp_path):
    path = tmp_path / "anna.safetensors"
    save_file({"embedding": embedding()}, path, {"format": "pt"})
    assert load_any_identity(path).recognizer.name == "w600k_r50"


def test_identity_files_load_through_the_same_function(tmp_path):
    path = tmp_path / "anna.safetensors"
    identity = Identity(embedding(), RecognizerId("any", "d" * 64), ("e" * 64,))
    save_identity(path, identity)
    loaded = load_any_identity(path)
    assert torch.equal(loaded.id_embedding, identity.id_embedding) and loaded.sources == identity.sources


def test_face_models_in_memory():
    face = {"embedding": embedding().numpy(), "bbox": np.zeros(4)}
    assert identity_of_face(face).recognizer == RecognizerId("w600k_r50")
    for wrong in ({}, {"embedding": None}, "anna", None, torch.zeros(3)):
        with pytest.raises(StyleSwapError, match="face model"):
            identity_of_face(wrong)
    for numbers in ([[1.0], [1.0, 2.0]], "ab", [None] * 512):
        with pytest.raises(StyleSwapError, match="of (finite )?numbers"):
            identity_of_face({"embedding": numbers})
    with pytest.raises(StyleSwapError, match="512 numbers.*has 128"):
        identity_of_face({"embedding": np.ones(128, np.float32)})


def test_unusable_identities_and_files_are_refused(tmp_path):
    with pytest.raises(StyleSwapError, match=r"buffalo_l.*arcface_demo"):
        save_face_model(tmp_path / "anna.safetensors", Identity(embedding(), RecognizerId("arcface_demo")))
    with pytest.raises(StyleSwapError, match=r".safetensors"):
        save_face_model(tmp_path / "anna.pt", Identity(embedding(), RecognizerId("w600k_r50")))
    assert not list(tmp_path.iterdir())
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(StyleSwapError, match="damaged"):
        load_any_identity(tmp_path / "broken.safetensors")
    save_file({"embedding": torch.full((512,), torch.nan)}, tmp_path / "nan.safetensors")
    with pytest.raises(StyleSwapError, match=r"nan\.safetensors: expected an embedding of finite numbers"):
        load_any_identity(tmp_path / "nan.safetensors")
    with pytest.raises(StyleSwapError, match="does not exist"):
        load_any_identity(tmp_path / "gone.safetensors")
