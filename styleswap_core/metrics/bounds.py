"""Bounds of the synthetic, inversion and motion suites for a generator of 128 px; `styleswap evaluate --check`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """Limit of a figure.

    Attributes:
        relation: ">=" or "<=".
        limit: Largest or smallest value that passes.
        aim: Value to aim at, as text for the table.
        times_ceiling: `limit` is a multiple of the exact swap's figure.
    """

    relation: str
    limit: float
    aim: str
    times_ceiling: bool = False


SYNTHETIC_BOUNDS: dict[str, Bound] = {
    "id_retrieval_top1": Bound(">=", 0.85, "the exact swap's"),
    "id_cos_other_photo_ratio": Bound(">=", 0.92, "0.98"),
    "id_cos_target": Bound("<=", 0.15, "0.07"),
    "face_psnr": Bound(">=", 24.0, "28.0"),
    "face_psnr_gain": Bound(">=", 6.0, ""),
    "psnr": Bound(">=", 27.5, "31.0"),
    "ssim": Bound(">=", 0.88, "0.94"),
    "sharpness_ratio": Bound(">=", 0.70, "0.95"),
    "mask_iou": Bound(">=", 0.93, "0.97"),
    "outside_l1": Bound("<=", 1.0, "0.3"),
    "pose_error_deg": Bound("<=", 1.5, "1.1x", times_ceiling=True),
    "expression_error": Bound("<=", 1.5, "1.1x", times_ceiling=True),
    "gaze_error_deg": Bound("<=", 1.5, "1.1x", times_ceiling=True),
}

INVERSION_BOUNDS: dict[str, Bound] = {
    # Gain in cosine similarity over plain W, relative to the wanted gain: 0.05, or half of the gap between plain W and
    # two photos of one person, whichever is less.
    "id_gain_share": Bound(">=", 1.0, "2"),
    "pose_error_ratio": Bound("<=", 1.05, "1"),
    "expression_error_ratio": Bound("<=", 1.05, "1"),
    # Self-reconstruction without guides overfits to the source photo, so it must lose similarity.
    "self_reconstruction_id_gain": Bound("<=", 0.0, ""),
}


MOTION_BOUNDS: dict[str, Bound] = {
    "jitter_ratio": Bound("<=", 1 / 3, "0.1"),
    "lag_frames": Bound("<=", 0.5, "0.1"),
    "flicker_ratio": Bound("<=", 1.15, "1"),
    "identity_switches": Bound("<=", 0.0, ""),
}


@dataclass(frozen=True)
class Verdict:
    """Result of checking one figure; `limit` is absolute, also for bounds relative to the ceiling."""

    key: str
    value: float
    relation: str
    limit: float
    passed: bool


def check(figures: Mapping[str, float], bounds: Mapping[str, Bound]) -> list[Verdict]:
    """Check figures against bounds, in the order of `bounds`. A figure that is missing or NaN does not pass."""
    verdicts = []
    for key, bound in bounds.items():
        value = float(figures.get(key, math.nan))
        limit = bound.limit
        if bound.times_ceiling:
            limit *= float(figures.get(f"{key}_ceiling", math.nan))
        passed = value >= limit if bound.relation == ">=" else value <= limit
        verdicts.append(Verdict(key, value, bound.relation, limit, passed))
    return verdicts
