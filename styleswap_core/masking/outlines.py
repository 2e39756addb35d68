"""Face masks of aligned crops, made from dense landmarks, or from five points and the crop's colors."""

import cv2
import numpy as np

from .head import CORE, FACE, SURROUNDINGS, HeadFit

# Landmarks end at the brows; the forehead continues upward by this share of the distance between eyes and mouth.
_FOREHEAD = 0.55
_WORKING_SIDE = 96
_SHIFT = 4  # fractional bits of polygon coordinates: sixteenths of a pixel


def mask_from_landmarks(landmarks: np.ndarray, points: np.ndarray, size: int) -> np.ndarray:
    """Convex hull of dense landmarks, extended by a forehead.

    Args:
        landmarks: (N, 2), pixels of the crop; they include the outline from ear to ear.
        points: (5, 2), pixels of the crop.
        size: Size of the crop.

    Returns:
        (size, size) uint8, 255 inside.
    """
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    up = eyes - mouth
    above = landmarks[(landmarks - eyes) @ up > 0]
    # Raised points move closer together, since a forehead is round.
    raised = above + _FOREHEAD * up + 0.15 * (eyes - above)
    return _filled(np.concatenate([landmarks, raised]), size)


def mask_from_points(crop: np.ndarray, head: HeadFit) -> np.ndarray:
    """Outline of an average head, refined by GrabCut (Rother et al., SIGGRAPH 2004).

    The outline moves to where colors change between what is certainly face and what is certainly not. Without a clear
    border, the average outline is the result.

    Args:
        crop: (S, S, 3) uint8 RGB.
        head: Fitted in the crop.

    Returns:
        (S, S) uint8, 255 on the face.
    """
    size, side = crop.shape[0], _WORKING_SIDE
    scale = side / size
    core, face, around = (_filled(head.outline(part) * scale, side) > 127 for part in (CORE, FACE, SURROUNDINGS))
    labels = np.full((side, side), cv2.GC_BGD, dtype=np.uint8)
    labels[around], labels[face], labels[core] = cv2.GC_PR_BGD, cv2.GC_PR_FGD, cv2.GC_FGD
    if not core.any() or around.all():
        return _filled(head.outline(FACE), size)
    method = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    small = cv2.cvtColor(cv2.resize(crop, (side, side), interpolation=method), cv2.COLOR_RGB2BGR)
    cv2.setRNGSeed(0)  # GrabCut clusters with random numbers, and masks have to be reproducible
    rectangle = (0, 0, side, side)  # ignored: the labels give the start
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, rectangle, *models, 1, cv2.GC_INIT_WITH_MASK)
    found = _largest_part(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if not 0.75 < found.sum() / max(1, face.sum()) < 1.5:
        return _filled(head.outline(FACE), size)
    # Enlarged smoothly and thresholded again, for an edge about a pixel wide.
    smooth = cv2.resize(
        cv2.GaussianBlur(found.astype(np.float32), (0, 0), 1.0), (size, size), interpolation=cv2.INTER_CUBIC
    )
    edge = max(1.0, size / side)
    return np.clip(((smooth - 0.5) * 2.5 * edge + 0.5) * 255, 0, 255).astype(np.uint8)


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a uint8 mask, with its holes filled."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    if outlines:
        cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return filled


def _filled(points: np.ndarray, size: int) -> np.ndarray:
    """The convex hull of points (N, 2), in pixels, as a (size, size) uint8 mask with an antialiased edge."""
    mask = np.zeros((size, size), dtype=np.uint8)
    # In OpenCV, the center of the first pixel is at 0.
    hull = cv2.convexHull(np.float32(points) - 0.5)
    cv2.fillConvexPoly(mask, np.int32(np.rint(hull * (1 << _SHIFT))), 255, cv2.LINE_AA, _SHIFT)
    return mask
