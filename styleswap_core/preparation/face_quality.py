"""Quality of the picture of a face, and the limits below which it is not worth training on."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..faces.alignment import invert_affine, transform_points
from .preparation_settings import PreparationSettings

_BLUR_WINDOW = 9


@dataclass(frozen=True)
class Quality:
    """Measurements that the filters judge a face by.

    Attributes:
        score: The detector's confidence, 0..1.
        side: Side of the crop's square in pixels of the picture.
        outside: Share of that square beyond the picture.
        yaw: Degrees, see `HeadFit`.
        pitch: Degrees.
        roll: Degrees.
        blur: 0 (sharp) to 1.
    """

    score: float
    side: float
    outside: float
    yaw: float
    pitch: float
    roll: float
    blur: float


def quality_problem(quality: Quality, settings: PreparationSettings) -> tuple[str, str] | None:
    """The first limit that a face fails, as (reason, sentence); None if it passes all."""
    if quality.score < settings.min_score:
        return "unsure", f"the detector's score is {quality.score:.2f}, less than {settings.min_score}"
    if quality.side < settings.min_side:
        return "small", f"the crop's square is {quality.side:.0f} px wide, less than {settings.min_side}"
    if quality.outside > settings.max_outside:
        return (
            "cut off",
            f"{quality.outside:.0%} of the crop is outside the picture, more than {settings.max_outside:.0%}",
        )
    if abs(quality.yaw) > settings.max_yaw or abs(quality.pitch) > settings.max_pitch:
        return "turned away", (
            f"yaw {quality.yaw:.0f} and pitch {quality.pitch:.0f} degrees, limits are "
            f"{settings.max_yaw:.0f} and {settings.max_pitch:.0f}"
        )
    if quality.blur > settings.max_blur:
        return "blurred", f"blur {quality.blur:.2f}, more than {settings.max_blur}"
    return None


def blur(crop: np.ndarray, mask: np.ndarray) -> float:
    """Blur of the face in a crop, 0 (sharp) to 1, independent of contrast.

    Measured by how much an additional blur reduces the differences between neighboring pixels: much in a sharp picture,
    little in a blurred one (Crete et al., "The blur effect", 2007). The worse of the two directions counts, since
    motion blurs only one.

    Args:
        crop: (S, S, 3) uint8 RGB.
        mask: (S, S) uint8; the measurement is limited to its bounding box.
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
    """Share of a crop outside its picture.

    Args:
        matrix: (1, 2, 3), picture -> crop.
        size: Size of the crop.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """
    steps = (torch.arange(32, dtype=torch.float32) + 0.5) * (size / 32)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(1, -1, 2)
    points = transform_points(invert_affine(matrix), grid)[0]
    inside = (points >= 0).all(1) & (points[:, 0] <= width) & (points[:, 1] <= height)
    return 1.0 - float(inside.float().mean())
