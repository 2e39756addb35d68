"""Cache of rendered guides: identical pixels, whatever happens to the files."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rendered_once import render_once

from styleswap_core.inversion import guide_store, guides, render_guides
from styleswap_core.inversion.guide_store import MAX_SETS, GuideStore
from styleswap_core.io.files import user_cache_folder

COUNT, SIZE = 2, 16


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Cache folder of a test."""
    monkeypatch.setenv("STYLESWAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "guides"


@pytest.fixture
def renders(monkeypatch):
    """List that grows with every rendered face."""
    calls = []
    monkeypatch.setattr(guides, "render", lambda *given, **more: calls.append(1) or render_once(*given, **more))
    return calls


def _same(first, second):
    return torch.equal(first.crops, second.crops) and torch.equal(first.points, second.points)


def test_guides_are_rendered_once(folder, renders, monkeypatch):
    first = render_guides(COUNT, "ffhq", SIZE)
    assert len(renders) == COUNT and len(list(folder.iterdir())) == 1
    assert _same(render_guides(COUNT, "ffhq", SIZE), first) and len(renders) == COUNT
    monkeypatch.setenv("STYLESWAP_CACHE", "")
    assert _same(render_guides(COUNT, "ffhq", SIZE), first) and len(renders) == 2 * COUNT


def test_another_seed_count_template_or_renderer_is_another_set(folder, renders, monkeypatch):
    render_guides(COUNT, "ffhq", SIZE)
    for number, call in enumerate(
        (
            lambda: render_guides(COUNT, "ffhq", SIZE, 1),
            lambda: render_guides(COUNT + 1, "ffhq", SIZE),
            lambda: render_guides(COUNT, "gpen", SIZE),
        )
    ):
        before = len(renders)
        call()
        assert len(renders) > before and len(list(folder.iterdir())) == number + 2
    before = len(renders)
    monkeypatch.setattr(guide_store, "RENDERER_FINGERPRINT", "a later version")
    render_guides(COUNT, "ffhq", SIZE)
    assert len(renders) == before + COUNT


@pytest.mark.parametrize("damage", ["truncated", "corrupted", "empty", "foreign"])
def test_a_damaged_file_is_replaced(folder, renders, damage):
    first = render_guides(COUNT, "ffhq", SIZE)
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "corrupted":
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with open(path, "wb") as stream:
            np.savez(stream, pictures=np.zeros((1, 4, 4, 3), np.uint8), points=np.zeros((1, 5, 2), np.float32))
    assert _same(render_guides(COUNT, "ffhq", SIZE), first) and len(renders) == 2 * COUNT
    assert _same(render_guides(COUNT, "ffhq", SIZE), first) and len(renders) == 2 * COUNT


def test_without_a_writable_folder_guides_are_rendered_again(tmp_path, renders, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("STYLESWAP_CACHE", str(tmp_path / "file"))
    assert _same(render_guides(COUNT, "ffhq", SIZE), render_guides(COUNT, "ffhq", SIZE)) and len(renders) == 2 * COUNT


def test_the_least_recently_used_set_is_deleted_first(tmp_path):
    store = GuideStore(tmp_path / "guides")
    pictures, points = np.zeros((COUNT, SIZE, SIZE, 3), np.uint8), np.zeros((COUNT, 5, 2), np.float32)
    for number in range(MAX_SETS):
        store.save(f"set{number}", pictures, points)
        os.utime(store.folder / f"set{number}.npz", (number, number))
    assert store.load("set0", COUNT, SIZE) is not None
    store.save("new", pictures, points)
    names = {path.stem for path in store.folder.iterdir()}
    assert names == {"new", "set0", *(f"set{number}" for number in range(2, MAX_SETS))}
    assert store.load("set1", COUNT, SIZE) is None and store.load("set2", COUNT + 1, SIZE) is None


@pytest.mark.parametrize(
    ("system", "variable", "usual"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
        ("darwin", None, "Library/Caches"),
    ],
)
def test_location_of_the_cache(tmp_path, monkeypatch, system, variable, usual):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv("STYLESWAP_CACHE")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert user_cache_folder() == Path.home() / usual / "styleswap"
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
        assert user_cache_folder() == tmp_path / "styleswap"
    monkeypatch.setenv("STYLESWAP_CACHE", str(tmp_path / "mine"))
    assert user_cache_folder() == tmp_path / "mine"
