"""Limits that are checked before a file is read: its kind, and the size and depth of JSON."""

import os
from pathlib import Path

import pytest

from styleswap_core.checkpoints import load_generator
from styleswap_core.checkpoints.foreign_files import read_foreign
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.onnx_summary import summarize_onnx
from styleswap_core.identities.reactor_files import load_any_identity
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import load_image
from styleswap_core.io.json_text import MAX_JSON_DEPTH, parse_json, read_json, require_table
from styleswap_core.metrics.pair_files import read_pairs
from styleswap_core.training.config_values import read_values
from styleswap_core.training.training_state import read_checkpoint

READERS = (
    load_image,
    load_generator,
    read_foreign,
    summarize_onnx,
    load_any_identity,
    file_sha256,
    read_pairs,
    read_values,
    read_checkpoint,
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on Windows")
@pytest.mark.parametrize("read", READERS)
def test_only_regular_files_are_opened(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, words in (
        (tmp_path / "pipe", "is a pipe or a device; name a regular file"),
        (Path("/dev/zero"), "is a pipe or a device; name a regular file"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path, "does not exist or is a folder"),
        (tmp_path / "none", "does not exist or is a folder"),
    ):
        with pytest.raises(StyleSwapError, match=words):
            read(path)


@pytest.mark.parametrize(
    "text",
    ["[" * (MAX_JSON_DEPTH + 1) + "]" * (MAX_JSON_DEPTH + 1), "[" * 100_000, '{"a":' * 5_000, "9" * 5_000, "{", ""],
)
def test_hostile_json_is_one_sentence(tmp_path, text):
    with pytest.raises(StyleSwapError, match=r"^a\.json is damaged \(.+\); replace it$"):
        parse_json(text, "a.json is damaged", "replace it")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StyleSwapError, match=r"^a\.json is damaged \(.+\); replace it$"):
        read_json(tmp_path / "a.json", "a.json is damaged", "replace it")


def test_json_within_the_limits_is_read():
    deep = "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH
    assert parse_json(deep, "", "") is not None
    # Brackets in texts are no nesting.
    assert parse_json('["' + "[" * 1000 + '\\"{"]', "", "") == ["[" * 1000 + '"{']


def test_entries_of_another_kind_are_named():
    for value, words in (
        ([], "got list"),
        ({}, "n is missing"),
        ({"n": "1"}, "n is of the kind str"),
        ({"n": True}, "n is"),
    ):
        with pytest.raises(StyleSwapError, match=words):
            require_table(value, "damaged", "replace it", n=int)
