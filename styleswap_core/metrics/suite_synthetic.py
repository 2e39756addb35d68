"""The synthetic suite: a swapper against the exact swaps of held-out people in the face world.

Protocol "aligned" (the default; nothing but the generator is judged):
- The people, settings and pairs are those of `synthetic_cases.draw_cases`.
- Source: a 256 px picture, cropped to 112 px at its true points by insightface's convention, embedded by the
  recognizer that drives the generator.
- Target and exact swap: rendered directly as aligned crops of the generator's size, in the window that aligns the
  target's true points with the generator's template. Result: the generator's picture, rounded to 8 bits like all.
- Judge: a second, differently trained recognizer. Its crop is cut from the aligned picture at the true points of
  the exact swap for result and exact swap alike, and at the target's own points for the target. Gallery: one source
  photo of each person; the target's person stands in it too.
- Face region: the visible face of the exact swap (> 0.5). Union: visible face of target or exact swap.

Protocol "pipeline" (the whole program is judged): targets are whole pictures of 256 px; faces are found by the
detector, swapped and pasted back by `pipeline.swapper.Swapper`. Where no face is found the target stays as it is and counts.
All figures are then taken over whole pictures, and `detector_recall` stands with them.

Every figure stands for the result; with `_floor` for the target passed off as the result, with `_ceiling` for the
exact swap passed off as it. Pose, expression and gaze errors are distances between what the regressor reads from
the target and from the result, in one and the same window; `regressor_*` is its error on exact swaps against the
true parameters.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from ..faces.arcface import TorchRecognizer
from . import fidelity
from .attribute_regressors import (
    AttributeRegressor,
    Estimate,
    expression_error,
    gaze_error_deg,
    pose_error_deg,
    read_attributes,
)
from .evaluated_swappers import Swapper
from .evaluation_sheet import SwapRow, best_median_worst
from .identity_similarity import cosine, embed_faces, retrieval_hits
from .mask_overlap import mask_iou, union_mask
from .streams import render_pool, stream
from .synthetic_cases import CaseBatch, Cases, Runner, case_batches, draw_cases, photos

DEFAULT_SEED = 20261122


@dataclass(frozen=True)
class Settings:
    """size: side of the aligned crops; None takes whole pictures. template: their alignment."""

    identities: int = 200
    settings: int = 8
    seed: int = DEFAULT_SEED
    size: int | None = 128
    template: str = "ffhq"
    batch: int = 16
    rows: int = 3


@dataclass(frozen=True)
class Panel:
    """Who takes part: the swapper, the recognizer that embeds sources for it, and the judges.

    `workers` processes render; 0: this one does.
    """

    swapper: Swapper
    recognizer: TorchRecognizer
    judge: TorchRecognizer
    regressor: AttributeRegressor
    device: torch.device = torch.device("cpu")
    workers: int = 0


@dataclass(frozen=True)
class Evaluation:
    """`figures`: key -> mean over all cases; `rows`: the cases for the picture sheet."""

    figures: dict[str, float]
    rows: list[SwapRow]


@dataclass(frozen=True)
class Gallery:
    """The N people of a suite: what a swapper is given of them, and what results are held to."""

    photos: Tensor  # (N,3,FRAME,FRAME) the source photos, on the CPU
    points: Tensor  # (N,5,2) px of them, on the CPU
    id_embeddings: Tensor  # (N,D) L2-normalized, of the source photos by the driving recognizer
    source: Tensor  # (N,D) of the source photos by the judge
    other: Tensor  # (N,D) of the other photos by the judge


@torch.no_grad()
def evaluate(panel: Panel, settings: Settings, progress: bool = False) -> Evaluation:
    """Run the suite. Deterministic in `settings` on one machine.

    Raises:
        StyleSwapError: more people or settings asked for than the test split holds.
    """
    cases = draw_cases(settings.identities, settings.settings, settings.seed)
    bar = tqdm(total=2 * settings.identities + len(cases), unit="picture", disable=not progress, desc="evaluate")
    with bar, render_pool(panel.workers) as pool:
        form = settings.size, settings.template, panel.device
        run = partial(stream, pool=pool, workers=panel.workers)
        gallery = build_gallery(panel, cases, settings.batch, run, bar)
        measured: dict[str, list[Tensor]] = defaultdict(list)
        parts = torch.arange(len(cases)).split(settings.batch)
        for part, batch in zip(parts, case_batches(cases, parts, *form, run), strict=True):
            source = cases.source[part]
            result, mask, found = panel.swapper(batch, gallery.id_embeddings[source])
            for key, values in measure(panel, batch, result, mask, gallery, source).items():
                measured[key].append(values.cpu())
            measured["detector_recall"].append(found.float())
            bar.update(len(part))
        columns = {key: torch.cat(values) for key, values in measured.items()}
        # The chosen cases are rendered and swapped once more: keeping all pictures would take gigabytes.
        chosen = best_median_worst(columns["face_psnr"], settings.rows)
        parts = [torch.tensor([case]) for _, case in chosen]
        rows = [
            _sheet_row(panel, batch, gallery, cases.source[part], columns, name, case)
            for (name, case), part, batch in zip(chosen, parts, case_batches(cases, parts, *form, run), strict=True)
        ]
    return Evaluation(_summary(columns), rows)


def build_gallery(panel: Panel, cases: Cases, batch: int, run: Runner, bar: tqdm) -> Gallery:
    """Render the people's photos and embed them; `bar` counts pictures."""
    kept, places, own, source, other = [], [], [], [], []
    for pictures, points in photos(cases, False, batch, panel.device, run):
        kept.append(pictures.cpu())
        places.append(points.cpu())
        own.append(embed_faces(panel.recognizer, pictures, points))
        source.append(embed_faces(panel.judge, pictures, points))
        bar.update(len(pictures))
    for pictures, points in photos(cases, True, batch, panel.device, run):
        other.append(embed_faces(panel.judge, pictures, points))
        bar.update(len(pictures))
    return Gallery(torch.cat(kept), torch.cat(places), torch.cat(own), torch.cat(source), torch.cat(other))


