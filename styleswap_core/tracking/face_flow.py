"""Motion of a face from one frame to another, by optical flow."""

from dataclasses import dataclass

import numpy as np

from ..faces.boxes import longer_side

# Side of a face in the pictures in which its motion is estimated.
_FACE_SIDE = 128
# Shown around a face, as a share of its side.
_MARGIN = 0.4
_MAX_FEATURES, _MIN_FEATURES = 80, 10
_MIN_INLIERS = 0.5
# Pixels of the small pictures.
_RETURN_ERROR, _FIT_ERROR = 0.8, 1.5
_MIN_SIDE = 12.0
_WINDOW = (21, 21)


@dataclass(frozen=True, eq=False)
class FaceMotion:
    """A similarity transform of the picture's pixels.

    Attributes:
        matrix: (2, 3) float64.
        share: Share of the features that follow it, 0..1.
    """

    matrix: np.ndarray
    share: float

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 2) after the motion."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def moved_box(self, box: np.ndarray) -> np.ndarray:
        """A box (4,) after the motion, upright again."""
        center = self.moved((box[:2] + box[2:])[None] / 2)[0]
        scale = float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))
        reach = (box[2:] - box[:2]) / 2 * scale
        return np.concatenate([center - reach, center + reach])


def face_motion(before: np.ndarray, after: np.ndarray, box: np.ndarray) -> FaceMotion | None:
    """Motion of a face, or None if it cannot be followed.

    Features are followed there and back, and those that return are fitted.

    Args:
        before: (H, W) uint8, gray.
        after: The same size.
        box: (4,), the face in `before`.
    """
    import cv2

    side = longer_side(box)
    region = _region(box, before.shape)
    if side < _MIN_SIDE or region is None:
        return None
    left, top, right, bottom = region
    scale = _FACE_SIDE / side
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    first, second = (cv2.resize(gray[top:bottom, left:right], size, interpolation=mode) for gray in (before, after))
    across, down = size[0] / (right - left), size[1] / (bottom - top)
    mask = np.zeros(first.shape, np.uint8)
    x0, y0, x1, y1 = (box - np.array([left, top, left, top])) * np.array([across, down, across, down])
    cv2.ellipse(mask, (((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), 0.0), 255, -1)
    features = cv2.goodFeaturesToTrack(first, _MAX_FEATURES, 0.01, 4, mask=mask)
    if features is None or len(features) < _MIN_FEATURES:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, features, np.empty(0), winSize=_WINDOW, maxLevel=3)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(second, first, there, np.empty(0), winSize=_WINDOW, maxLevel=3)
    kept = (found[:, 0] > 0) & (returned[:, 0] > 0)
    kept &= np.linalg.norm((back - features)[:, 0], axis=1) < _RETURN_ERROR
    if kept.sum() < _MIN_FEATURES:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(
        features[kept, 0], there[kept, 0], method=cv2.RANSAC, ransacReprojThreshold=_FIT_ERROR
    )
    if matrix is None:
        return None
    share = float(inliers.sum()) / len(features)
    if share < _MIN_INLIERS:
        return None
    return FaceMotion(_in_picture(matrix, (left, top), (across, down)), share)


def _region(box: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Whole pixels around a box, inside a picture; None if that is too little."""
    margin = _MARGIN * longer_side(box)
    left, top = (max(0, int(value - margin)) for value in box[:2])
    right, bottom = (min(limit, int(value + margin) + 1) for value, limit in zip(box[2:], shape[1::-1], strict=True))
    return (left, top, right, bottom) if right - left >= _MIN_SIDE and bottom - top >= _MIN_SIDE else None


def _in_picture(matrix: np.ndarray, corner: tuple[int, int], scale: tuple[float, float]) -> np.ndarray:
    """The same motion for pixels of the whole picture.

    Args:
        matrix: (2, 3), for the small pictures.
        corner: Their first pixel in the picture.
        scale: Pixels of the small pictures per pixel of the picture.
    """
    # The first pixel's center is at 0.5 in the picture, and at 0 in the small pictures.
    to_small = np.array([[scale[0], 0, -corner[0] * scale[0] - 0.5], [0, scale[1], -corner[1] * scale[1] - 0.5]])
    square = [np.vstack([part, [0, 0, 1]]) for part in (matrix, to_small)]
    return np.asarray((np.linalg.inv(square[1]) @ square[0] @ square[1])[:2])
