"""Training of the attribute regressors on a small folder of columns."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from styleswap_core.demo_pack.regressors.regressor_training import (
    RegressorTraining,
    column_labels,
    train_regressors,
    validate,
)
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.metrics.attribute_regressors import load_regressor
from styleswap_core.synthetic.columns import ColumnPlan, ColumnSet, build_columns

QUICK = RegressorTraining(steps=6, batch=8, size=32)


def align(points):
    return estimate_similarity(points, template_points("ffhq", 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regressors") / "columns"
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    build_columns(folder, ColumnPlan(columns=24, members=2, size=32, identities=8), align)
    torch.set_num_threads(torch_threads)
    return folder


def test_roll_labels_are_relative_to_the_crop(folder):
    columns = ColumnSet(folder)
    labels = column_labels(columns)
    assert labels.shape == (24, 3 + 6 + 2)
    # The slope of the line between the eyes is the roll if the head faces the camera.
    eyes = np.asarray(columns.points[:, 0, 1] - columns.points[:, 0, 0])
    slope = -np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0]))
    facing = np.abs(np.asarray(columns.pose[:, 0])) < 10
    assert facing.sum() >= 5
    assert np.abs(labels[:, 2].numpy() - slope)[facing].max() < 6
    assert np.abs(labels[:, 2].numpy()).mean() < np.abs(np.asarray(columns.pose[:, 2])).mean()
    np.testing.assert_allclose(labels[:, :2].numpy(), columns.pose[:, :2], atol=1e-5)


def test_equal_seeds_give_equal_files(folder, tmp_path):
    figures = train_regressors(folder, tmp_path / "a.safetensors", QUICK)
    again = train_regressors(folder, tmp_path / "b.safetensors", QUICK)
    assert figures == again and figures["steps"] == 6
    first, second = load_regressor(tmp_path / "a.safetensors"), load_regressor(tmp_path / "b.safetensors")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    with safe_open(tmp_path / "a.safetensors", "pt") as stream:
        assert stream.metadata()["domain"] == "synthetic"


def test_training_learns(folder, tmp_path):
    columns = ColumnSet(folder)
    labels = column_labels(columns)
    errors = []
    for steps in (2, 150):
        train_regressors(folder, tmp_path / "a.safetensors", RegressorTraining(steps=steps, batch=16, size=32))
        regressor = load_regressor(tmp_path / "a.safetensors")
        errors.append(validate(regressor, columns, labels, range(20), torch.device("cpu")))
    # Measured on the training columns.
    for key, untrained in errors[0].items():
        assert errors[1][key] < 0.5 * untrained, key


def test_bad_input_is_refused_before_training(folder, tmp_path):
    with pytest.raises(StyleSwapError, match="create it first"):
        train_regressors(folder, tmp_path / "absent" / "a.safetensors", QUICK)
    with pytest.raises(StyleSwapError, match="render columns"):
        train_regressors(tmp_path, tmp_path / "a.safetensors", QUICK)
