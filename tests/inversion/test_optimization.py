"""Optimization on tiny random networks: the state it keeps, when it stops, and what it must not change."""

import math
import traceback
from dataclasses import replace

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.inversion import Callbacks, InversionSettings, InversionWeights, InvertibleGenerator, optimize
from styleswap_core.inversion.objective import Objective
from styleswap_core.inversion.optimization import CANCELED, ENDED, NO_STEPS, NOT_FINITE, PLATEAU

SETTINGS = InversionSettings(steps=8, check_every=2, patience=100, guide_batch=2, views=2, precision="float32")


@pytest.fixture
def run(generator, recognizer, make_faces, person):
    def run(settings=SETTINGS, callbacks=None, sources=1, guides=4, recognizer=recognizer):
        targets = make_faces(guides, 3) if guides else None
        network = InvertibleGenerator(generator)
        return optimize(network, recognizer, make_faces(sources, 2), person, targets, settings, callbacks)

    return run


@pytest.fixture
def plain_w(generator, target):
    with torch.no_grad():
        return generator.broadcast(generator.mapping(target[None]))[0]


def test_guided_steps_raise_the_likeness_on_held_out_guides(run):
    weights = InversionWeights(reconstruction=0.0, perceptual=0.0, distance=0.0, preservation=0.0)
    outcome = run(replace(SETTINGS, steps=30, trust=0.0, learning_rate=0.1, weights=weights))
    assert outcome.ended == ENDED and outcome.steps_done == 30
    assert (outcome.guides, outcome.held_out) == (3, 1)
    assert outcome.likeness > outcome.likeness_before + 0.01
    assert outcome.distance > 0 and outcome.distance_limit == math.inf


def test_the_best_state_is_kept_with_its_figures(run, generator, recognizer, make_faces, target, plain_w):
    outcome = run(replace(SETTINGS, learning_rate=3.0, trust=0.0))
    steps, likeness = zip(*outcome.curve, strict=True)
    assert steps == (0, 2, 4, 6, 8)
    assert outcome.likeness == max(likeness) and outcome.likeness_before == likeness[0]
    assert outcome.best_step == steps[likeness.index(outcome.likeness)]
    network = InvertibleGenerator(generator)
    objective = Objective(network, recognizer, make_faces(1, 2), make_faces(4, 3), target, plain_w, [], SETTINGS)
    assert objective.likeness(outcome.w_plus, [2])[0] == pytest.approx(outcome.likeness, abs=1e-5)


def test_the_seed_decides_the_result(run):
    first, again, other = run(), run(), run(replace(SETTINGS, seed=1))
    assert torch.equal(first.w_plus, again.w_plus) and first.curve == again.curve
    assert not torch.equal(first.w_plus, other.w_plus) or first.curve != other.curve


def test_the_global_random_state_is_not_touched(run):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    run()
    assert torch.equal(torch.rand(1), expected)


def test_low_memory_does_not_change_the_result(run):
    default, low = (run(replace(SETTINGS, low_memory=low_memory), sources=2) for low_memory in (False, True))
    torch.testing.assert_close(default.w_plus, low.w_plus, atol=2e-4, rtol=1e-3)
    for (step, value), (same_step, same) in zip(default.curve, low.curve, strict=True):
        assert step == same_step and value == pytest.approx(same, abs=1e-4)


def test_bf16_agrees_with_float32(run, plain_w):
    exact, rough = (run(replace(SETTINGS, precision=precision)) for precision in ("float32", "bf16"))
    assert (rough.precision.name, exact.precision.name) == ("bfloat16", "float32")
    assert abs(exact.likeness - rough.likeness) < 0.05 and torch.isfinite(rough.w_plus).all()


def test_weights_and_their_flags_are_not_changed(run, generator):
    generator.encoder.requires_grad_(False)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    trainable = [parameter.requires_grad for parameter in generator.parameters()]
    run(replace(SETTINGS, low_memory=True))
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    assert [parameter.requires_grad for parameter in generator.parameters()] == trainable
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_several_sources_share_one_w_plus(run):
    alone, together = run(sources=1), run(sources=3)
    assert together.w_plus.shape == alone.w_plus.shape
    assert not torch.equal(alone.w_plus, together.w_plus) or alone.curve != together.curve


@pytest.mark.parametrize("trust", [0.3, 0.5, 0.9])
def test_rows_stay_inside_the_trust_region(run, plain_w, trust):
    outcome = run(replace(SETTINGS, trust=trust, learning_rate=5.0, weights=InversionWeights(distance=0.0)))
    assert outcome.distance_limit == pytest.approx(0.5 * (1 - trust) / trust)
    moved = (outcome.w_plus - plain_w).norm(dim=1)
    assert outcome.distance <= outcome.distance_limit * (1 + 1e-5)
    assert moved.max() / max(moved.mean(), 1e-9) * outcome.distance <= outcome.distance_limit * (1 + 1e-4)


def test_the_penalty_reduces_the_distance(run):
    penalized, free = (
        run(replace(SETTINGS, guided=False, weights=InversionWeights(distance=distance)), guides=0).distance
        for distance in (100.0, 0.0)
    )
    assert penalized < free


