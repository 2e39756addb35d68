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
# Color and place of a pixel, each as logarithmic odds. Distances to the average outline are in units of this many
# millimeters.
_COLOR_WEIGHT, _PLACE_WEIGHT, _BORDER_WIDTH = 1.5, 2.0, 14.0
# Kernel densities: standard deviation in CIELAB units, number of colors, and the density that tells nothing.
_BANDWIDTH, _SAMPLE, _LEAST_DENSITY = 4.0, 128, 1e-3
# Fewer pixels than this tell nothing about colors.
_LEAST_SAMPLE = 20
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
        return filled_hull(mouth_outline(points, landmarks), size)
    if landmarks is None:
        whole = mask_from_points(crop, fit_head(points))
    else:
        whole = mask_from_landmarks(landmarks, points, size)
    if part == "whole":
        return whole
    return np.minimum(whole, half_mask(points, size, part))


def half_mask(points: np.ndarray, size: int, part: str) -> np.ndarray:
    """Mask (size, size) uint8 of everything above ("upper") or below ("lower") the base of the nose.

    Args:
        points: (5, 2) float, pixels of the crop.
        size: Size of the crop.
        part: "upper" or "lower".
    """
    return filled_hull(_half_plane(points, size, part), size)


def mouth_outline(points: np.ndarray, landmarks: np.ndarray | None, margin: float = _MOUTH_MARGIN) -> np.ndarray:
    """Points (N, 2) around the mouth with its lips, in pixels of the crop.

    Args:
        points: (5, 2), pixels of the crop.
        landmarks: (N, 2), pixels of the crop; or None.
        margin: Factor by which the outline is larger than the lips.
    """
    if landmarks is not None and len(landmarks) in _MOUTH:
        lips = landmarks[_MOUTH[len(landmarks)]]
        return lips.mean(0) + margin * (lips - lips.mean(0))
    across, angle = points[4] - points[3], np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wide, high = (margin * axis for axis in _MOUTH_AXES)
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
    return filled_hull(np.concatenate([landmarks, raised]), size)


def mask_from_points(crop: np.ndarray, head: HeadFit) -> np.ndarray:
    """Outline of an average head, moved to where colors change from those of the face to those around it.

    Between what is certainly face and what is certainly not, each pixel is judged by its color (the ratio of two kernel
    densities) and by its distance to the average outline. GrabCut follows edges more closely, but its labels flip from
    one frame of a video to the next, and it cuts off chins, whose color is that of the neck.

    Args:
        crop: (S, S, 3) uint8 RGB.
        head: Fitted in the crop.

    Returns:
        (S, S) uint8, 255 on the face.
    """
    size, side = crop.shape[0], _WORKING_SIDE
    scale = side / size
    core, face, around = (filled_hull(head.outline(part) * scale, side) > 127 for part in (CORE, FACE, SURROUNDINGS))
    if core.sum() < _LEAST_SAMPLE or (~around).sum() < _LEAST_SAMPLE:
        return filled_hull(head.outline(FACE), size)
    method = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    small = cv2.resize(crop, (side, side), interpolation=method).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    between = around & ~core
    densities = [_density(lab[between], lab[sample]) for sample in (core, ~around)]
    color = np.log((densities[0] + _LEAST_DENSITY) / (densities[1] + _LEAST_DENSITY))
    unit = _BORDER_WIDTH * float(np.linalg.norm(head.linear[0])) * scale
    place = np.clip(_signed_distance(face) / unit, -3, 3)[between]
    odds = np.where(core, 4.0, -6.0).astype(np.float32)
    odds[between] = _COLOR_WEIGHT * np.clip(color, -4, 4) + _PLACE_WEIGHT * place
    share = _guided(lab[..., 0], 1 / (1 + np.exp(-odds)))
    share = cv2.GaussianBlur(share, (0, 0), 1.0)
    found = _largest_part((share > 0.5).astype(np.uint8))
    # Its holes and notches count as face, such as highlights; other parts do not.
    share[(found > 0) & (share < 0.5)] = 0.75
    share[cv2.dilate(found, np.ones((3, 3), np.uint8)) == 0] = 0
    smooth = cv2.resize(share, (size, size), interpolation=cv2.INTER_CUBIC)
    # Thresholded again, for an edge about a pixel wide.
    return np.clip(((smooth - 0.5) * 2.5 * max(1.0, size / side) + 0.5) * 255, 0, 255).astype(np.uint8)


def _density(colors: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Kernel density of colors (N, 3) in CIELAB, 0..1, by a sample (M, 3)."""
    sample = sample[np.linspace(0, len(sample) - 1, min(_SAMPLE, len(sample))).astype(int)]
    squared = (colors**2).sum(1)[:, None] + (sample**2).sum(1) - 2 * colors @ sample.T
    return np.exp(np.maximum(squared, 0) / np.float32(-2 * _BANDWIDTH**2)).mean(1)


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the edge of a mask, positive inside."""
    inside, outside = (
        cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) for part in (mask, ~mask)
    )
    return inside - outside


def _guided(guide: np.ndarray, values: np.ndarray, radius: int = 2, least: float = 30.0) -> np.ndarray:
    """Values smoothed along the edges of a guide, both (h, w): the guided filter (He et al., ECCV 2010)."""

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.blur(image, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    center, level = mean(guide), mean(values)
    slope = (mean(guide * values) - center * level) / (mean(guide * guide) - center**2 + least)
    return mean(slope) * guide + mean(level - slope * center)


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a uint8 mask, with its holes and narrow notches filled."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3)))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    if outlines:
        cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return cv2.morphologyEx(filled, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))


def filled_hull(points: np.ndarray, size: int) -> np.ndarray:
    """The convex hull of points (N, 2), in pixels, as a (size, size) uint8 mask with an antialiased edge."""
    mask = np.zeros((size, size), dtype=np.uint8)
    # In OpenCV, the center of the first pixel is at 0.
    hull = cv2.convexHull(np.float32(points) - 0.5)
    cv2.fillConvexPoly(mask, np.int32(np.rint(hull * (1 << _SHIFT))), 255, cv2.LINE_AA, _SHIFT)
    return mask


def filled_polygon(outline: np.ndarray, size: int) -> np.ndarray:
    """`filled_hull` for a polygon (N, 2) that need not be convex."""
    mask = np.zeros((size, size), dtype=np.uint8)
    cv2.fillPoly(mask, [np.int32(np.rint((outline - 0.5) * (1 << _SHIFT)))], 255, cv2.LINE_AA, _SHIFT)
    return mask
