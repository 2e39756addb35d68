"""`styleswap render`."""

import json

import numpy as np
import pytest
from PIL import Image

from styleswap_core import cli
from styleswap_core.synthetic.columns import ColumnSet
from styleswap_core.synthetic.parameters import IDENTITY_SEEDS


def render(*words: str) -> int:
    return cli.main(["render", *words])


def test_sheet(folder):
    assert render("sheet", "--out", "new/sheet.png", "--identities", "2", "--attributes", "3", "--size", "32") == 0
    assert Image.open(folder / "new/sheet.png").width > 3 * 32


def test_pictures_with_ground_truth(folder):
    assert render("pictures", "--out", "faces", "--count", "2", "--size", "32") == 0
    ground_truth = json.loads((folder / "faces/pictures.json").read_text())
    assert [row["picture"] for row in ground_truth] == ["00000.png", "00001.png"]
    assert {path.name for path in (folder / "faces").iterdir()} == {
        "pictures.json",
        "00000.png",
        "00000_mask.png",
        "00001.png",
        "00001_mask.png",
    }
    assert np.asarray(ground_truth[0]["points"]).shape == (5, 2)


def test_columns_are_training_data(folder):
    options = ["--columns", "2", "--members", "2", "--size", "32", "--split", "validation", "--workers", "1"]
    assert render("columns", "--out", "columns", *options) == 0
    columns = ColumnSet(folder / "columns")
    assert columns.images.shape == (2, 2, 3, 32, 32)
    assert all(int(seed) in IDENTITY_SEEDS["validation"] for seed in np.asarray(columns.identity_seeds).ravel())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sheet", "--out", "a.png", "--size", "7"], "from 16"),
        (["sheet", "--out", "a.png", "--size", "33"], "even number"),
        (["sheet", "--out", "a.gif"], ".png"),
        (["pictures", "--out", "a", "--count", "1000000000"], "request fewer"),
        (["columns", "--out", "a", "--template", "oval"], "oval"),
        (["columns", "--out", "a", "--template", "recognizer"], "--size 112"),
        (["columns", "--out", "a", "--identities", "1000000000"], "request fewer"),
    ],
)
def test_invalid_options(words, message, error_of, folder):
    assert message in error_of("render", *words)
    assert list(folder.iterdir()) == []
