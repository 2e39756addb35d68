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


TAUGHT_DEFAULTS: dict[str, Any] = {"teacher_share": 0.5}
"""Further settings for a prepared set with usable swaps of a teacher."""


def with_photograph_defaults(settings: dict[str, Any], taught: bool = False) -> dict[str, Any]:
    """`settings` completed with `PHOTOGRAPH_DEFAULTS`, weight by weight.

    Args:
        settings: What the user has set.
        taught: Whether the photographs have swaps of a teacher.
    """
    weights = {**PHOTOGRAPH_DEFAULTS["weights"], **settings.get("weights", {})}
    return {**PHOTOGRAPH_DEFAULTS, **(TAUGHT_DEFAULTS if taught else {}), **settings, "weights": weights}
