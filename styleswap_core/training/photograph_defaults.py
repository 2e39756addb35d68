"""Defaults of `styleswap train` for photographs, for which no exact swap is known.

They were chosen on the face world, with the exact swaps withheld from training and used for evaluation; see
docs/unpaired.md for the comparison.
"""

from typing import Any

PHOTOGRAPH_DEFAULTS: dict[str, Any] = {
    "exact_swap": False,
    "occluded_share": 0.35,
    "back_translated_share": 0.25,
    "consistency_share": 0.25,
    "weights": {
        "adversarial": 0.0,
        "identity": 2.0,
        "truth_identity": 0.5,
        "perceptual": 0.3,
        "mask": 2.0,
        "swap_gradients": 3.0,
        "swap_laplacian": 3.0,
        "swap_perceptual": 0.3,
        "swap_sharpness": 4.0,
    },
}
"""Settings of `TrainingConfig` that differ from its own defaults."""


def with_photograph_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` completed with `PHOTOGRAPH_DEFAULTS`, weight by weight."""
    weights = {**PHOTOGRAPH_DEFAULTS["weights"], **settings.get("weights", {})}
    return {**PHOTOGRAPH_DEFAULTS, **settings, "weights": weights}
