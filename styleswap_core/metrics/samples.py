"""Evaluation of swapped pictures without ground truth, with the figures that are common in the literature.

A sample is one target with its result. The largest face of the target counts, and in the result the face at the same
place. If the result has none there, the target's points are used, so that a swapper cannot improve its figures by
destroying faces (`result_face_found`).

- `id_retrieval_top1`: fraction of results whose nearest face in the gallery, by cosine similarity, shows the right
  person. The gallery holds all sources of a list of pairs, or all original videos. The recognizer has no part in the
  swap. `id_cos_source`, `id_cos_target`: cosine similarity to source and target. Suffix `_floor`: the same for the
  unchanged target.
- `pose_error_deg`, `expression_error` and similar: see attribute_evaluators.py.
- `outside_l1` (levels of 255), `outside_psnr` (dB, at most 100): change outside of the faces in both pictures.
- `frechet_distance` (on request): between the faces of all targets and of all results; see frechet.py.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.detected import DetectedFace
from ..io.images import from_uint8
from ..io.sheets import labeled_sheet
from . import fidelity
from .evaluation_sheet import best_median_worst
from .frechet import Moments, frechet_distance
from .identity_similarity import cosine
from .mask_overlap import face_region, union_mask
from .source_gallery import Evaluators, Gallery, SourceFaces

SHEET_COLUMNS = ("source", "target", "result")
# A face of the result is the target's if the mean distance of their points is below this fraction of their extent.
_SAME_PLACE = 0.35
# Largest relative difference of the aspect ratios of result and target; their sizes may differ.
_ASPECT_TOLERANCE = 0.02
_LABEL_CHARACTERS = 24

Pictures = tuple[np.ndarray, np.ndarray | None]
"""Target and result, (H, W, 3) uint8 RGB; the result is None if the swapper under evaluation is to produce it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A target to evaluate, without its pictures.

    Attributes:
        label: Name in messages.
        source: Key of its source in the gallery.
        record: Entries of the JSON report besides the figures.
        reload: Loads source, target and result again, for the contact sheet.
    """

    label: str
    source: Path
    record: Mapping[str, object]
    reload: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray | None]]


@dataclass(frozen=True, eq=False)
class SampleEvaluation:
    """Result of an evaluation.

    Attributes:
        figures: Mean over all evaluated samples, by key.
        cases: Record and figures of each evaluated sample.
        problems: One message for each sample that could not be evaluated.
        sheet: (H, W, 3) uint8 contact sheet, or None.
    """

    figures: dict[str, float]
    cases: list[dict[str, object]]
    problems: list[str]
    sheet: np.ndarray | None


def evaluate_samples(
    evaluators: Evaluators,
    gallery: Gallery,
    samples: Iterable[tuple[Sample, Pictures] | str],
    warn: Callable[[str], None],
    sheet_rows: int = 0,
) -> SampleEvaluation:
    """Evaluate samples one by one.

    Args:
        evaluators: What measures and swaps.
        gallery: All sources.
        samples: Samples with their pictures; a string is the message about one that could not be loaded.
        warn: Called with each problem when it occurs.
        sheet_rows: Number of best, of median and of worst cases on the contact sheet; 0 omits the sheet.

    Raises:
        StyleSwapError: No sample could be evaluated.
    """
    columns: dict[str, list[float]] = defaultdict(list)
    evaluated: list[Sample] = []
    problems: list[str] = []
    moments = Moments(), Moments()
    for item in samples:
        try:
            if isinstance(item, str):
                raise StyleSwapError(item)
            figures = _evaluate_sample(evaluators, gallery, item[0], item[1], moments)
        except StyleSwapError as error:
            problem = " ".join(str(error).split())
            problems.append(problem if isinstance(item, str) else f"{item[0].label}: {problem}")
            warn(problems[-1])
            continue
        evaluated.append(item[0])
        for key, value in figures.items():
            columns[key].append(value)
    if not evaluated:
        raise StyleSwapError(
            f"nothing could be evaluated; the first of {len(problems)} problems: {problems[0]}"
            if problems
            else "there is nothing to evaluate; check the list"
        )
    table = {key: torch.tensor(values) for key, values in columns.items()}
    means = {key: fidelity.mean_of(values) for key, values in table.items()}
    if evaluators.frechet:
        means["frechet_distance"] = frechet_distance(*moments)
    cases = [
        {**sample.record, **{key: _json_number(values[row]) for key, values in columns.items()}}
        for row, sample in enumerate(evaluated)
    ]
    # With few cases, one of each kind; otherwise the worst would be listed among the best.
    chosen = best_median_worst(table["id_cos_source"], min(sheet_rows, max(1, len(evaluated) // 3)))
    sheet = (
        _sheet(evaluators, gallery, columns, [(kind, row, evaluated[row]) for kind, row in chosen]) if chosen else None
    )
    return SampleEvaluation(means, cases, problems, sheet)


def _largest_face(evaluators: Evaluators, target: np.ndarray) -> DetectedFace:
    faces = evaluators.analyzer.detect(target, embed=False)
    if not faces:
        raise StyleSwapError("no face found in the target")
    return faces[0]


def _evaluate_sample(
    evaluators: Evaluators, gallery: Gallery, sample: Sample, pictures: Pictures, moments: tuple[Moments, Moments]
) -> dict[str, float]:
    source = gallery.sources[sample.source]
    target, face = pictures[0], _largest_face(evaluators, pictures[0])
    result = _result(evaluators, source, target, face, pictures[1])
    detected = _face_at(evaluators.analyzer.detect(result, embed=False), face)
    result_face = detected or face
    before, after = (
        torch.from_numpy(evaluators.recognizer.embed(picture, found.points))[None]
        for picture, found in ((target, face), (result, result_face))
    )
    if evaluators.frechet:
        network = evaluators.feature_network
        moments[0].add(before[0].numpy() if network is None else network(target, face.points))
        moments[1].add(after[0].numpy() if network is None else network(result, result_face.points))
    return {
        **_identity_figures(gallery, source, before, after),
        **evaluators.attributes.errors(target, face, result, result_face),
        **_outside_figures(target, face, result, result_face),
        "result_face_found": float(detected is not None),
    }


def _identity_figures(gallery: Gallery, source: SourceFaces, before: Tensor, after: Tensor) -> dict[str, float]:
    figures = {}
    for suffix, embedding in (("", after), ("_floor", before)):
        figures[f"id_retrieval_top1{suffix}"] = gallery.retrieval_hit(embedding, source.person)
        figures[f"id_cos_source{suffix}"] = float(cosine(embedding, source.embedding))
        figures[f"id_cos_target{suffix}"] = float(cosine(embedding, before))
    return figures


def _outside_figures(
    target: np.ndarray, face: DetectedFace, result: np.ndarray, result_face: DetectedFace
) -> dict[str, float]:
    height, width = target.shape[:2]
    regions = face_region(torch.from_numpy(np.stack([face.points, result_face.points])), height, width)
    union = union_mask(regions[:1], regions[1:])
    first, second = from_uint8(result), from_uint8(target)
    return {
        "outside_l1": float(fidelity.outside_l1(first, second, union)),
        "outside_psnr": float(fidelity.masked_psnr(first, second, 1 - union)),
    }


def _result(
    evaluators: Evaluators, source: SourceFaces, target: np.ndarray, face: DetectedFace, given: np.ndarray | None
) -> np.ndarray:
    """The given result, scaled to the size of the target; without one, the swap."""
    if given is None:
        if evaluators.swapper is None or source.identity is None:
            raise StyleSwapError("expected a result, since no swapper is under evaluation; add it to the list")
        return evaluators.swapper(target, face, source.identity)
    if given.shape == target.shape:
        return given
    (height, width), (given_height, given_width) = target.shape[:2], given.shape[:2]
    if abs(given_width / given_height * height / width - 1) > _ASPECT_TOLERANCE:
        raise StyleSwapError(
            f"expected a result with the aspect ratio of the target, {width} x {height} px, got {given_width} x"
            f" {given_height} px; a result must show the whole picture of its target"
        )
    interpolation = cv2.INTER_AREA if given_width > width else cv2.INTER_CUBIC
    return cv2.resize(given, (width, height), interpolation=interpolation)


def _face_at(faces: Sequence[DetectedFace], place: DetectedFace) -> DetectedFace | None:
    """The face nearest to the place of another one, or None if none is close."""

    def distance(face: DetectedFace) -> float:
        return float(np.linalg.norm(face.points - place.points, axis=1).mean())

    nearest = min(faces, key=distance, default=None)
    limit = _SAME_PLACE * float(np.ptp(place.points, axis=0).max())
    return nearest if nearest is not None and distance(nearest) < limit else None


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _sheet(
    evaluators: Evaluators,
    gallery: Gallery,
    columns: Mapping[str, Sequence[float]],
    chosen: Sequence[tuple[str, int, Sample]],
) -> np.ndarray:
    """Contact sheet of samples that are given by kind and row of the columns."""
    rows, labels = [], []
    for kind, row, sample in chosen:
        source, target, given = sample.reload()
        result = _result(evaluators, gallery.sources[sample.source], target, _largest_face(evaluators, target), given)
        rows.append([source, target, result])
        name = "\n".join(part[:_LABEL_CHARACTERS] for part in sample.label.split(", "))
        labels.append(
            f"{kind}\n{name}\nid {columns['id_cos_source'][row]:.2f}\n"
            f"copy {columns['id_cos_source_floor'][row]:.2f}\npose {columns['pose_error_deg'][row]:.1f} deg"
        )
    return labeled_sheet(
        rows, SHEET_COLUMNS, labels, cell=224, title="best, median and worst by similarity to the source"
    )