def measure(
    panel: Panel, batch: CaseBatch, result: Tensor, mask: Tensor, gallery: Gallery, source: Tensor
) -> dict[str, Tensor]:
    """One value per case (B,) for every key, for result, floor and ceiling."""
    views = {
        "": (result, batch.exact_points),
        "_floor": (batch.target, batch.target_points),
        "_ceiling": (batch.exact, batch.exact_points),
    }
    union = union_mask(batch.target_face, batch.exact_face)
    embeddings = {name: embed_faces(panel.judge, picture, points) for name, (picture, points) in views.items()}
    estimates = {
        name: read_attributes(panel.regressor, picture, batch.target_points) for name, (picture, _) in views.items()
    }
    values = {"mask_iou": mask_iou(mask, union)}
    for name, (picture, _) in views.items():
        values |= {
            f"id_retrieval_top1{name}": retrieval_hits(embeddings[name], gallery.source, source),
            f"id_cos_other_photo{name}": cosine(embeddings[name], gallery.other[source]),
            f"id_cos_source_photo{name}": cosine(embeddings[name], gallery.source[source]),
            f"id_cos_target{name}": cosine(embeddings[name], embeddings["_floor"]),
            f"face_psnr{name}": fidelity.masked_psnr(picture, batch.exact, batch.exact_face),
            f"psnr{name}": fidelity.psnr(picture, batch.exact),
            f"ssim{name}": fidelity.ssim(picture, batch.exact),
            f"sharpness_ratio{name}": fidelity.sharpness_ratio(picture, batch.exact, batch.exact_face),
            f"outside_l1{name}": fidelity.outside_l1(picture, batch.target, union),
            **_attribute_errors(estimates[name], estimates["_floor"], "", name),
        }
    truth = Estimate(batch.pose, batch.expression, batch.gaze)
    return values | _attribute_errors(estimates["_ceiling"], truth, "regressor_", "")


def _attribute_errors(estimate: Estimate, reference: Estimate, prefix: str, suffix: str) -> dict[str, Tensor]:
    return {
        f"{prefix}pose_error_deg{suffix}": pose_error_deg(estimate.pose, reference.pose),
        f"{prefix}expression_error{suffix}": expression_error(estimate.expression, reference.expression),
        f"{prefix}gaze_error_deg{suffix}": gaze_error_deg(estimate.gaze, reference.gaze),
    }


def _summary(columns: dict[str, Tensor]) -> dict[str, float]:
    figures = {key: fidelity.mean_of(values) for key, values in columns.items()}
    # A picture's PSNR to itself says nothing.
    del figures["face_psnr_ceiling"], figures["psnr_ceiling"]
    figures["face_psnr_gain"] = figures["face_psnr"] - figures["face_psnr_floor"]
    figures["sharpness_ratio_median"] = float(columns["sharpness_ratio"].nanmedian())
    exact = figures["id_cos_other_photo_ceiling"]
    for suffix in ("", "_floor", "_ceiling"):
        figures[f"id_cos_other_photo_ratio{suffix}"] = figures[f"id_cos_other_photo{suffix}"] / exact
    return figures


def _sheet_row(
    panel: Panel, batch: CaseBatch, gallery: Gallery, source: Tensor, columns: dict[str, Tensor], name: str, case: int
) -> SwapRow:
    """One case (a batch of one), swapped again."""
    result, mask, _ = panel.swapper(batch, gallery.id_embeddings[source])
    figures = {key: float(values[case]) for key, values in columns.items()}
    label = (
        f"{name}\nface {figures['face_psnr']:.1f} dB\ncopy {figures['face_psnr_floor']:.1f} dB\n"
        f"id {figures['id_cos_other_photo']:.2f}\nexact {figures['id_cos_other_photo_ceiling']:.2f}"
    )
    return SwapRow(label, gallery.photos[source[0]], batch.target[0], result[0], batch.exact[0], mask[0])
