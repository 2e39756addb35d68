"""Workflows saved with earlier releases still load and give the same pixels.

`golden/RELEASE/NAME.json` (UI format) and `NAME.api.json` are never changed. `NAME.png` is their result; `make golden`
renders it again after an intended change of the demo model or the face world.
"""

import json

import numpy as np
import pytest
from PIL import Image
from workflow_files import GOLDEN, only, to_prompt

# Out of 255. Versions of torch round differently, which may flip single pixels at the edge of a mask.
MEAN_TOLERANCE = 0.5
PERCENTILE, PERCENTILE_TOLERANCE = 99.5, 6

# Nodes that no release has had; each gets a golden workflow when it is released.
UNRELEASED = {
    f"StyleSwap_{name}" for name in ("LoadFaceMasks", "SwapVideo", "QuickSwap", "AlignFaces", "PasteFaces", "FaceMask")
}

CASES = sorted(path for path in GOLDEN.glob("*/*.json") if not path.name.endswith(".api.json"))


def _name(path):
    return f"{path.parent.name}-{path.stem}"


def _api(path):
    return json.loads(path.with_suffix(".api.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CASES, ids=_name)
def test_a_saved_workflow_still_means_the_same(node_infos, path):
    """Widgets added later come last and have their defaults; nothing else may differ."""
    saved = _api(path)
    now = to_prompt(json.loads(path.read_text(encoding="utf-8")), node_infos)
    assert now.keys() == saved.keys()
    for key, node in saved.items():
        info = node_infos[node["class_type"]]["input"]
        declared = {**info.get("required", {}), **info.get("optional", {})}
        for name, value in now[key]["inputs"].items():
            expected = node["inputs"][name] if name in node["inputs"] else declared[name][1]["default"]
            assert value == expected, f"{node['class_type']}.{name}"
        assert node["inputs"].keys() <= now[key]["inputs"].keys()


@pytest.mark.parametrize("path", CASES, ids=_name)
def test_a_saved_workflow_gives_the_same_pixels(server, path):
    prompt = _api(path)
    result = server.run(prompt).pixels(only(prompt, "StyleSwap_SaveImage"))
    with Image.open(path.with_suffix(".png")) as picture:
        expected = np.asarray(picture.convert("RGB"))
    # A batch is stored as one tall image.
    difference = np.abs(result.reshape(expected.shape).astype(int) - expected)
    assert difference.mean() <= MEAN_TOLERANCE
    assert np.percentile(difference, PERCENTILE) <= PERCENTILE_TOLERANCE


def test_every_released_node_is_in_a_golden_workflow(own_nodes):
    kept = {node["class_type"] for path in CASES for node in _api(path).values()}
    assert {name for name in kept if name in own_nodes} == set(own_nodes) - UNRELEASED
