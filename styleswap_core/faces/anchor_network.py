"""Detectors with SCRFD's outputs: input, run and decoding.

insightface decodes the boxes and points of all anchors, 10,080 of them in a frame of 640 x 384, and then keeps those
whose score reaches the threshold. Here only these are decoded, and each channel of a picture is normalized in one step.
What is found is the same.
"""

from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import cv2
import numpy as np

from .insightface_types import DetectorNetwork


@runtime_checkable
class InsightFaceDetectorNetwork(DetectorNetwork, Protocol):
    """insightface's `SCRFD` and `RetinaFace`, as far as they are needed to run their session."""

    input_name: str
    output_names: list[str]
    input_mean: float
    input_std: float
    det_thresh: float
    nms_thresh: float


class _Form(NamedTuple):
    """Strides of the outputs, and anchors at each of their locations."""

    strides: tuple[int, ...]
    anchors: int


# By number of outputs: scores, boxes and points, each for all strides.
_FORMS = {9: _Form((8, 16, 32), 2), 15: _Form((8, 16, 32, 64, 128), 1)}


def can_run(network: DetectorNetwork) -> TypeGuard[InsightFaceDetectorNetwork]:
    """Whether a network is insightface's, in a form with five points, so that `run_anchors` does what it does."""
    return (
        isinstance(network, InsightFaceDetectorNetwork)
        and type(network).__module__.startswith("insightface.model_zoo.")
        and len(network.output_names) in _FORMS
        and network.session.get_inputs()[0].type == "tensor(float)"
    )


def run_anchors(
    network: InsightFaceDetectorNetwork, picture: np.ndarray, canvas: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes with scores (N, 5) and points (N, 5, 2), the best first, with the centers of pixels at integers.

    Args:
        network: A network for which `can_run` holds.
        picture: (H, W, 3) uint8 RGB, no larger than the canvas.
        canvas: (width, height) of the network's input; the rest of it is black.
    """
    outputs = network.session.run(network.output_names, {network.input_name: _input(network, picture, canvas)})
    strides, anchors = _FORMS[len(outputs)]
    rows = [np.zeros((0, 15), np.float32)]
    for level, stride in enumerate(strides):
        scores, boxes, points = (
            np.asarray(outputs[level + kind * len(strides)]).reshape(-1, width) for kind, width in enumerate((1, 4, 10))
        )
        chosen = np.flatnonzero(scores >= network.det_thresh)
        if len(chosen):
            y, x = np.divmod(chosen // anchors, canvas[0] // stride)
            center = np.stack([x, y], 1).astype(np.float32) * stride
            box, offsets = boxes[chosen] * stride, points[chosen] * stride
            rows.append(
                np.hstack([center - box[:, :2], center + box[:, 2:], scores[chosen], np.tile(center, 5) + offsets])
            )
    found = np.concatenate(rows)
    found = found[np.argsort(-found[:, 4], kind="stable")]
    found = found[_distinct(found, network.nms_thresh)]
    return found[:, :5], found[:, 5:].reshape(-1, 5, 2)


def _input(network: InsightFaceDetectorNetwork, picture: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """(1, 3, H, W) float32: the normalized picture in the upper left corner."""
    height, width = picture.shape[:2]
    normalized = ((np.arange(256) - network.input_mean) / network.input_std).astype(np.float32)
    blob = np.empty((1, 3, canvas[1], canvas[0]), np.float32)
    blob[..., height:, :] = normalized[0]
    blob[..., :height, width:] = normalized[0]
    for plane, channel in zip(blob[0], cv2.split(picture), strict=True):
        # By a table, written in place: half the time of cv2.dnn.blobFromImage, and no copies.
        cv2.LUT(channel, normalized, dst=plane[:height, :width])
    return blob


def _distinct(ranked: np.ndarray, threshold: float) -> list[int]:
    """Indices of the boxes (N, 4 or more) that overlap no better one by more than a share of their union.

    As in insightface, a box includes its last row and column of pixels.
    """
    low, high = ranked[:, :2], ranked[:, 2:4]
    areas = np.prod(high - low + 1, 1)
    kept, left = [], np.arange(len(ranked))
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        sides = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]) + 1
        common = np.prod(np.maximum(sides, 0), 1)
        left = left[common / (areas[best] + areas[left] - common) <= threshold]
    return kept
