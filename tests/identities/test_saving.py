"""Identities saved in a format of the user's choice, and files that exist already."""

import pytest
import torch
from toy_identities import identity

from styleswap_core.errors import StyleSwapError
from styleswap_core.identities.identity_format import load_identity
from styleswap_core.identities.reactor_files import is_face_model, load_any_identity
from styleswap_core.identities.saving import NUMBER, OVERWRITE, REACTOR, STOP, path_to_write, save_identity_as

PORTRAIT = torch.zeros(3, 512, 512, dtype=torch.uint8)


def test_the_file_holds_a_portrait_only_on_request(tmp_path):
    path = tmp_path / "anna.safetensors"
    anna = identity(portrait=PORTRAIT)
    save_identity_as(path, anna)
    assert load_identity(path).portrait is None and not is_face_model(path)
    save_identity_as(path, anna, portrait=True)
    assert load_identity(path).portrait is not None
    save_identity_as(path, anna, REACTOR)
    assert is_face_model(path) and torch.allclose(load_any_identity(path).id_embedding, anna.id_embedding)


@pytest.mark.parametrize(
    ("made", "file_format", "portrait", "message"),
    [
        (identity(), "StyleSwap identity", True, "no portrait to save"),
        (identity(portrait=PORTRAIT), REACTOR, True, "a ReActor face model has no portrait"),
        (identity(recognizer="other"), REACTOR, True, "a ReActor face model has no portrait"),
        (identity(recognizer="other"), REACTOR, False, "needs an embedding of w600k_r50"),
        (identity(), "pickle", False, "expected a file format out of StyleSwap identity, ReActor face model"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, made, file_format, portrait, message):
    with pytest.raises(StyleSwapError, match=message):
        save_identity_as(tmp_path / "anna.safetensors", made, file_format, portrait)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists(tmp_path):
    path = tmp_path / "anna.safetensors"
    assert [path_to_write(path, choice) for choice in (NUMBER, OVERWRITE, STOP)] == [path] * 3
    path.touch()
    (tmp_path / "anna_2.safetensors").symlink_to("nowhere")
    assert path_to_write(path, NUMBER).name == "anna_3.safetensors" and path_to_write(path, OVERWRITE) == path
    with pytest.raises(StyleSwapError, match="anna.safetensors already exists"):
        path_to_write(path, STOP)
