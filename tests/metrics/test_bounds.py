"""Bounds: relations, multiples of the ceiling, and missing figures."""

import math

from styleswap_core.metrics.bounds import SYNTHETIC_BOUNDS, Bound, check


def test_relations_and_ceiling_multiples():
    bounds = {"a": Bound(">=", 2.0, ""), "b": Bound("<=", 1.0, ""), "c": Bound("<=", 1.5, "", times_ceiling=True)}
    figures = {"a": 2.0, "b": 1.1, "c": 2.9, "c_ceiling": 2.0}
    verdicts = {verdict.key: (verdict.passed, verdict.limit) for verdict in check(figures, bounds)}
    assert verdicts == {"a": (True, 2.0), "b": (False, 1.0), "c": (True, 3.0)}


def test_a_missing_or_undefined_figure_does_not_pass():
    bounds = {"a": Bound("<=", 1.0, ""), "b": Bound(">=", 0.0, ""), "c": Bound("<=", 1.5, "", times_ceiling=True)}
    assert not any(verdict.passed for verdict in check({"b": math.nan, "c": 0.1}, bounds))


def test_bounds_of_the_synthetic_suite():
    limits = {key: (bound.relation, bound.limit) for key, bound in SYNTHETIC_BOUNDS.items()}
    assert limits["id_retrieval_top1"] == (">=", 0.85)
    assert limits["face_psnr"] == (">=", 24.0) and limits["face_psnr_gain"] == (">=", 6.0)
    assert limits["outside_l1"] == ("<=", 1.0)
    assert len(limits) == 13
