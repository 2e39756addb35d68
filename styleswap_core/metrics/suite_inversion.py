"""The inversion suite: what Swapping-Guided ID Inversion (method.md 3.3) adds for held-out people of the face world.

Three ways to bring one source photo of a person into the same generator:
- `w`: no inversion, FC_w of the photo's embedding in every layer;
- `self_reconstruction`: `w_plus` that reconstructs the photo from its own attributes, unbound, which is the inversion
  that the paper warns of;
- `guided`: `w_plus` of the alternating optimization, with everything at its default.

People, photos, targets, judge and figures are those of the synthetic suite's aligned protocol: the judge is a second
recognizer that neither the generator nor the inversion ever asked, `id_cos_other_photo` is its cosine to a photo of the
person that nobody saw. Sources are cut at their true points. Guides come from the training split of people and
settings, and every target from the test split, so that the two never meet. Inversions start from the photo alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoints.native import load_generator
from ..faces.alignment import estimate_similarity, template_points, transform_points, warp
from ..faces.arcface import TorchRecognizer
from ..inversion import AlignedFaces, InversionSettings, optimize, render_guides
from ..io.images import from_uint8, to_uint8
from ..io.sheets import labeled_sheet
from ..model import Generator, GeneratorConfig
from . import fidelity
from .identity_similarity import cosine, eight_bit
from .streams import render_pool, stream
from .suite_synthetic import DEFAULT_SEED, Gallery, Panel, build_gallery, measure
from .synthetic_cases import CaseBatch, Runner, case_batches, draw_cases

METHODS = {
    "w": "W, no inversion",
    "self_reconstruction": "W+ by self-reconstruction alone",
    "guided": "W+ swapping-guided",
}
COLUMNS = ("source photo", "target", "W", "self-reconstruction", "swapping-guided", "exact swap")


@dataclass(frozen=True)
class InversionSuite:
    """identities people, each on `settings` targets; guided: how they are inverted; rows: of the picture sheet."""

    identities: int = 50
    settings: int = 4
    seed: int = DEFAULT_SEED
    batch: int = 16
    rows: int = 6
    guided: InversionSettings = field(default_factory=InversionSettings)

    def self_reconstruction(self) -> InversionSettings:
        """The same optimizer without guides and without bounds."""
        return InversionSettings(
            steps=self.guided.steps, seed=self.guided.seed, precision=self.guided.precision, guided=False, trust=0.0
        )


@dataclass(frozen=True)
class Files:
    """What a process that inverts loads: generator, and the recognizer that drives it with its normalization."""

    model: Path
    recognizer: Path
    normalization: tuple[float, float]
    device: str


@dataclass(frozen=True)
class InversionEvaluation:
    """figures: `METHOD_KEY` for every method and key, and what is compared; sheet: (H,W,3) uint8 or None."""

    figures: dict[str, float]
    sheet: np.ndarray | None


@torch.no_grad()
def evaluate_inversion(
    panel: Panel, generator: Generator, files: Files, suite: InversionSuite, progress: bool = False
) -> InversionEvaluation:
    """Run the suite. Deterministic in `suite` on one machine.

    Args:
        panel: its swapper is that of `w`.
        generator: what `files.model` holds, on the panel's device.

    Raises:
        StyleSwapError: more people or settings asked for than the test split holds.
    """
    cases = draw_cases(suite.identities, suite.settings, suite.seed)
    config, total = generator.config, 4 * suite.identities + len(cases)
    bar = tqdm(total=total, unit="picture", disable=not progress, desc="evaluate")
    with bar, render_pool(panel.workers) as pool:
        run = partial(stream, pool=pool, workers=panel.workers)
        gallery = build_gallery(panel, cases, suite.batch, run, bar)
        guides = render_guides(suite.guided.rendered_guides, config, suite.seed)
        found = {
            name: _invert_all(files, settings, gallery, config, guides, run, bar)
            for name, settings in (("self_reconstruction", suite.self_reconstruction()), ("guided", suite.guided))
        }
        measured: dict[str, list[Tensor]] = defaultdict(list)
        shown: list[list[np.ndarray]] = []
        parts = torch.arange(len(cases)).split(suite.batch)
        for part, batch in zip(
            parts, case_batches(cases, parts, config.size, config.template, panel.device, run), strict=True
        ):
            source = cases.source[part]
            results = _swap_all(panel, generator, batch, gallery, source, found)
            for name, (image, mask) in results.items():
                for key, values in measure(panel, batch, image, mask, gallery, source).items():
                    measured[f"{name}_{key}"].append(values.cpu())
            for row in range(len(part)):
                if int(part[row]) % suite.settings == 0 and len(shown) < suite.rows:
                    shown.append(_sheet_row(gallery, batch, results, source, row))
            bar.update(len(part))
    figures = {key: fidelity.mean_of(torch.cat(values)) for key, values in measured.items()}
    figures |= {
        f"{method}_{key}": float(values.float().mean())
        for method, columns in found.items()
        for key, values in columns.items()
        if key != "w_plus"
    }
    figures |= _comparison(figures, gallery)
    return InversionEvaluation(figures, labeled_sheet(shown, COLUMNS, cell=192) if shown else None)


def _invert_all(
    files: Files,
    settings: InversionSettings,
    gallery: Gallery,
    config: GeneratorConfig,
    guides: AlignedFaces,
    run: Runner,
    bar: tqdm,
) -> dict[str, Tensor]:
    """Everybody's inversion: w_plus (N, num_ws, w_dim), and figures (N,) of each."""
    matrix = estimate_similarity(gallery.points, template_points(config.template, config.size))
    crops, points = warp(gallery.photos, matrix, config.size), transform_points(matrix, gallery.points)
    # Arrays, not tensors: those would take shared memory on their way to another process.
    people = to_uint8(crops), points.numpy(), gallery.id_embeddings.cpu().numpy()
    call = partial(invert_person, files, settings, people, (to_uint8(guides.crops), guides.points.numpy()))
    columns: dict[str, list[Tensor]] = defaultdict(list)
    for part in run(call, torch.arange(len(gallery.photos)).split(1)):
        for key, value in part.items():
            columns[key].append(value)
        bar.update(1)
    return {key: torch.cat(values) for key, values in columns.items()}


