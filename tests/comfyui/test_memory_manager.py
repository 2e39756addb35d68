"""The generator under ComfyUI's memory manager, where memory does not suffice."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from comfy_server import PACK, find_comfyui

PROBE = Path(__file__).with_name("memory_probe.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
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


def test_the_manager_knows_the_generator(told):
    assert told["managed"]


def test_baked_identities_are_kept_until_the_generator_is_unloaded(told):
    assert told["baked"] == [2, 0]


def test_a_batch_is_halved_until_it_fits_and_nothing_changes(told):
    assert told["attempts"][:5] == [5, 2, 3, 1, 2]
    assert told["difference"] < 1e-4


def test_not_even_one_face_is_said_in_a_sentence(told):
    assert told["attempts"][5:] == [2, 1] and "not enough memory" in told["message"]
