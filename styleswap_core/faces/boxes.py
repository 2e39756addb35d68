"""Boxes of faces: x0, y0, x1, y1 in pixels."""

import numpy as np


def longer_side(box: np.ndarray) -> float:
    """Longer side of a box (4,)."""
    return float((box[2:] - box[:2]).max())