def test_preservation_keeps_swaps_close_to_those_of_plain_w(run, generator, make_faces, plain_w):
    guides = make_faces(4, 3)

    def change(preservation):
        weights = InversionWeights(reconstruction=0.0, perceptual=0.0, preservation=preservation)
        w_plus = run(replace(SETTINGS, steps=20, trust=0.0, learning_rate=0.1, weights=weights)).w_plus
        with torch.no_grad():
            attributes = generator.encode(guides.crops)
            now, before = (
                generator.synthesis(w.expand(4, -1, -1), attributes, guides.crops).image for w in (w_plus, plain_w)
            )
        return float((now - before).abs().mean())

    assert change(100.0) < 0.5 * change(0.0)


def test_trust_1_gives_plain_w(run, plain_w):
    outcome = run(replace(SETTINGS, trust=1.0))
    assert torch.equal(outcome.w_plus, plain_w) and outcome.steps_done == 0 and outcome.distance == 0


def test_zero_steps_give_plain_w(run, plain_w):
    outcome = run(replace(SETTINGS, steps=0))
    assert outcome.ended == NO_STEPS and outcome.best_step == 0
    assert torch.equal(outcome.w_plus, plain_w) and outcome.likeness == outcome.likeness_before


def test_it_stops_at_a_plateau(run):
    outcome = run(replace(SETTINGS, steps=40, patience=2, min_gain=2.0))
    assert outcome.ended == PLATEAU and outcome.steps_done == 4


def test_cancellation_is_checked_during_a_step(run):
    """Also in the backward pass, since a step of a large generator takes long on a CPU."""
    places = set()

    def canceled():
        names = [frame.name for frame in traceback.extract_stack()]
        places.add(("backward" in names, "evaluate" in names))
        return False

    run(replace(SETTINGS, steps=1), Callbacks(canceled=canceled))
    assert places == {(False, False), (True, False), (False, True)}


def test_it_stops_if_the_first_evaluation_is_not_finite(run, generator, plain_w):
    with torch.no_grad():
        generator.synthesis.blocks["16"].to_rgb.bias.fill_(math.nan)
    outcome = run()
    assert outcome.ended == NOT_FINITE and outcome.steps_done == 0 and outcome.curve == []
    assert torch.equal(outcome.w_plus, plain_w)


def test_self_reconstruction_alone_needs_no_guides(run):
    outcome = run(replace(SETTINGS, guided=False, trust=0.0, learning_rate=0.1), guides=0)
    assert outcome.guides == outcome.held_out == 0 and math.isnan(outcome.likeness)
    losses = [loss for _, loss in outcome.curve]
    assert losses[-1] < losses[0]


class Failing(torch.nn.Module):
    """Recognizer whose embeddings are NaN after the first `healthy` ones that need gradients."""

    def __init__(self, inner, healthy):
        super().__init__()
        self.inner, self.healthy, self.input_size, self.features = inner, healthy, inner.input_size, inner.features

    def forward(self, crop):
        embedding = self.inner(crop)
        if not torch.is_grad_enabled():
            return embedding
        self.healthy -= 1
        return embedding * (math.nan if self.healthy < 0 else 1.0)


@pytest.mark.parametrize(("healthy", "steps_done"), [(0, 0), (2, 4)])
def test_it_stops_at_a_loss_that_is_not_finite_and_keeps_the_best_state(run, plain_w, recognizer, healthy, steps_done):
    outcome = run(replace(SETTINGS, guided=True), recognizer=Failing(recognizer, healthy))
    assert outcome.ended == NOT_FINITE and outcome.steps_done == steps_done
    assert torch.isfinite(outcome.w_plus).all() and math.isfinite(outcome.likeness)
    assert steps_done or torch.equal(outcome.w_plus, plain_w)


@pytest.mark.parametrize("low_memory", [False, True])
@pytest.mark.parametrize("calls", [0, 3, 12, 20, 50, 52, 55, 58, 61, 100])
def test_canceling_keeps_the_best_state(run, calls, low_memory):
    asked = []

    def canceled():
        asked.append(1)
        return len(asked) > calls

    outcome = run(replace(SETTINGS, low_memory=low_memory), Callbacks(canceled=canceled))
    assert outcome.ended == CANCELED and outcome.steps_done < 8
    assert torch.isfinite(outcome.w_plus).all() and outcome.best_step <= outcome.steps_done
    assert len(asked) == calls + 1, "nothing runs after the cancellation"


def test_progress_is_reported_after_each_step(run):
    reports = []
    outcome = run(callbacks=Callbacks(progress=reports.append))
    assert [progress.step for progress in reports] == list(range(9))
    assert all(progress.steps == 8 and progress.seconds_left >= 0 for progress in reports)
    assert reports[-1].seconds_left == 0 and reports[-1].best == pytest.approx(outcome.likeness)
    shown = [progress for progress in reports if progress.pictures]
    assert [progress.step for progress in shown] == [0, 2, 4, 6, 8]
    assert all(picture.shape == (3, 16, 16) for progress in shown for picture in progress.pictures)
    assert all(len(progress.pictures) == 3 for progress in shown)


def test_too_few_sources_or_guides_are_refused(run):
    with pytest.raises(StyleSwapError, match="source face"):
        run(sources=0)
    for guides in (0, 1):
        with pytest.raises(StyleSwapError, match="two guides"):
            run(guides=guides)
