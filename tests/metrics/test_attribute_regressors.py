"""Regressor files, units of the estimates, and errors between estimates."""

import pytest
import torch
from safetensors.torch import save_file

from styleswap_core.errors import StyleSwapError
from styleswap_core.metrics.attribute_regressors import (
    AttributeRegressor,
    RegressorConfig,
    expression_error,
    gaze_error_deg,
    load_regressor,
    pose_error_deg,
    save_regressor,
)


def test_errors_of_known_estimates():
    assert pose_error_deg(torch.tensor([[3.0, 4.0, 0.0]]), torch.zeros(1, 3)).item() == 5
    assert gaze_error_deg(torch.tensor([[5.0, 12.0]]), torch.zeros(1, 2)).item() == 13
    assert expression_error(torch.tensor([[0.3, -0.1]]), torch.zeros(1, 2)).item() == pytest.approx(0.2)


def test_estimates_are_in_the_units_of_the_labels():
    regressor = AttributeRegressor(RegressorConfig(size=32, expressions=4)).eval()
    regressor.mean.copy_(torch.arange(9.0))
    regressor.spread.zero_()
    estimate = regressor(torch.zeros(2, 3, 32, 32))
    assert estimate.pose.tolist() == [[0, 1, 2]] * 2
    assert estimate.expression.tolist() == [[3, 4, 5, 6]] * 2
    assert estimate.gaze.tolist() == [[7, 8]] * 2


def test_file_round_trip(tmp_path):
    torch.manual_seed(0)
    regressor = AttributeRegressor(RegressorConfig(size=64, expressions=5)).eval()
    path = tmp_path / "regressors.safetensors"
    save_regressor(path, regressor)
    loaded = load_regressor(path)
    assert loaded.config == regressor.config and not loaded.training
    crops = torch.rand(2, 3, 100, 100) * 2 - 1
    with torch.no_grad():
        for stored, original in zip(loaded(crops), regressor(crops), strict=True):
            # Weights are stored in half precision.
            torch.testing.assert_close(stored, original, atol=2e-3, rtol=2e-2)


def test_the_network_is_small(tmp_path):
    regressor = AttributeRegressor()
    assert sum(p.numel() for p in regressor.parameters()) <= 400_000
    save_regressor(tmp_path / "r.safetensors", regressor)
    assert (tmp_path / "r.safetensors").stat().st_size <= 1_500_000


def test_damaged_missing_and_foreign_files_are_refused(tmp_path):
    foreign, damaged, altered = (tmp_path / f"{name}.safetensors" for name in ("foreign", "damaged", "altered"))
    save_file({"a": torch.zeros(1)}, str(foreign))
    damaged.write_bytes(b"not a tensor file")
    # The configuration belongs to a network of another size.
    save_regressor(altered, AttributeRegressor(RegressorConfig(size=32)), {"config": '{"size": 64}'})
    missing = tmp_path / "missing.safetensors"
    for path, advice in (*((path, "train-regressors") for path in (foreign, damaged, altered)), (missing, "check the")):
        with pytest.raises(StyleSwapError, match=advice):
            load_regressor(path)
