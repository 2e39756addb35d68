"""Swapped pictures against their targets and sources, where no exact swap is known: the figures of the literature.

Of every picture the largest face counts; in a result, the face at the target's place. Where a result has none there, it
is judged at the target's own points, so that a swapper gains nothing by destroying faces (`result_face_found`).

- `id_retrieval_top1`: share of results whose nearest face out of the gallery (pairs: all sources; videos: all originals
  that take part), by cosine of a recognizer that had no part in the swap, is one of the right person's. `id_cos_source`,
  `id_cos_target`: the cosines themselves. With `_floor`: the target passed off as the result.
- `pose_error_deg`, `expression_error` and the like: see attribute_judges.py.
- `outside_l1` (levels of 255), `outside_psnr` (dB, at most 100): change where neither picture has its face.
- `frechet_distance`, where asked for: between the faces of all targets and of all results; see frechet.py.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..faces.recognition import OnnxRecognizer
from ..identities.averaging import average_embeddings
from ..identities.identity import Identity
from ..io.images import from_uint8
from ..io.sheets import labeled_sheet
from . import fidelity
from .attribute_evaluators import AttributeJudge
from .evaluated_swappers import FaceSwapper
from .evaluation_sheet import best_median_worst
from .frechet import FeatureNetwork, Moments, frechet_distance
from .identity_similarity import cosine, retrieval_hits
from .mask_overlap import face_region, union_mask

SHEET_COLUMNS = ("source", "target", "result")
# A face of the result is the target's if its points lie this near in mean, as a share of the points' extent.
_SAME_PLACE = 0.35
# Results may be of another size than their targets, but must show the same: difference of the sides' ratios.
_RATIO_TOLERANCE = 0.02
_LABEL_LETTERS = 24

Pictures = tuple[np.ndarray, np.ndarray | None]
"""Target and result, (H, W, 3) uint8 RGB; no result where this program is to make it."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One picture to judge.

    Attributes:
        label: names it in messages.
        source: key of its source in the gallery.
        record: what the JSON file says of it beside the figures.
        show: loads source, target and result once more, for the picture sheet.
    """

    label: str
    source: Path
    record: dict[str, object]
    show: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray | None]]


@dataclass(frozen=True, eq=False)
class Judges:
    """Who finds the faces, who judges identity and attributes, who swaps where no result is given, and with what features
    the Fréchet distance is taken (`judge`: those of the judge's embedding; None: not at all).
    """

    analyzer: FaceAnalyzer
    judge: OnnxRecognizer
    attributes: AttributeJudge
    swapper: FaceSwapper | None = None
    features: FeatureNetwork | str | None = None


@dataclass(frozen=True, eq=False)
class SourceFaces:
    """A source: number of its person, mean of the judge's embeddings (1, D), and the identity that a swap gives."""

    person: int
    embedding: Tensor
    identity: Identity | None


@dataclass(eq=False)
class Gallery:
    """All source faces: embeddings (D,) by the judge with the number of whom each shows, and the sources by their keys."""

    embeddings: list[Tensor] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    sources: dict[Path, SourceFaces] = field(default_factory=dict)

    def add(self, judges: Judges, key: Path, person: str, pictures: Sequence[np.ndarray]) -> None:
        """A source by the largest face of each of its pictures; those without a face are left out.

        Raises:
            StyleSwapError: there is no face in any of them.
        """
        seen, own = [], []
        for picture in pictures:
            found = judges.analyzer.detect(picture, embed=judges.swapper is not None)
            if found:
                seen.append(torch.from_numpy(judges.judge.embed(picture, found[0].points)))
                own.append(found[0].id_embedding)
        if not seen:
            raise StyleSwapError(f"no face found in the source {key.name}")
        number = self.names.setdefault(person, len(self.names))
        identity = None
        if judges.swapper is not None:
            identity = Identity(average_embeddings(own), judges.analyzer.recognizer)
        self.embeddings += seen
        self.people += [number] * len(seen)
        self.sources[key] = SourceFaces(number, torch.stack(seen).mean(dim=0)[None], identity)

    def hit(self, embedding: Tensor, person: int) -> float:
        """1.0 where the nearest face to (1, D) is the person's, else 0.0; NaN where there is one person alone."""
        # Out of one person everybody picks the right one: that says nothing.
        if len(self.names) < 2:
            return math.nan
        rows, people = self._stacked
        return float(retrieval_hits(embedding, rows, torch.tensor([person]), people))

    @cached_property
    def _stacked(self) -> tuple[Tensor, Tensor]:
        # Asked for once all sources are there; stacking them for each trial would take longer than the search.
        return torch.stack(self.embeddings), torch.tensor(self.people)


@dataclass(frozen=True, eq=False)
class Outcome:
    """figures: key -> mean over all trials that could be judged; cases: the record and figures of each; problems: a line for
    each that could not; sheet: (H, W, 3) uint8 or None.
    """

    figures: dict[str, float]
    cases: list[dict[str, object]]
    problems: list[str]
    sheet: np.ndarray | None


def judge_all(
    judges: Judges,
    gallery: Gallery,
    trials: Iterable[tuple[Trial, Pictures] | str],
    say: Callable[[str], None],
    sheet_rows: int = 0,
) -> Outcome:
    """Judge trial after trial; a string among them is the problem of one that cannot be loaded.

    Args:
        say: is told each problem as it is met.
        sheet_rows: best, median and worst cases on the sheet, so many of each; 0: no sheet.

    Raises:
        StyleSwapError: not one trial could be judged.
    """
    columns: dict[str, list[float]] = defaultdict(list)
    judged: list[Trial] = []
    problems: list[str] = []
    moments = Moments(), Moments()
    for item in trials:
        try:
            if isinstance(item, str):
                raise StyleSwapError(item)
            figures = _judge_one(judges, gallery, item[0], item[1], moments)
        except StyleSwapError as error:
            problem = " ".join(str(error).split())
            problems.append(problem if isinstance(item, str) else f"{item[0].label}: {problem}")
            say(problems[-1])
            continue
        judged.append(item[0])
        for key, value in figures.items():
            columns[key].append(value)
    if not judged:
        raise StyleSwapError(
            f"nothing could be judged; the first of {len(problems)} problems: {problems[0]}"
            if problems
            else "there is nothing to judge; check the list"
        )
    table = {key: torch.tensor(values) for key, values in columns.items()}
    means = {key: fidelity.mean_of(values) for key, values in table.items()}
    if judges.features is not None:
        means["frechet_distance"] = frechet_distance(*moments)
    cases = [
        {**trial.record, **{key: _plain(values[row]) for key, values in columns.items()}}
        for row, trial in enumerate(judged)
    ]
    # Of few cases one of a kind is enough: else the worst of them would stand among the best.
    chosen = best_median_worst(table["id_cos_source"], min(sheet_rows, max(1, len(judged) // 3)))
    sheet = _sheet(judges, gallery, [(name, judged[row], cases[row]) for name, row in chosen]) if chosen else None
    return Outcome(means, cases, problems, sheet)


def largest_face(judges: Judges, picture: np.ndarray) -> DetectedFace:
    """StyleSwapError where there is no face."""
    found = judges.analyzer.detect(picture, embed=False)
    if not found:
        raise StyleSwapError("no face found in the target")
    return found[0]


def _judge_one(
    judges: Judges, gallery: Gallery, trial: Trial, pictures: Pictures, moments: tuple[Moments, Moments]
) -> dict[str, float]:
    source = gallery.sources[trial.source]
    target, face = pictures[0], largest_face(judges, pictures[0])
    result = _result(judges, source, target, face, pictures[1])
    there = _face_at(judges.analyzer.detect(result, embed=False), face)
    own = there or face
    before, after = (
        torch.from_numpy(judges.judge.embed(picture, found.points))[None]
        for picture, found in ((target, face), (result, own))
    )
    for kept, picture, found, embedding in ((moments[0], target, face, before), (moments[1], result, own, after)):
        if judges.features == "judge":
            kept.add(embedding[0].numpy())
        elif judges.features is not None:
            kept.add(judges.features(picture, found.points))
    return {
        **_identity_figures(gallery, source, before, after),
        **judges.attributes.errors(target, face, result, own),
        **_outside_figures(target, face, result, own),
        "result_face_found": float(there is not None),
    }


def _identity_figures(gallery: Gallery, source: SourceFaces, before: Tensor, after: Tensor) -> dict[str, float]:
    figures = {}
    for suffix, embedding in (("", after), ("_floor", before)):
        figures[f"id_retrieval_top1{suffix}"] = gallery.hit(embedding, source.person)
        figures[f"id_cos_source{suffix}"] = float(cosine(embedding, source.embedding))
        figures[f"id_cos_target{suffix}"] = float(cosine(embedding, before))
    return figures


def _outside_figures(target: np.ndarray, face: DetectedFace, result: np.ndarray, own: DetectedFace) -> dict[str, float]:
    regions = face_region(torch.from_numpy(np.stack([face.points, own.points])), *target.shape[:2])
    union = union_mask(regions[:1], regions[1:])
    first, second = from_uint8(result), from_uint8(target)
    return {
        "outside_l1": float(fidelity.outside_l1(first, second, union)),
        "outside_psnr": float(fidelity.masked_psnr(first, second, 1 - union)),
    }


def _result(
    judges: Judges, source: SourceFaces, target: np.ndarray, face: DetectedFace, given: np.ndarray | None
) -> np.ndarray:
    """The result at the target's size: the one that is given, or this program's swap."""
    if given is None:
        return judges.swapper(target, face, source.identity)
    if given.shape == target.shape:
        return given
    (height, width), (own_height, own_width) = target.shape[:2], given.shape[:2]
    if abs(own_width / own_height * height / width - 1) > _RATIO_TOLERANCE:
        raise StyleSwapError(
            f"the result has {own_width} x {own_height} px, the target {width} x {height}; a result must show"
            " the whole picture of its target"
        )
    return cv2.resize(given, (width, height), interpolation=cv2.INTER_AREA if own_width > width else cv2.INTER_CUBIC)


def _face_at(found: Sequence[DetectedFace], face: DetectedFace) -> DetectedFace | None:
    """The face nearest to the place of `face`, or None where none is near."""

    def distance(other: DetectedFace) -> float:
        return float(np.linalg.norm(other.points - face.points, axis=1).mean())

    nearest = min(found, key=distance, default=None)
    limit = _SAME_PLACE * float(np.ptp(face.points, axis=0).max())
    return nearest if nearest is not None and distance(nearest) < limit else None


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _sheet(judges: Judges, gallery: Gallery, chosen: Sequence[tuple[str, Trial, dict[str, object]]]) -> np.ndarray:
    rows, labels = [], []
    for name, trial, figures in chosen:
        source, target, given = trial.show()
        result = _result(judges, gallery.sources[trial.source], target, largest_face(judges, target), given)
        rows.append([source, target, result])
        place = "\n".join(part[:_LABEL_LETTERS] for part in trial.label.split(", "))
        labels.append(
            f"{name}\n{place}\nid {figures['id_cos_source']:.2f}\ncopy {figures['id_cos_source_floor']:.2f}\n"
            f"pose {figures['pose_error_deg']:.1f} deg"
        )
    return labeled_sheet(
        rows, SHEET_COLUMNS, labels, cell=224, title="best, median and worst by likeness to the source"
    )
