"""Renders compared with stored ones, so that a changed renderer cannot keep its version.

After a change that is meant to alter pictures: increment `RENDERER_VERSION` and run this file to store new renders.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from styleswap_core.synthetic.fingerprint import RENDERER_VERSION
from styleswap_core.synthetic.parameters import BACKGROUNDS, HAIR_STYLES, Attributes, Identities
from styleswap_core.synthetic.world import Rendered, render

STORED = Path(__file__).with_name("renderer_reference.npz")
SIZE = 128
CELL = 8
STORE = "increment RENDERER_VERSION in styleswap_core/synthetic/fingerprint.py and run this file"


def render_faces() -> Rendered:
    """Nine faces that show every hair style and background; some have glasses, an occluder, a beard, an open mouth."""
    fields = Attributes.from_seeds(range(len(HAIR_STYLES))).fields
    row = torch.arange(len(HAIR_STYLES)).unsqueeze(1).float()
    changed = {
        "hair_style": row,
        "background": row % len(BACKGROUNDS),
        "glasses": (row % 3 == 1) * 0.8,
        "occluder": (row % 4 == 2) * 0.8,
        "beard": (row % 4 == 3) * 0.7,
        "lipstick": (row % 3 == 0) * 0.6,
        "mouth_open": (row % 2) * 0.7,
    }
    attributes = Attributes({**fields, **changed}, torch.arange(len(HAIR_STYLES)))
    return render(Identities.from_seeds(range(len(HAIR_STYLES))), attributes, SIZE)


def summarize(shown: Rendered) -> dict[str, np.ndarray]:
    """Cell means of picture, mask and depth, and the landmarks: what rounding on another processor hardly moves."""
    maps = torch.cat([shown.image * 127.5, shown.face_mask * 255, shown.depth * 25], dim=1)
    return {"cells": F.avg_pool2d(maps, CELL).half().numpy(), "landmarks": shown.landmarks.numpy()}


def test_renders_are_those_of_the_stated_version():
    with np.load(STORED) as stored:
        expected = {name: stored[name] for name in stored.files}
    assert expected.pop("version") == RENDERER_VERSION, "the stored renders are of another version: run this file"
    found = summarize(render_faces())
    difference = np.abs(found["cells"].astype(np.float32) - expected["cells"])
    # Between instruction sets the mean differs by 1e-7 of 255 levels; freckles 6 % darker make 9e-4. Where rounding
    # moves a ray to the other side of an edge, one cell changes by about one level, which adds 7e-5 to the mean.
    assert difference.max() < 2, f"pictures changed; {STORE}"
    assert difference.mean() < 5e-4, f"pictures changed; {STORE}"
    np.testing.assert_allclose(found["landmarks"], expected["landmarks"], atol=1e-3, err_msg=STORE)


if __name__ == "__main__":
    if STORED.exists() and np.load(STORED)["version"] == RENDERER_VERSION:
        sys.exit(f"{STORED} holds version {RENDERER_VERSION} already; increment RENDERER_VERSION first")
    np.savez_compressed(STORED, version=RENDERER_VERSION, **summarize(render_faces()))
