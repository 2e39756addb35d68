"""What `train` does differently on photographs, where no exact swap is known: found on the face world, with the exact
swaps hidden from training and judged by them. docs/unpaired.md has the comparison.
"""

from typing import Any

SETTINGS: dict[str, Any] = {
    "exact_swap": False,
    "hidden_share": 0.35,
    "back_translated_share": 0.25,
    "agreeing_share": 0.25,
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
"""Values of a `TrainingConfig` that stand unless a file or an option says otherwise."""


def on_photographs(given: dict[str, Any]) -> dict[str, Any]:
    """`given` over `SETTINGS`; of the weights, single ones may be given."""
    return {**SETTINGS, **given, "weights": {**SETTINGS["weights"], **given.get("weights", {})}}
