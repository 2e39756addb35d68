"""Inversion suite: Swapping-Guided ID Inversion (StyleSwap, ECCV 2022, section 3.3) for held-out people.

Each person's source photo is brought into the same network in three ways:
- `w`: no inversion; for our generator, FC_w of the photo's embedding in every layer.
- `self_reconstruction`: the code that reconstructs the photo, without guides or trust region; the paper shows that
  this overfits.
- `guided`: the code from the alternating optimization with default settings.

The code is `w_plus` for our generator, and the source input for networks of other programs. People, photos, targets,
recognizers and figures are those of the synthetic suite's aligned protocol. Neither the network nor the inversion uses
the evaluation recognizer; `id_cos_other_photo` is its similarity to an unseen photo of the person. Sources are cropped
at their true points. Guides come from the training split and all targets from the test split. Inversions use the source
photo only.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..faces.alignment import estimate_similarity, template_points, transform_points, warp
from ..faces.arcface import TorchRecognizer
from ..identities.identity import Identity
from ..inversion import AlignedFaces, InversionSettings, InvertibleNetwork, invertible, optimize, render_guides
from ..io.images import from_uint8, to_uint8
from ..io.sheets import labeled_sheet
from ..swappers.model_files import load_model
from ..swappers.network import SwappingNetwork
from . import fidelity
from .identity_similarity import cosine
from .render_workers import RenderWorkers, render_workers
from .suite_synthetic import DEFAULT_SEED, SyntheticEvaluators, SyntheticGallery, build_gallery, measure
from .synthetic_cases import CaseBatch, case_batches, draw_cases

METHODS = {
    "w": "W, no inversion",
    "self_reconstruction": "W+ by self-reconstruction alone",
    "guided": "W+ swapping-guided",
}
COLUMNS = ("source photo", "target", "W", "self-reconstruction", "swapping-guided", "exact swap")


@dataclass(frozen=True)
class InversionSuite:
    """Cases to evaluate.

    Attributes:
        identities: Number of people.
        settings: Targets per person.
        seed: Chooses people and settings.
        batch: Cases per batch.
        sheet_rows: Number of rows of the contact sheet.
        guided: Settings of the guided inversion.
    """

    identities: int = 50
    settings: int = 4
    seed: int = DEFAULT_SEED
    batch: int = 16
    sheet_rows: int = 6
    guided: InversionSettings = field(default_factory=InversionSettings)

    def self_reconstruction(self) -> InversionSettings:
        """Settings of the self-reconstruction: the same without guides and trust region."""
        return InversionSettings(
            steps=self.guided.steps, seed=self.guided.seed, precision=self.guided.precision, guided=False, trust=0.0
        )


@dataclass(frozen=True)
class InversionFiles:
    """Files that each process loads.

    Attributes:
        model: The swapping network.
        recognizer: Its recognizer.
        normalization: The recognizer's normalization of pixels.
        device: Where to run them.
        family: See `load_model`.
        folders: See `load_model`.
        any_recognizer: See `load_model`.
    """

    model: Path
    recognizer: Path
    normalization: tuple[float, float]
    device: str
    family: str = ""
    folders: Sequence[Path] = ()
    any_recognizer: bool = False

    def load(self) -> tuple[InvertibleNetwork, TorchRecognizer]:
        """The network and its recognizer."""
        device = torch.device(self.device)
        model = load_model(
            self.model,
            device,
            baked=False,
            family=self.family,
            folders=self.folders,
            any_recognizer=self.any_recognizer,
        )
        return invertible(model), TorchRecognizer(self.recognizer, self.normalization).to(device)


@dataclass(frozen=True)
class InversionEvaluation:
    """Result of the suite.

    Attributes:
        figures: `METHOD_KEY` for each method and key, and the figures with bounds.
        sheet: (H, W, 3) uint8 contact sheet, or None.
    """

    figures: dict[str, float]
    sheet: np.ndarray | None


@torch.no_grad()
def evaluate_inversion(
    evaluators: SyntheticEvaluators,
    network: SwappingNetwork,
    files: InversionFiles,
    suite: InversionSuite,
    progress: bool = False,
) -> InversionEvaluation:
    """Run the suite, which is deterministic on one machine.

    Args:
        evaluators: Networks that measure; their swapper is used for `w`.
        network: The network in `files.model`, on the device of the evaluators.
        files: Files for the rendering processes, which also run the inversions.
        suite: Cases to evaluate.
        progress: Show a progress bar.

    Raises:
        StyleSwapError: The test split does not have as many people or settings.
    """
    cases = draw_cases(suite.identities, suite.settings, suite.seed)
    form, total = (network.template, network.size), 4 * suite.identities + len(cases)
    bar = tqdm(total=total, unit="picture", disable=not progress, desc="evaluate")
    with bar, render_workers(evaluators.workers) as workers:
        gallery = build_gallery(evaluators, cases, suite.batch, workers, bar)
        guides = render_guides(suite.guided.rendered_guides, *form, suite.seed)
        inversions = {
            name: _invert_all(files, settings, gallery, form, guides, workers, bar)
            for name, settings in (("self_reconstruction", suite.self_reconstruction()), ("guided", suite.guided))
        }
        measured: dict[str, list[Tensor]] = defaultdict(list)
        shown: list[list[np.ndarray]] = []
        parts = torch.arange(len(cases)).split(suite.batch)
        for part, batch in zip(
            parts, case_batches(cases, parts, network.size, network.template, evaluators.device, workers), strict=True
        ):
            source = cases.source[part]
            results = _swap_all(evaluators, network.sha256, batch, gallery, source, inversions)
            for name, (image, mask) in results.items():
                for key, values in measure(evaluators, batch, image, mask, gallery, source).items():
                    measured[f"{name}_{key}"].append(values.cpu())
            for row in range(len(part)):
                if int(part[row]) % suite.settings == 0 and len(shown) < suite.sheet_rows:
                    shown.append(_sheet_row(gallery, batch, results, source, row))
            bar.update(len(part))
    figures = {key: fidelity.mean_of(torch.cat(values)) for key, values in measured.items()}
    figures |= {
        f"{method}_{key}": float(values.float().mean())
        for method, columns in inversions.items()
        for key, values in columns.items()
        if key != "w_plus"
    }
    figures |= _comparison(figures, gallery)
    return InversionEvaluation(figures, labeled_sheet(shown, COLUMNS, cell=192) if shown else None)


def _invert_all(
    files: InversionFiles,
    settings: InversionSettings,
    gallery: SyntheticGallery,
    form: tuple[str, int],
    guides: AlignedFaces,
    workers: RenderWorkers,
    bar: tqdm,
) -> dict[str, Tensor]:
    """Inversions of all people for crops of a form (template, size): `w_plus` (N, ...), and figures (N,) by key."""
    matrix = estimate_similarity(gallery.points, template_points(*form))
    crops, points = warp(gallery.photos, matrix, form[1]), transform_points(matrix, gallery.points)
    embeddings = torch.stack([identity.id_embedding for identity in gallery.identities])
    norms = np.array([identity.embedding_norm for identity in gallery.identities])
    # NumPy arrays, since tensors would be passed to other processes in shared memory.
    people = to_uint8(crops), points.numpy(), embeddings.numpy(), norms
    invert = partial(invert_person, files, settings, people, (to_uint8(guides.crops), guides.points.numpy()))
    columns: dict[str, list[Tensor]] = defaultdict(list)
    for part in workers.map(invert, torch.arange(len(gallery.photos)).split(1)):
        for key, value in part.items():
            columns[key].append(value)
        bar.update(1)
    return {key: torch.cat(values) for key, values in columns.items()}


def invert_person(
    files: InversionFiles,
    settings: InversionSettings,
    people: Sequence[np.ndarray],
    guides: Sequence[np.ndarray],
    row: Tensor,
) -> dict[str, Tensor]:
    """Invert one person; runs in any process.

    Args:
        files: Files to load.
        settings: Settings of the inversion.
        people: Crops (N, S, S, 3) uint8, points (N, 5, 2), embeddings (N, D) and their norms (N,).
        guides: Crops and points of the guides.
        row: (1,) index of the person.

    Returns:
        `w_plus` (1, rows, width); `distance`, `best_step`, `steps` and `seconds`, (1,) each.
    """
    person, (network, recognizer) = int(row), files.load()
    crops, points, embeddings, norms = people
    source = AlignedFaces(from_uint8(crops[person]), torch.from_numpy(points[person : person + 1]))
    others = AlignedFaces(from_uint8(guides[0]), torch.from_numpy(guides[1]))
    # The suite as a whole runs without gradients.
    with torch.enable_grad():
        embedding, norm = torch.from_numpy(embeddings[person]), float(norms[person])
        identity = Identity(embedding, recognizer.recognizer_id, embedding_norm=norm)
        outcome = optimize(network, recognizer, source, identity, others, settings)
    figures = {
        "distance": outcome.distance,
        "best_step": float(outcome.best_step),
        "steps": float(outcome.steps_done),
        "seconds": outcome.seconds,
    }
    return {"w_plus": outcome.w_plus[None], **{key: torch.tensor([value]) for key, value in figures.items()}}


def _swap_all(
    evaluators: SyntheticEvaluators,
    sha256: str,
    batch: CaseBatch,
    gallery: SyntheticGallery,
    source: Tensor,
    inversions: dict[str, dict[str, Tensor]],
) -> dict[str, tuple[Tensor, Tensor]]:
    """Results, rounded to 8 bits, and masks by method, of the network with this hash."""
    plain = gallery.identities_of(source)
    inverted = {
        name: [
            replace(identity, w_plus=w_plus, generator_sha256=sha256)
            for identity, w_plus in zip(plain, columns["w_plus"][source], strict=True)
        ]
        for name, columns in inversions.items()
    }
    swaps = {name: evaluators.swapper(batch, identities) for name, identities in {"w": plain, **inverted}.items()}
    return {name: (image, mask) for name, (image, mask, _) in swaps.items()}


def _comparison(figures: dict[str, float], gallery: SyntheticGallery) -> dict[str, float]:
    """Figures that have bounds. Similarity is measured to the unseen photo."""
    similarity = {name: figures[f"{name}_id_cos_other_photo"] for name in METHODS}
    two_photos = fidelity.mean_of(cosine(gallery.source, gallery.other))
    wanted = min(0.05, 0.5 * (two_photos - similarity["w"]))
    gain = similarity["guided"] - similarity["w"]
    return {
        "two_photos_id_cos": two_photos,
        "id_gain": gain,
        "id_gain_wanted": wanted,
        # If plain W is already as similar as two photos of one person, no gain is needed, but any loss fails.
        "id_gain_share": gain / wanted if wanted > 0 else float(gain >= 0),
        "pose_error_ratio": figures["guided_pose_error_deg"] / figures["w_pose_error_deg"],
        "expression_error_ratio": figures["guided_expression_error"] / figures["w_expression_error"],
        "self_reconstruction_id_gain": similarity["self_reconstruction"] - similarity["w"],
    }


def _sheet_row(
    gallery: SyntheticGallery, batch: CaseBatch, results: dict[str, tuple[Tensor, Tensor]], source: Tensor, row: int
) -> list[np.ndarray]:
    pictures = [
        gallery.photos[source[row]],
        batch.target[row],
        *(image[row] for image, _ in results.values()),
        batch.exact[row],
    ]
    return [to_uint8(picture[None].cpu())[0] for picture in pictures]
