"""Motion suite: clips of the face world, swapped without tracking, with tracking, and with tracking and smoothing.

Clips are those of `synthetic.moving_people`: a head that holds still, one that turns at 60 degrees a second, one that
talks, a forearm that passes before a face, and two people who pass each other. All have noise like a camera's. Faces
are found and swapped as users do, with the default options. Figures are those of steadiness.py, and:

- `identity_switches`: how often the person that is seen in the result changes from one frame to the next where two
  people cross. Who is seen is the nearest, by the judge, of the two sources and the person in the target.
  Frames that show the latter do not count, but lower `swapped_share`.
- `likeness`: cosine similarity, by the judge, of the result to another photo of the source; `likeness_spread`: its
  standard deviation over the frames of a clip.
- `swapped_share`: share of the visible faces that are swapped.

Figures without a suffix are those of tracking and smoothing; `_unsmoothed` is tracking without smoothing, `_untracked`
is no tracking, `_floor` the unchanged target, and `_ceiling` the exact swap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..faces.arcface import TorchRecognizer
from ..faces.choice import FaceChoice
from ..identities.identity import Identity
from ..io.images import from_uint8
from ..pipeline.results import SwapResult
from ..pipeline.swapper import Swapper
from ..pipeline.tracked_faces import TrackReport
from ..synthetic.moving_people import KINDS
from ..tracking.tracking_options import TrackingOptions
from . import steadiness
from .evaluated_swappers import HIT_RADIUS, is_hit
from .identity_similarity import embed_faces
from .moving_cases import RenderedCase, draw_moving_cases, render_case
from .render_workers import render_workers
from .suite_synthetic import DEFAULT_SEED, identities_of

ROWS: dict[str, TrackingOptions | None] = {
    "untracked": None,
    "unsmoothed": TrackingOptions(smoothing=0.0),
    "": TrackingOptions(),
}
"""Ways to swap a clip, by the suffix of their figures."""

COLUMNS = ("floor", *ROWS, "ceiling")
"""Suffixes of the figures, in the order of the table."""


@dataclass(frozen=True)
class MotionSuite:
    """Clips to evaluate.

    Attributes:
        identities: Number of clips of each kind.
        seed: Chooses people and settings.
        size: Height of the frames in pixels.
        kinds: Kinds of clips.
        batch: Frames per batch.
    """

    identities: int = 2
    seed: int = DEFAULT_SEED
    size: int = 256
    kinds: Sequence[str] = tuple(KINDS)
    batch: int = 16


@dataclass(frozen=True)
class MotionEvaluators:
    """The swapper, and the networks around it.

    Attributes:
        swapper: Swapper under evaluation.
        source_recognizer: Embeds the sources.
        judge: Measures identity.
        portraits: Whether the network takes a picture of the source instead of an embedding.
        workers: Number of rendering processes; 0 renders in this process.
    """

    swapper: Swapper
    source_recognizer: TorchRecognizer
    judge: TorchRecognizer
    portraits: bool = False
    workers: int = 0


@dataclass(frozen=True)
class MotionEvaluation:
    """Figures of the suite, and those of each clip with its tracks."""

    figures: dict[str, float]
    clips: list[dict[str, object]]


@dataclass(frozen=True, eq=False)
class _Run:
    """Frames (T, S, W, 3) uint8 of a variant, the points (T, P, 5, 2) by which faces were swapped, and its tracks."""

    frames: np.ndarray
    points: np.ndarray | None = None
    tracks: Sequence[TrackReport] = ()


@torch.no_grad()
def evaluate_motion(evaluators: MotionEvaluators, suite: MotionSuite, progress: bool = False) -> MotionEvaluation:
    """Run the suite, which is deterministic on one machine."""
    cases = draw_moving_cases(suite.identities, suite.seed, suite.size, suite.kinds)
    clips: list[dict[str, object]] = []
    measured: list[tuple[str, dict[str, float]]] = []
    bar = tqdm(cases, unit="clip", disable=not progress, desc="evaluate")
    with bar, render_workers(evaluators.workers) as workers:
        for case in bar:
            rendered = render_case(case, workers)
            runs = _runs(evaluators, rendered)
            values = _measure(evaluators, rendered, runs, suite.batch)
            measured.append((case.clip.kind, values))
            tracks = [asdict(one) for one in runs[""].tracks]
            clips.append({"kind": case.clip.kind, **{k: round(v, 4) for k, v in values.items()}, "tracks": tracks})
    return MotionEvaluation(_summary(measured), clips)


def _runs(evaluators: MotionEvaluators, rendered: RenderedCase) -> dict[str, _Run]:
    """All variants of a clip."""
    people = identities_of(evaluators.source_recognizer, *rendered.photos, evaluators.portraits)
    runs = {"floor": _Run(rendered.frames)}
    for suffix, tracking in ROWS.items():
        results, tracks = _swapped(evaluators.swapper, rendered, people, tracking)
        frames, points = np.empty_like(rendered.frames), np.full((*_shape(rendered), 5, 2), np.nan)
        for number, result in enumerate(results):
            frames[number] = result.image
            for face in result.faces:
                person = _nearest(face.face.points, rendered.step(number).points.numpy())
                if person is not None:
                    points[number, person] = face.face.points
        runs[suffix] = _Run(frames, points, tracks)
    return {**runs, "ceiling": _Run(rendered.exact_frames)}


def _swapped(
    swapper: Swapper, rendered: RenderedCase, people: Sequence[Identity], tracking: TrackingOptions | None
) -> tuple[Iterator[SwapResult], Sequence[TrackReport]]:
    if tracking is None:
        return swapper.swap_frames(rendered.frames, people, FaceChoice("all")), ()
    tracked = swapper.track(rendered.frames, people, FaceChoice("all"), tracking=tracking)
    return swapper.swap_tracked(rendered.frames, tracked), tracked.report()


def _nearest(points: np.ndarray, truth: np.ndarray) -> int | None:
    """The person whose points (5, 2) these are, by the true points (P, 5, 2) of all people; None if nobody's."""
    person = int(np.linalg.norm(truth - points, axis=-1).mean(1).argmin())
    return person if is_hit(points, truth[person], 2 * HIT_RADIUS) else None


