"""Reports as JSON and as a table, and the cases on the contact sheet."""

import json
import math

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.metrics.bounds import Bound
from styleswap_core.metrics.evaluation_report import Report, check_out, markdown_table, sheet_path, write_report
from styleswap_core.metrics.evaluation_sheet import SWAP_COLUMNS, SwapRow, best_median_worst, swap_sheet

REPORT = Report(
    {"psnr": 28.125, "psnr_floor": 21.0, "extra": math.nan},
    {"suite": "synthetic", "count": 4},
    {"psnr": Bound(">=", 27.5, "31"), "ssim": Bound(">=", 0.88, "0.94")},
    np.zeros((8, 8, 3), np.uint8),
)


def test_json_is_flat_and_contains_no_nan(tmp_path):
    out = tmp_path / "figures.json"
    write_report(REPORT, out)
    assert json.loads(out.read_text()) == {
        "suite": "synthetic",
        "count": 4,
        "psnr": 28.125,
        "psnr_floor": 21.0,
        "extra": None,
    }
    assert sheet_path(out).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "figures.png"]


def test_rows_of_the_table():
    lines = markdown_table(REPORT).splitlines()
    assert lines[2] == "| `psnr` | 21.0 | 28.1 |  | >= 27.5 | 31 | yes |"
    assert lines[3] == "| `extra` |  |  |  |  |  |  |"


def test_a_bound_without_a_figure_fails():
    assert [(verdict.key, verdict.passed) for verdict in REPORT.verdicts()] == [("psnr", True), ("ssim", False)]


def test_invalid_output_paths(tmp_path):
    with pytest.raises(StyleSwapError, match=".json"):
        check_out(tmp_path / "figures.txt")
    with pytest.raises(StyleSwapError, match="create it first"):
        check_out(tmp_path / "absent" / "figures.json")


def test_best_median_and_worst_cases_are_distinct():
    values = torch.tensor([5.0, 1.0, 9.0, math.nan, 7.0, 3.0])
    assert best_median_worst(values, 1) == [("best", 2), ("median", 0), ("worst", 1)]
    assert best_median_worst(torch.tensor([2.0, 1.0]), 3) == [("best", 0), ("best", 1)]
    assert best_median_worst(torch.tensor([math.nan]), 3) == []


def test_sheet_shows_the_amplified_error():
    gray, lighter = torch.zeros(3, 8, 8), torch.full((3, 8, 8), 20 / 127.5)
    row = SwapRow("best\n1 dB", gray, gray, lighter, gray, torch.ones(1, 8, 8))
    pictures = row.pictures()
    assert len(pictures) == len(SWAP_COLUMNS)
    # A difference of 20 levels, amplified by 4.
    assert pictures[-1].min() == pictures[-1].max() == 80
    assert pictures[-2].min() == 255
    sheet = swap_sheet([row], cell=32)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
