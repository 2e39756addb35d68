"""Face masks of aligned crops, made from dense landmarks, or from five points and the crop's colors."""

import cv2
import numpy as np

from .head import CORE, FACE, SURROUNDINGS, HeadFit, fit_head

# Base of the nose, as a fraction of the way from the eyes to the mouth.
_NOSE_BASE = 0.62
# Landmarks of the mouth, by the number of landmarks: iBUG 300-W's 68 and insightface's 106.
_MOUTH = {68: slice(48, 68), 106: slice(52, 72)}
# Semi-axes of a mouth without landmarks, as fractions of the distance of its corners.
_MOUTH_AXES = (0.58, 0.3)
# Lips move when a face is swapped; the outline of the mouth is larger by this factor.
_MOUTH_MARGIN = 1.25

# Landmarks end at the brows; the forehead continues upward by this share of the distance between eyes and mouth.
_FOREHEAD = 0.55
# At 96 px the masks of the face world are no better, and take twice as long.
_WORKING_SIDE = 64
_SHIFT = 4  # fractional bits of polygon coordinates: sixteenths of a pixel


def outline_mask(crop: np.ndarray, points: np.ndarray, landmarks: np.ndarray | None, part: str = "whole") -> np.ndarray:
    """Mask of a part of a face, from dense landmarks if there are any, otherwise from five points and colors.

    Args:
        crop: (S, S, 3) uint8 RGB.
        points: (5, 2), pixels of the crop.
        landmarks: (N, 2), pixels of the crop; or None.
        part: One of `regions.PARTS`.

    Returns:
        (S, S) uint8, 255 inside.
    """
    size, points = crop.shape[0], points.astype(np.float64)
    if part == "mouth":
        return _filled(_mouth(points, landmarks), size)
    if landmarks is None:
        whole = mask_from_points(crop, fit_head(points))
    else:
        whole = mask_from_landmarks(landmarks, points, size)
    if part == "whole":
        return whole
    return np.minimum(whole, _filled(_half_plane(points, size, part), size))


def _mouth(points: np.ndarray, landmarks: np.ndarray | None) -> np.ndarray:
    """Points (N, 2) around the mouth."""
    if landmarks is not None and len(landmarks) in _MOUTH:
        lips = landmarks[_MOUTH[len(landmarks)]]
        return lips.mean(0) + _MOUTH_MARGIN * (lips - lips.mean(0))
    across, angle = points[4] - points[3], np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wide, high = (_MOUTH_MARGIN * axis for axis in _MOUTH_AXES)
    down = np.array([-across[1], across[0]])
    return points[3:].mean(0) + wide * np.outer(np.cos(angle), across) + high * np.outer(np.sin(angle), down)


def _half_plane(points: np.ndarray, size: int, part: str) -> np.ndarray:
    """Corners (4, 2) of a large rectangle above or below the base of the nose."""
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    down = (mouth - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1e-6)
    across, base = np.array([-down[1], down[0]]), eyes + _NOSE_BASE * (mouth - eyes)
    away = down if part == "lower" else -down
    return np.array([base + side * size * across + end * size * away for side in (-2, 2) for end in (0, 4)])


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