def _measure(
    evaluators: MotionEvaluators, rendered: RenderedCase, runs: Mapping[str, _Run], batch: int
) -> dict[str, float]:
    """Figures of a clip by key and suffix."""
    values: dict[str, float] = {}
    for name, found in steadiness.flicker(rendered, {name: run.frames for name, run in runs.items()}).items():
        values |= {_key(key, name): value for key, value in found.items()}
    kind, truth, visible = rendered.case.clip.kind, rendered.true_points(), rendered.visible()
    for name, run in runs.items():
        if run.points is not None:
            known = np.where(visible[..., None, None], run.points, np.nan)
            values[_key("swapped_share", name)] = float((~np.isnan(known[..., 0, 0])).sum() / visible.sum())
            values[_key("point_error", name)] = steadiness.point_error(known, truth)
            if kind == "still":
                values[_key("jitter", name)] = steadiness.jitter(known, truth)
            if kind == "turning":
                values[_key("lag_frames", name)] = steadiness.lag_frames(known, truth)
    embeddings = {name: _embeddings(evaluators.judge, rendered, run.frames, batch) for name, run in runs.items()}
    other = embed_faces(evaluators.judge, *rendered.other_photos).cpu().numpy()
    for name, vectors in embeddings.items():
        cosines = np.where(visible, np.einsum("tpd,pd->tp", vectors, other), np.nan)
        values[_key("likeness", name)] = float(np.nanmean(cosines))
        values[_key("likeness_spread", name)] = float(np.nanstd(cosines, axis=0).mean())
        if kind == "crossing":
            own = np.einsum("tpd,tpd->tp", vectors, embeddings["floor"])
            scores = np.concatenate([np.einsum("tpd,qd->tpq", vectors, other), own[..., None]], -1)
            nearest = scores.argmax(-1)
            labels = np.where(visible & (nearest < rendered.people), nearest, -1)
            values[_key("identity_switches", name)] = float(steadiness.switches(list(labels.T)))
    return values


def _embeddings(judge: TorchRecognizer, rendered: RenderedCase, frames: np.ndarray, batch: int) -> np.ndarray:
    """Embeddings (T, P, D) of the faces, at the points of the exact swap."""
    points = torch.from_numpy(rendered.true_points(exact=True)).float()
    rows: list[Tensor] = []
    for start in range(0, len(frames), batch):
        part = slice(start, start + batch)
        pictures = from_uint8(frames[part])
        rows.append(
            torch.stack([embed_faces(judge, pictures, points[part, one]).cpu() for one in range(rendered.people)], 1)
        )
    return torch.cat(rows).numpy()


def _summary(measured: Sequence[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    """Means over all clips; switches are summed up, and lag counts without its sign."""
    figures: dict[str, float] = {}
    for key in dict.fromkeys(key for _, values in measured for key in values):
        found = [values[key] for _, values in measured if key in values]
        if key.startswith("lag_frames"):
            found = [abs(value) for value in found]
        figures[key] = float(np.sum(found) if key.startswith("identity_switches") else np.nanmean(found))
    for key in ("flicker", "coarse_flicker"):
        for name in COLUMNS:
            figures[_key(f"{key}_ratio", name)] = figures[_key(key, name)] / max(figures[_key(key, "ceiling")], 1e-9)
    if "jitter" in figures:
        for name in ROWS:
            figures[_key("jitter_ratio", name)] = figures[_key("jitter", name)] / max(figures["jitter_untracked"], 1e-9)
    return figures


def _shape(rendered: RenderedCase) -> tuple[int, int]:
    return len(rendered.frames), rendered.people


def _key(key: str, suffix: str) -> str:
    return f"{key}_{suffix}" if suffix else key
