"""Columns on disk: balanced identities, exact swaps, interrupted builds, folders that are refused."""

import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.synthetic.columns import ColumnPlan, ColumnSet, build_columns

PLAN = ColumnPlan(columns=9, members=2, size=32, identities=6)


def align(points):
    return estimate_similarity(points, template_points("ffhq", 32))


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    return build_columns(tmp_path_factory.mktemp("columns") / "set", PLAN, align)


def test_every_identity_appears_equally_often():
    _, counts = np.unique(PLAN.identity_seeds(), return_counts=True)
    assert counts.sum() == 18 and counts.max() - counts.min() == 0


def test_members_differ_only_in_the_face(columns):
    outside = np.maximum(columns.masks[:, 0], columns.masks[:, 1]) == 0
    difference = np.abs(columns.images[:, 0].astype(int) - columns.images[:, 1].astype(int)).max(1)
    assert difference[outside].mean() < 1.0
    assert difference[~outside].mean() > 10.0


def test_interrupted_build_continues(columns, tmp_path):
    half = tmp_path / "half"
    build_columns(half, PLAN, align)
    done = np.load(half / "done.npy", mmap_mode="r+")
    images = np.load(half / "images.npy", mmap_mode="r+")
    done[8:], images[8:] = 0, 0
    del done, images
    with pytest.raises(StyleSwapError, match="1 of 9 columns are missing"):
        ColumnSet(half)
    again = build_columns(half, PLAN, align)
    assert np.array_equal(again.images, columns.images) and np.array_equal(again.masks, columns.masks)


def test_columns_of_another_plan_are_not_overwritten(columns):
    with pytest.raises(StyleSwapError, match="another plan"):
        build_columns(columns.folder, ColumnPlan(columns=9, members=2, size=32, identities=7), align)


def test_folder_without_columns_is_refused(tmp_path):
    with pytest.raises(StyleSwapError, match="plan.json is missing"):
        ColumnSet(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"columns": 3}', '{"jitter": 1, "columns": 3}'])
def test_a_damaged_plan_is_refused(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(StyleSwapError, match="is not a plan of `styleswap render columns`"):
        ColumnSet(tmp_path)
    with pytest.raises(StyleSwapError, match="is not a plan of `styleswap render columns`"):
        build_columns(tmp_path, PLAN, align)
