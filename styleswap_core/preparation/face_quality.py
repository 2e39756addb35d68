"""How good the picture of a face is, and which faces are not worth training on."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..faces.alignment import invert_affine, transform_points
from .preparation_settings import Settings

_BLUR_WINDOW = 9


@dataclass(frozen=True)
class Quality:
    """What the filters judge a face by.

    Attributes:
        score: the detector's confidence, 0..1.
        side: px of the picture along a side of the crop's square.
        outside: share of that square beyond the picture.
        yaw, pitch, roll: degrees.
        blur: 0 (sharp) .. 1.
    """

    score: float
    side: float
    outside: float
    yaw: float
    pitch: float
    roll: float
    blur: float


def fault(quality: Quality, settings: Settings) -> tuple[str, str] | None:
    """The first limit that a face fails, as (reason, one sentence), or None for a good one."""
    if quality.score < settings.min_score:
        return "unsure", f"the detector is {quality.score:.2f} sure, less than {settings.min_score}"
    if quality.side < settings.min_side:
        return "small", f"the face fills {quality.side:.0f} px, less than {settings.min_side}"
    if quality.outside > settings.max_outside:
        return (
            "cut off",
            f"{quality.outside:.0%} of the crop lie beyond the picture, more than {settings.max_outside:.0%}",
        )
    if abs(quality.yaw) > settings.max_yaw or abs(quality.pitch) > settings.max_pitch:
        return "turned away", (
            f"yaw {quality.yaw:.0f} and pitch {quality.pitch:.0f} degrees, beyond "
            f"{settings.max_yaw:.0f} and {settings.max_pitch:.0f}"
        )
    if quality.blur > settings.max_blur:
        return "blurred", f"blur {quality.blur:.2f}, more than {settings.max_blur}"
    return None


def blur(crop: np.ndarray, mask: np.ndarray) -> float:
    """How blurred the face in a crop is: 0 (sharp) .. 1, without regard to contrast.

    What a further blur takes from the differences of neighboring pixels is much in a sharp picture and little in a
    blurred one (Crete et al., "The blur effect", 2007). The worse of both directions counts: motion blurs one.

    Args:
        crop: (S, S, 3) uint8 RGB.
        mask: (S, S) uint8; its bounding box is judged.
    """
    x, y, width, height = cv2.boundingRect(mask)
    if min(width, height) < _BLUR_WINDOW:
        return 1.0
    gray = cv2.cvtColor(crop[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY).astype(np.float32)
    worst = 0.0
    for axis, window in ((0, (1, _BLUR_WINDOW)), (1, (_BLUR_WINDOW, 1))):
        before = np.abs(np.diff(gray, axis=axis))
        after = np.abs(np.diff(cv2.blur(gray, window), axis=axis))
        total = float(before.sum())
        lost = float(np.maximum(before - after, 0.0).sum())
        worst = max(worst, 1.0 - lost / total if total > 0 else 1.0)
    return worst


def outside_share(matrix: torch.Tensor, size: int, width: int, height: int) -> float:
    """Share of a crop that lies beyond its picture.

    Args:
        matrix: (1, 2, 3), picture -> crop of `size` px.
        width, height: of the picture, px.
    """
    steps = (torch.arange(32, dtype=torch.float32) + 0.5) * (size / 32)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(1, -1, 2)
    points = transform_points(invert_affine(matrix), grid)[0]
    inside = (points >= 0).all(1) & (points[:, 0] <= width) & (points[:, 1] <= height)
    return 1.0 - float(inside.float().mean())
