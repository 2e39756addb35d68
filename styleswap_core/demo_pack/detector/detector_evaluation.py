"""How well an exported detector finds faces, decoded by insightface itself."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from insightface.model_zoo.scrfd import SCRFD
from torch import Tensor

from .anchors import Faces
from .box_geometry import box_sizes, eye_mouth_distance
from .pictures import PictureSet
from .scenes import SceneConfig, compose

# Detections of faces that nobody asked for are no errors where a face is cut off by the frame.
_MATCH_OVERLAP = 0.5
_SIZE_LIMITS = (0.0, 40.0, 80.0, 160.0, 320.0, float("inf"))


@dataclass(frozen=True)
class DetectionFigures:
    """Figures over scenes of one canvas size.

    recall: share of faces of 40 px and more that some detection overlaps by half.
    recall_by_size: the same per range of sizes (square root of the box's area, px), smaller ones too.
    point_error: mean distance of the five points of found faces, as a share of the eye-mouth distance.
        Both are None where there was nothing to measure.
    false_per_scene: detections without a face.
    """

    canvas: int
    faces: int
    recall: float | None
    recall_by_size: dict[str, float]
    point_error: float | None
    false_per_scene: float


def evaluate_detector(
    path: str | Path, pictures: PictureSet, canvas: int, scenes: int = 200, seed: int = 77, threshold: float = 0.5
) -> DetectionFigures:
    """Compose scenes from pictures the detector has not seen and let insightface detect in them."""
    detector = SCRFD(str(path))
    detector.prepare(-1, input_size=(canvas, canvas), det_thresh=threshold)
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[float, bool, float]] = []  # size, matched, point error
    false = 0
    for first in range(0, scenes, 8):
        images, faces = compose(pictures, SceneConfig(), min(8, scenes - first), canvas, generator)
        pixels = images.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for index, image in enumerate(pixels):
            boxes, points = detector.detect(np.ascontiguousarray(image[..., ::-1]))
            false += _score_scene(torch.from_numpy(boxes), torch.from_numpy(points), faces, index, found)
    return _summary(canvas, scenes, found, false)


def _score_scene(
    boxes: Tensor, points: Tensor, faces: Faces, scene: int, found: list[tuple[float, bool, float]]
) -> int:
    """Append one entry per labeled face to `found`; the number of detections that belong to no face."""
    free = torch.ones(len(boxes), dtype=torch.bool)
    for face in torch.nonzero(faces.labeled[scene] | faces.ignored[scene])[:, 0].tolist():
        truth = faces.boxes[scene, face]
        overlap = _overlap(boxes[:, :4], truth)
        free &= overlap < (_MATCH_OVERLAP if faces.labeled[scene, face] else 0.1)
        if not faces.labeled[scene, face]:
            continue
        size = float(box_sizes(truth))
        if not len(overlap) or overlap.max() < _MATCH_OVERLAP:
            found.append((size, False, float("nan")))
            continue
        true_points = faces.points[scene, face]
        error = (points[overlap.argmax()] - true_points).norm(dim=-1).mean() / eye_mouth_distance(true_points)
        found.append((size, True, float(error)))
    return int(free.sum())


def _overlap(boxes: Tensor, box: Tensor) -> Tensor:
    """Intersection over union of (M, 4) with (4,)."""
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared).clamp(min=1e-6)


def _summary(canvas: int, scenes: int, found: list[tuple[float, bool, float]], false: int) -> DetectionFigures:
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    sizes, matched, errors = table[:, 0], table[:, 1], table[:, 2]
    required = sizes >= _SIZE_LIMITS[1]
    by_size = {}
    for low, high in itertools.pairwise(_SIZE_LIMITS):
        inside = (sizes >= low) & (sizes < high)
        if inside.any():
            by_size[f"{low:g}-{high:g}"] = round(float(matched[inside].mean()), 4)
    wanted = required & (matched > 0)
    return DetectionFigures(
        canvas=canvas,
        faces=int(required.sum()),
        recall=float(matched[required].mean()) if required.any() else None,
        recall_by_size=by_size,
        point_error=float(errors[wanted].mean()) if wanted.any() else None,
        false_per_scene=false / scenes,
    )
