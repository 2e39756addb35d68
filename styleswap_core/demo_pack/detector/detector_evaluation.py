"""Evaluation of an exported detector on composed scenes, through insightface's own decoding."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from insightface.model_zoo.scrfd import SCRFD
from torch import Tensor

from ...faces.alignment import eye_mouth_distance
from .anchors import SceneFaces
from .box_geometry import box_overlaps, box_sizes
from .pictures import PictureSet
from .scenes import SceneConfig, compose

# Smallest intersection over union of a detection with a face that it finds, and with a cut-off face that excuses it.
_MATCH_OVERLAP = 0.5
_EXCUSE_OVERLAP = 0.1
_SIZE_LIMITS = (0.0, 40.0, 80.0, 160.0, 320.0, float("inf"))


@dataclass(frozen=True)
class DetectionFigures:
    """Figures over scenes of one size.

    Attributes:
        canvas: Side of the scenes in pixels.
        faces: Number of faces of 40 px and more (square root of the box's area).
        recall: Share of these faces that were found; None without any.
        recall_by_size: Share of faces found per range of sizes, smaller ones included.
        point_error: Mean distance of the five points from the true ones, as a share of the eye-mouth distance, over the
            faces found; None without any.
        false_per_scene: Detections that belong to no face, per scene.
    """

    canvas: int
    faces: int
    recall: float | None
    recall_by_size: dict[str, float]
    point_error: float | None
    false_per_scene: float


class _Outcome(NamedTuple):
    """Whether a face of this size in pixels was found, and the error of its points, NaN if it was not."""

    size: float
    matched: bool
    point_error: float


def evaluate_detector(
    path: str | Path, pictures: PictureSet, canvas: int, scenes: int = 200, seed: int = 77, threshold: float = 0.5
) -> DetectionFigures:
    """Figures of a detector's ONNX file on scenes composed of pictures that it was not trained on."""
    detector = SCRFD(str(path))
    detector.prepare(-1, input_size=(canvas, canvas), det_thresh=threshold)
    generator = torch.Generator().manual_seed(seed)
    outcomes: list[_Outcome] = []
    false = 0
    for first in range(0, scenes, 8):
        images, faces = compose(pictures, SceneConfig(), min(8, scenes - first), canvas, generator)
        pixels = images.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for index, image in enumerate(pixels):
            boxes, points = detector.detect(np.ascontiguousarray(image[..., ::-1]))
            false += _score_scene(torch.from_numpy(boxes), torch.from_numpy(points), faces, index, outcomes)
    return _summary(canvas, scenes, outcomes, false)


def _score_scene(boxes: Tensor, points: Tensor, faces: SceneFaces, scene: int, outcomes: list[_Outcome]) -> int:
    """Append the outcome of each labeled face; returns the number of detections that belong to no face."""
    free = torch.ones(len(boxes), dtype=torch.bool)
    for face in torch.nonzero(faces.labeled[scene] | faces.ignored[scene])[:, 0].tolist():
        truth = faces.boxes[scene, face]
        overlap = box_overlaps(boxes[:, :4], truth[None])
        free &= overlap < (_MATCH_OVERLAP if faces.labeled[scene, face] else _EXCUSE_OVERLAP)
        if not faces.labeled[scene, face]:
            continue
        size = float(box_sizes(truth))
        if not len(overlap) or overlap.max() < _MATCH_OVERLAP:
            outcomes.append(_Outcome(size, False, float("nan")))
            continue
        true_points = faces.points[scene, face]
        error = (points[overlap.argmax()] - true_points).norm(dim=-1).mean() / eye_mouth_distance(true_points)
        outcomes.append(_Outcome(size, True, float(error)))
    return int(free.sum())


def _summary(canvas: int, scenes: int, outcomes: list[_Outcome], false: int) -> DetectionFigures:
    table = np.array(outcomes, dtype=np.float64).reshape(-1, 3)
    sizes, matched, errors = table[:, 0], table[:, 1], table[:, 2]
    required = sizes >= _SIZE_LIMITS[1]
    by_size = {}
    for low, high in itertools.pairwise(_SIZE_LIMITS):
        inside = (sizes >= low) & (sizes < high)
        if inside.any():
            by_size[f"{low:g}-{high:g}"] = round(float(matched[inside].mean()), 4)
    found = required & (matched > 0)
    return DetectionFigures(
        canvas=canvas,
        faces=int(required.sum()),
        recall=float(matched[required].mean()) if required.any() else None,
        recall_by_size=by_size,
        point_error=float(errors[found].mean()) if found.any() else None,
        false_per_scene=false / scenes,
    )