def invert_person(
    files: Files, settings: InversionSettings, people: Sequence[np.ndarray], guides: Sequence[np.ndarray], row: Tensor
) -> dict[str, Tensor]:
    """One person's inversion, in whatever process.

    Args:
        people: crops (N, S, S, 3) uint8, points (N, 5, 2), embeddings (N, 512); guides: crops and points.
        row: (1,) which of the people.

    Returns:
        w_plus (1, num_ws, w_dim), and (1,) each of distance, best_step, steps, seconds.
    """
    device, person = torch.device(files.device), int(row)
    generator = load_generator(files.model)[0].eval().to(device)
    recognizer = TorchRecognizer(files.recognizer, files.normalization).to(device)
    crops, points, embeddings = people
    source = AlignedFaces(from_uint8(crops[person]), torch.from_numpy(points[person : person + 1]))
    others = AlignedFaces(from_uint8(guides[0]), torch.from_numpy(guides[1]))
    # The suite around it measures, and needs none.
    with torch.enable_grad():
        outcome = optimize(generator, recognizer, source, torch.from_numpy(embeddings[person]), others, settings)
    figures = {
        "distance": outcome.distance,
        "best_step": float(outcome.best_step),
        "steps": float(outcome.steps_done),
        "seconds": outcome.seconds,
    }
    return {"w_plus": outcome.w_plus[None], **{key: torch.tensor([value]) for key, value in figures.items()}}


def _swap_all(
    panel: Panel,
    generator: Generator,
    batch: CaseBatch,
    gallery: Gallery,
    source: Tensor,
    found: dict[str, dict[str, Tensor]],
) -> dict[str, tuple[Tensor, Tensor]]:
    """Result of 8-bit values and mask of every method."""
    image, mask, _ = panel.swapper(batch, gallery.id_embeddings[source])
    results, attributes = {"w": (image, mask)}, generator.encode(batch.target)
    for name, columns in found.items():
        output = generator.synthesis(columns["w_plus"][source].to(panel.device), attributes, batch.target)
        results[name] = (eight_bit(output.image), output.mask)
    return results


def _comparison(figures: dict[str, float], gallery: Gallery) -> dict[str, float]:
    """The figures that the bounds are on; likeness is that to the photo that nobody saw."""
    likeness = {name: figures[f"{name}_id_cos_other_photo"] for name in METHODS}
    two_photos = fidelity.mean_of(cosine(gallery.source, gallery.other))
    wanted = min(0.05, 0.5 * (two_photos - likeness["w"]))
    gain = likeness["guided"] - likeness["w"]
    return {
        "two_photos_id_cos": two_photos,
        "id_gain": gain,
        "id_gain_wanted": wanted,
        # Where nothing is missing to two photos of one person, any loss is too much and nothing need be gained.
        "id_gain_share": gain / wanted if wanted > 0 else float(gain >= 0),
        "pose_error_ratio": figures["guided_pose_error_deg"] / figures["w_pose_error_deg"],
        "expression_error_ratio": figures["guided_expression_error"] / figures["w_expression_error"],
        "self_reconstruction_id_gain": likeness["self_reconstruction"] - likeness["w"],
    }


def _sheet_row(
    gallery: Gallery, batch: CaseBatch, results: dict[str, tuple[Tensor, Tensor]], source: Tensor, row: int
) -> list[np.ndarray]:
    pictures = [
        gallery.photos[source[row]],
        batch.target[row],
        *(image[row] for image, _ in results.values()),
        batch.exact[row],
    ]
    return [to_uint8(picture[None].cpu())[0] for picture in pictures]
