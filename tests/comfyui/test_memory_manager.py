"""The generator under ComfyUI's memory manager when memory runs out."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from comfy_server import PACK, find_comfyui

PROBE = Path(__file__).with_name("memory_probe.py")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder, python = find_comfyui()
    base = tmp_path_factory.mktemp("memory")
    (base / "custom_nodes").mkdir()
    done = subprocess.run(
        [python, PROBE, folder, PACK, base],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_generator_is_managed(result):
    assert result["managed"]


def test_baked_identities_are_kept_until_the_generator_is_unloaded(result):
    assert result["baked"] == [2, 0]


def test_a_batch_is_halved_until_it_fits_with_the_same_result(result):
    assert result["attempts"][:5] == [5, 2, 3, 1, 2]
    assert result["difference"] < 1e-4


def test_not_enough_memory_for_one_face_is_an_error(result):
    assert result["attempts"][5:] == [2, 1] and "not enough memory" in result["message"]
