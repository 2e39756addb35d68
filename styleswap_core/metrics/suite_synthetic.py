"""Synthetic suite: a swapper compared with exact swaps of held-out people of the face world.

Protocol "aligned" (default) evaluates the network alone:
- People, attribute settings and pairs come from `synthetic_cases.draw_cases`.
- Sources are pictures of 256 px, cropped to 112 px at their true points by insightface's convention and embedded by
  the recognizer that the network was trained with.
- Targets and exact swaps are rendered directly as aligned crops of the network's size; the window aligns the
  target's true points with the network's template. Results are rounded to 8 bits like all pictures.
- Identity is measured by a second recognizer, trained differently. It crops result and exact swap at the true points
  of the exact swap, and the target at its own points. The gallery holds one source photo of each person, including
  the person in the target.
- The face region is the visible face of the exact swap (> 0.5); the union is the visible face of target or exact swap.

Protocol "pipeline" evaluates the whole program: targets are whole pictures of 256 px, in which faces are detected,
swapped and pasted by `pipeline.swapper.Swapper`. If no face is found, the unchanged target counts as the result. All
figures then refer to whole pictures, and `detector_recall` is added.

Every figure is reported for the result; with suffix `_floor` for the unchanged target, and with `_ceiling` for the
exact swap, as if they were results. Pose, expression and gaze errors are differences between the regressor's
estimates for target and result in the same crop; `regressor_*` is its error on exact swaps against the true parameters.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ..faces.arcface import TorchRecognizer
from ..identities.identity import Identity
from ..identities.portraits import Portrait, cut_portrait
from ..io.images import to_uint8
from . import fidelity
from .attribute_regressors import (
    AttributeRegressor,
    Estimate,
    expression_error,
    gaze_error_deg,
    pose_error_deg,
    read_attributes,
)
from .evaluated_swappers import CaseSwapper
from .evaluation_sheet import SwapRow, best_median_worst
from .identity_similarity import cosine, embed_faces, retrieval_hits
from .mask_overlap import mask_iou, union_mask
from .render_workers import RenderWorkers, render_workers
from .synthetic_cases import CaseBatch, Cases, case_batches, draw_cases, photos

DEFAULT_SEED = 20261122


@dataclass(frozen=True)
class SyntheticSuite:
    """Cases to evaluate.

    Attributes:
        identities: Number of people.
        settings: Attribute settings per person.
        seed: Chooses people and settings.
        size: Side of the aligned crops; None for whole pictures.
        template: Crop template.
        batch: Cases per batch.
        sheet_rows: Number of best, of median and of worst cases for the contact sheet.
    """

    identities: int = 200
    settings: int = 8
    seed: int = DEFAULT_SEED
    size: int | None = 128
    template: str = "ffhq"
    batch: int = 16
    sheet_rows: int = 3


@dataclass(frozen=True)
class SyntheticEvaluators:
    """Swapper under evaluation, and the networks that measure it.

    Attributes:
        swapper: Swaps the faces of cases.
        source_recognizer: Embeds sources for the swapper.
        recognizer: Measures identity; a recognizer that has no part in the swap.
        regressor: Measures pose, expression and gaze.
        device: Device of the networks.
        portraits: Whether the swapper takes a picture of the source instead of an embedding.
        workers: Number of rendering processes; 0 renders in this process.
    """

    swapper: CaseSwapper
    source_recognizer: TorchRecognizer
    recognizer: TorchRecognizer
    regressor: AttributeRegressor
    device: torch.device
    portraits: bool = False
    workers: int = 0


@dataclass(frozen=True)
class SyntheticEvaluation:
    """Mean of each figure over all cases, and the cases for the contact sheet."""

    figures: dict[str, float]
    rows: list[SwapRow]


@dataclass(frozen=True)
class SyntheticGallery:
    """The N people of a suite.

    Attributes:
        photos: (N, 3, FRAME, FRAME) source photos, on the CPU.
        points: (N, 5, 2) their points in pixels, on the CPU.
        identities: N identities of the source photos, by the recognizer of the swapper.
        source: (N, D) of the source photos, by the evaluation recognizer.
        other: (N, D) of the other photos, by the evaluation recognizer.
    """

    photos: Tensor
    points: Tensor
    identities: list[Identity]
    source: Tensor
    other: Tensor

    def identities_of(self, people: Tensor) -> list[Identity]:
        """The identities of `people` (B,), which are rows of the gallery."""
        return [self.identities[int(person)] for person in people]


@torch.no_grad()
def evaluate_synthetic(
    evaluators: SyntheticEvaluators,
    suite: SyntheticSuite,
    progress: bool = False,
    gallery: SyntheticGallery | None = None,
) -> SyntheticEvaluation:
    """Run the suite, which is deterministic on one machine.

    Args:
        evaluators: The swapper, and what measures it.
        suite: The cases.
        progress: Whether to show a progress bar.
        gallery: The people, if they are known from another swapper with the same recognizers and cases.

    Raises:
        StyleSwapError: The test split does not have as many people or settings.
    """
    cases = draw_cases(suite.identities, suite.settings, suite.seed)
    bar = tqdm(total=2 * suite.identities + len(cases), unit="picture", disable=not progress, desc="evaluate")
    with bar, render_workers(evaluators.workers) as workers:
        form = suite.size, suite.template, evaluators.device
        if gallery is None:
            gallery = build_gallery(evaluators, cases, suite.batch, workers, bar)
        measured: dict[str, list[Tensor]] = defaultdict(list)
        parts = torch.arange(len(cases)).split(suite.batch)
        for part, batch in zip(parts, case_batches(cases, parts, *form, workers), strict=True):
            source = cases.source[part]
            result, mask, found = evaluators.swapper(batch, gallery.identities_of(source))
            for key, values in measure(evaluators, batch, result, mask, gallery, source).items():
                measured[key].append(values.cpu())
            measured["detector_recall"].append(found.float())
            bar.update(len(part))
        columns = {key: torch.cat(values) for key, values in measured.items()}
        # The chosen cases are rendered and swapped again, since keeping all pictures would take gigabytes.
        chosen = best_median_worst(columns["face_psnr"], suite.sheet_rows)
        parts = [torch.tensor([case]) for _, case in chosen]
        rows = [
            _sheet_row(evaluators, batch, gallery, cases.source[part], columns, name, case)
            for (name, case), part, batch in zip(chosen, parts, case_batches(cases, parts, *form, workers), strict=True)
        ]
    return SyntheticEvaluation(_summary(columns), rows)


def build_gallery(
    evaluators: SyntheticEvaluators, cases: Cases, batch: int, workers: RenderWorkers, bar: tqdm | None = None
) -> SyntheticGallery:
    """Render and embed the photos of all people; `bar` advances by one per picture."""
    bar = tqdm(disable=True) if bar is None else bar
    source_photos, source_points, identities, source, other = [], [], [], [], []
    for pictures, points in photos(cases, False, batch, evaluators.device, workers):
        source_photos.append(pictures.cpu())
        source_points.append(points.cpu())
        identities += identities_of(evaluators.source_recognizer, pictures, points, evaluators.portraits)
        source.append(embed_faces(evaluators.recognizer, pictures, points))
        bar.update(len(pictures))
    for pictures, points in photos(cases, True, batch, evaluators.device, workers):
        other.append(embed_faces(evaluators.recognizer, pictures, points))
        bar.update(len(pictures))
    return SyntheticGallery(
        photos=torch.cat(source_photos),
        points=torch.cat(source_points),
        identities=identities,
        source=torch.cat(source),
        other=torch.cat(other),
    )


def identities_of(recognizer: TorchRecognizer, pictures: Tensor, points: Tensor, portraits: bool) -> list[Identity]:
    """Identities of one face per picture (B, 3, H, W), with points (B, 5, 2); with portraits if wanted."""
    raw = embed_faces(recognizer, pictures, points, normalize=False)
    normal, norms = F.normalize(raw, dim=1).cpu(), raw.norm(dim=1).tolist()
    cuts: list[Portrait | None] = [None] * len(norms)
    if portraits:
        places = points.cpu().numpy()
        cuts = [cut_portrait(picture, five) for picture, five in zip(to_uint8(pictures), places, strict=True)]
    return [
        Identity(
            embedding,
            recognizer.recognizer_id,
            embedding_norm=norm,
            portrait=None if cut is None else cut.picture,
            portrait_points=None if cut is None else cut.points,
        )
        for embedding, norm, cut in zip(normal, norms, cuts, strict=True)
    ]


def measure(
    evaluators: SyntheticEvaluators,
    batch: CaseBatch,
    result: Tensor,
    mask: Tensor,
    gallery: SyntheticGallery,
    source: Tensor,
) -> dict[str, Tensor]:
    """Figures of each case (B,) by key, for result, floor and ceiling."""
    views = {
        "": (result, batch.exact_points),
        "_floor": (batch.target, batch.target_points),
        "_ceiling": (batch.exact, batch.exact_points),
    }
    union = union_mask(batch.target_face, batch.exact_face)
    embeddings = {
        name: embed_faces(evaluators.recognizer, picture, points) for name, (picture, points) in views.items()
    }
    estimates = {
        name: read_attributes(evaluators.regressor, picture, batch.target_points)
        for name, (picture, _) in views.items()
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
    # The PSNR of the exact swap with itself carries no information.
    del figures["face_psnr_ceiling"], figures["psnr_ceiling"]
    figures["face_psnr_gain"] = figures["face_psnr"] - figures["face_psnr_floor"]
    figures["sharpness_ratio_median"] = float(columns["sharpness_ratio"].nanmedian())
    exact = figures["id_cos_other_photo_ceiling"]
    for suffix in ("", "_floor", "_ceiling"):
        figures[f"id_cos_other_photo_ratio{suffix}"] = figures[f"id_cos_other_photo{suffix}"] / exact
    return figures


def _sheet_row(
    evaluators: SyntheticEvaluators,
    batch: CaseBatch,
    gallery: SyntheticGallery,
    source: Tensor,
    columns: dict[str, Tensor],
    name: str,
    case: int,
) -> SwapRow:
    """Row of the sheet for one case, given as a batch of one, which is swapped again."""
    result, mask, _ = evaluators.swapper(batch, gallery.identities_of(source))
    figures = {key: float(values[case]) for key, values in columns.items()}
    label = (
        f"{name}\nface {figures['face_psnr']:.1f} dB\ncopy {figures['face_psnr_floor']:.1f} dB\n"
        f"id {figures['id_cos_other_photo']:.2f}\nexact {figures['id_cos_other_photo_ceiling']:.2f}"
    )
    return SwapRow(label, gallery.photos[source[0]], batch.target[0], result[0], batch.exact[0], mask[0])
