"""Figures of steadiness have known values for known points and pictures."""

import numpy as np
import pytest

from styleswap_core.metrics.moving_cases import draw_moving_cases, render_case
from styleswap_core.metrics.render_workers import RenderWorkers
from styleswap_core.metrics.steadiness import flicker, jitter, lag_frames, point_error, switches

SHAPE = np.float64([[0, 0], [50, 0], [25, 25], [5, 50], [45, 50]])


def test_jitter_is_the_movement_of_errors():
    truth = np.stack([SHAPE + np.array([3 * frame, 0]) for frame in range(400)])[:, None]
    noise = np.random.default_rng(0).normal(0, 1, truth.shape)
    # Two coordinates, and two frames; in percent of 50 px.
    assert jitter(truth + noise, truth) == pytest.approx(2 * 2, rel=0.05)
    assert jitter(truth + 7, truth) == 0.0
    assert point_error(truth + np.array([3, 4]), truth) == pytest.approx(10.0)
    gone = truth + noise
    gone[100:200] = np.nan
    assert jitter(gone, truth) == pytest.approx(2 * 2, rel=0.05)


@pytest.mark.parametrize("lag", [-1, 0, 2])
def test_lag_is_that_of_the_points(lag):
    way = np.abs(np.arange(-2, 62) % 60 - 30)
    truth = np.stack([SHAPE + np.array([2.0 * x, 0.5 * x]) for x in way])[:, None]
    error = 0.02 * (truth - truth.mean(0))
    assert lag_frames((np.roll(truth, lag, 0) + error)[4:-4], truth[4:-4]) == pytest.approx(lag, abs=0.12)


def test_switches_between_people():
    assert switches([np.array([0, 0, -1, 0, 1, 1, 0]), np.array([1, -1, 1])]) == 2


def test_flicker_of_known_pictures():
    rendered = render_case(draw_moving_cases(1, 0, 64, ["still"])[0], RenderWorkers())
    brighter = rendered.exact_frames.astype(int)
    brighter[::2] += 6
    variants = {"exact": rendered.exact_frames, "blinking": np.clip(brighter, 0, 255).astype(np.uint8)}
    variants["off"] = np.clip(rendered.exact_frames.astype(int) + 9, 0, 255).astype(np.uint8)
    found = flicker(rendered, variants)
    # Normal noise of 2.55 levels: its absolute difference is 2 / sqrt(pi) as large on average.
    assert found["exact"]["flicker"] == pytest.approx(2.55 * 2 / np.pi**0.5, rel=0.1)
    assert found["exact"]["coarse_flicker"] < 0.8 * found["exact"]["flicker"]
    assert found["blinking"]["coarse_flicker"] == pytest.approx(6, rel=0.1)
    assert found["off"]["error_flicker"] == pytest.approx(found["exact"]["error_flicker"], rel=0.05)
