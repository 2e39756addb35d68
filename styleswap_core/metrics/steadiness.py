"""Figures of how steady a swapped clip is.

Pictures are compared with the exact swap, which flickers as well: light and noise change, and expressions move. Points
are compared with the true points of the target.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from ..io.images import from_uint8
from ..synthetic.true_motion import carried
from .moving_cases import RenderedCase

# Smaller parts of a face that can be followed do not count, as a share of the height, squared.
_MIN_AREA = 0.005
# Standard deviation of the blur for coarse flicker, as a share of the height of the picture.
_BLUR = 1 / 128


def flicker(rendered: RenderedCase, variants: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Flicker of variants of a clip: mean absolute change in the faces from one frame to the next, along true motion.

    Args:
        rendered: The clip.
        variants: Frames (T, S, W, 3) uint8 by name.

    Returns:
        By name of the variant, in levels of 255: `flicker`; `coarse_flicker`, the same of blurred pictures, which
        hardly show noise; and `error_flicker`, the change of the difference from the exact swap without noise.
    """
    sums: dict[str, dict[str, list[float]]] = {name: {} for name in variants}
    before = _stacked(rendered, variants, 0)
    for frame in range(1, len(rendered.frames)):
        now = _stacked(rendered, variants, frame)
        for person in range(rendered.people):
            faces = (rendered.seen(number, person) for number in (frame - 1, frame))
            moved, inner = carried(before.flatten(0, 2), *faces)
            if int(inner.sum()) < _MIN_AREA * inner.shape[0] ** 2:
                continue
            change = (now - moved.view_as(now)).abs().mean(2) * 127.5  # (3, variants, S, W)
            means = change[..., inner].mean(-1)
            for row, name in enumerate(variants):
                for kind, key in enumerate(("flicker", "coarse_flicker", "error_flicker")):
                    sums[name].setdefault(key, []).append(float(means[kind, row]))
        before = now
    return {name: {key: float(np.mean(values)) for key, values in found.items()} for name, found in sums.items()}


def _stacked(rendered: RenderedCase, variants: Mapping[str, np.ndarray], frame: int) -> Tensor:
    """Pictures, blurred pictures and differences from the exact swap, (3, variants, 3, S, W)."""
    pictures = from_uint8(np.stack([frames[frame] for frames in variants.values()]))
    sigma = _BLUR * pictures.shape[2]
    side = 2 * round(3 * sigma) + 1
    blurred = gaussian_blur2d(pictures, (side, side), (sigma, sigma))
    return torch.stack([pictures, blurred, pictures - rendered.step(frame).exact])


def jitter(points: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of how far a point's error moves from one frame to the next, in percent of the eyes' distance.

    Args:
        points: (T, P, 5, 2), NaN where a face was not found.
        truth: (T, P, 5, 2).
    """
    change = np.diff(_errors(points, truth), axis=0)
    return float(100 * np.sqrt(np.nanmean((change**2).sum(-1))))


def point_error(points: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of points from the truth, in percent of the distance between the eyes; see `jitter`."""
    return float(100 * np.nanmean(np.linalg.norm(_errors(points, truth), axis=-1)))


def lag_frames(points: np.ndarray, truth: np.ndarray) -> float:
    """How many frames points are late, by least squares: positive if they trail behind, negative if they hurry ahead.

    The motion has to go both ways, so that errors that depend on the pose cancel.
    """
    errors = points - truth
    speed = (np.roll(truth, -1, 0) - np.roll(truth, 1, 0)) / 2
    errors, speed = errors[1:-1], speed[1:-1]
    known = ~np.isnan(errors)
    centered = errors - np.nanmean(errors, axis=0)
    return float(-(centered[known] * speed[known]).sum() / max((speed[known] ** 2).sum(), 1e-9))


def switches(labels: Sequence[np.ndarray]) -> int:
    """How often somebody becomes another person from one frame to the next.

    Args:
        labels: For each person, the label (T,) int of who is seen in each frame; -1 where that is not known.
    """
    known = [row[row >= 0] for row in labels]
    return int(sum((row[1:] != row[:-1]).sum() for row in known))


def _errors(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    eyes = np.linalg.norm(truth[..., 0, :] - truth[..., 1, :], axis=-1)
    # A head that turns away has its eyes close to each other.
    widest = eyes.max(axis=0)
    return np.asarray((points - truth) / widest[None, :, None, None])
