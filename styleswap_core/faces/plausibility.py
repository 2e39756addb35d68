"""Whether five points can be those of a face: their order, their form, and their position in the box."""

import numpy as np

from .alignment import TEMPLATES
from .face_networks import Detection

# Well beyond what occurs. In the face world the residual is up to .37 at its largest yaw of 42 degrees, and .63 at 75
# degrees. In portraits it is up to .2, the spread .9 to 1.2, the offset up to .14.
_MAX_RESIDUAL = 0.65
_MIN_SPREAD, _MAX_SPREAD = 0.45, 2.0
_MAX_OFFSET = 0.35
_MIN_EYES_TO_MOUTH = 0.12

_TEMPLATE = np.array(TEMPLATES["arcface_112"]) @ [1.0, 1.0j]
_TEMPLATE = _TEMPLATE - _TEMPLATE.mean()


def doubt_about(face: Detection) -> str:
    """Why the five points are implausible, such as "the mouth is not below the eyes"; empty if they are plausible.

    The face may be turned; what is measured does not depend on its roll.
    """
    shape = np.asarray(face.points, dtype=np.float64) @ [1.0, 1.0j]
    center = shape.mean()
    shape = shape - center
    lengths = float(np.linalg.norm(shape)), float(np.linalg.norm(_TEMPLATE))
    if not np.isfinite(lengths[0]) or lengths[0] < 1e-6:
        return "the five points coincide"
    likeness, mirrored = np.vdot(_TEMPLATE, shape), np.vdot(_TEMPLATE.conj(), shape)
    if abs(mirrored) > abs(likeness):
        return "the five points are those of a mirrored face"
    # Turned upright and scaled as the template, whose crop has a side of 1.
    scale = lengths[0] / lengths[1]
    upright = shape * (likeness.conjugate() / max(abs(likeness), 1e-12)) / scale
    left_eye, right_eye, _, left_mouth, right_mouth = upright
    if (left_mouth + right_mouth - left_eye - right_eye).imag / 2 < _MIN_EYES_TO_MOUTH:
        return "the mouth is not below the eyes"
    if left_eye.real > right_eye.real or left_mouth.real > right_mouth.real:
        return "left and right of the eyes or the mouth are in the wrong order"
    # Root of 1 - cosine^2: the share of the shape that no similarity transform explains.
    residual = float(np.sqrt(max(0.0, 1.0 - (abs(likeness) / (lengths[0] * lengths[1])) ** 2)))
    if residual > _MAX_RESIDUAL:
        return f"the five points do not have the form of a face (residual {residual:.2f})"
    low, high = np.asarray(face.box[:2], dtype=np.float64), np.asarray(face.box[2:], dtype=np.float64)
    side = float((high - low).max())
    if not _MIN_SPREAD * side < scale < _MAX_SPREAD * side:
        return "the five points are too close together or too far apart for the box"
    if abs(complex(*((low + high) / 2)) - center) > _MAX_OFFSET * side:
        return "the five points are not in the middle of the box"
    return ""
