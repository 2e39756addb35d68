"""Parts of the inversion: settings, guides, views, trust region, chart."""

import itertools
import math

import pytest
import torch

from styleswap_core.devices import Precision
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import recognizer_crop, template_points
from styleswap_core.inversion import InversionSettings, InvertibleGenerator, inversion_settings, render_guides
from styleswap_core.inversion.curve import curve_picture, grid_lines
from styleswap_core.inversion.guides import shuffled_batches, split_held_out
from styleswap_core.inversion.objective import VIEW_PARAMETERS, varied_views
from styleswap_core.inversion.optimization import ENDED, Outcome
from styleswap_core.inversion.trust_region import TrustRegion

SIZE = 16


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": -1},
        {"steps": 10**6},
        {"trust": -0.1},
        {"trust": 1.1},
        {"trust": math.nan},
        {"seed": -1},
        {"guide_batch": 0},
        {"views": 0},
        {"patience": 0},
        {"rendered_guides": 1},
        {"precision": "fp8"},
        {"learning_rate": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StyleSwapError, match="expected"):
        InversionSettings(**wrong)


def test_the_learning_rate_warms_up_and_decays_to_zero():
    settings = InversionSettings(steps=50, warmup=0.2)
    factors = [settings.learning_rate_factor(step) for step in range(51)]
    assert 0 < factors[0] < factors[5] < factors[9] < factors[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert factors[30] == pytest.approx(0.5) and factors[50] == pytest.approx(0.0)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_a_requested_precision_is_used(precision, dtype):
    assert InversionSettings(precision=precision).chosen_precision(torch.device("cpu")).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_automatic_precision_follows_the_device(monkeypatch, dtype):
    asked = []

    def choose(device, task, requested):
        asked.append((device.type, task, requested))
        return Precision(dtype, "test")

    monkeypatch.setattr(inversion_settings, "choose_precision", choose)
    assert InversionSettings().chosen_precision(torch.device("cpu")).dtype == dtype
    assert asked == [("cpu", "inversion", "auto")]


@pytest.mark.parametrize(("count", "held_out"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (8, 2), (17, 4), (100, 25)])
def test_guides_are_split_without_overlap(count, held_out):
    train, held = split_held_out(count, 0.25)
    assert len(held) == held_out and sorted(train + held) == list(range(count))


def test_batches_draw_every_row_before_any_recurs():
    batches = shuffled_batches(list(range(5)), 2, torch.Generator().manual_seed(0))
    drawn = [next(batches) for _ in range(10)]
    assert all(len(set(batch)) == 2 for batch in drawn)
    flat = [row for batch in drawn for row in batch]
    assert all(flat.count(row) == 4 for row in range(5))
    assert next(shuffled_batches([7], 4, torch.Generator().manual_seed(0))) == [7]


def test_rendered_guides_are_aligned_and_reproducible():
    first, again, other = (render_guides(2, "ffhq", SIZE, seed) for seed in (0, 0, 1))
    assert torch.equal(first.crops, again.crops) and not torch.equal(first.crops, other.crops)
    center = template_points("ffhq", SIZE).mean(0).expand(2, 2)
    torch.testing.assert_close(first.points.mean(1), center, atol=1e-3, rtol=0)


def test_views_differ_and_without_variation_equal_the_plain_crop():
    image, points = torch.rand(2, 3, 32, 32) * 2 - 1, template_points("ffhq", 32).expand(2, 5, 2)
    plain = recognizer_crop(image, points)
    unvaried = varied_views(image, points, torch.zeros(2, 3, VIEW_PARAMETERS), 112)
    torch.testing.assert_close(unvaried, plain.repeat_interleave(3, dim=0), atol=1e-4, rtol=0)
    varied = varied_views(
        image, points, torch.randn(2, 3, VIEW_PARAMETERS, generator=torch.Generator().manual_seed(0)), 112
    )
    assert varied.shape == (6, 3, 112, 112) and (varied[0] - varied[1]).abs().mean() > 0.01


def test_gradients_reach_the_picture_through_a_view():
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    varied_views(image, template_points("ffhq", 32)[None], torch.randn(1, 2, VIEW_PARAMETERS), 112).sum().backward()
    assert image.grad.abs().sum() > 0


def test_trust_region_measures_confines_and_penalizes(generator, person):
    network = InvertibleGenerator(generator)
    region = TrustRegion.around(network, person, 0.5)
    assert region.center.shape == (generator.num_ws, 16) and region.unit > 0 and region.radius == 0.5
    offset = torch.zeros_like(region.center)
    offset[0, 0], offset[1, 1] = 3 * region.unit, 0.25 * region.unit
    assert region.distance(offset) == pytest.approx(3.25 / len(offset))
    assert float(region.penalty(offset)) == pytest.approx(0.5 * (9 + 0.0625) / len(offset))
    region.confine(offset)
    assert offset[0].norm() == pytest.approx(0.5 * region.unit) and offset[1].norm() == pytest.approx(
        0.25 * region.unit
    )
    assert TrustRegion.around(network, person, 0.0).radius == math.inf
    assert TrustRegion.around(network, person, 1.0).radius == 0.0


@pytest.mark.parametrize("curve", [[(0, 0.5)], [(0, 0.5), (10, 0.7), (20, 0.69)], [(0, math.nan), (10, 0.2)]])
@pytest.mark.parametrize("held_out", [0, 4])
def test_the_chart_is_drawn(curve, held_out):
    outcome = Outcome(torch.zeros(2, 2), ENDED, 20, 10, 0.5, 0.7, curve, 0.1, 0.5, 12, held_out, 1.0, False)
    picture = curve_picture(outcome, 320, 200)
    assert picture.shape == (200, 320, 3) and picture.std() > 1


@pytest.mark.parametrize(("low", "high"), [(0.9008, 0.9508), (-0.13, 0.87), (0.0312, 0.0412), (0.2, 137.0)])
def test_labels_of_the_chart_are_the_values_of_its_lines(low, high):
    lines = grid_lines(low, high)
    assert lines[0][0] <= low and lines[-1][0] >= high and 3 <= len(lines) <= 7
    assert all(float(label) == pytest.approx(value, abs=1e-12) for value, label in lines)
