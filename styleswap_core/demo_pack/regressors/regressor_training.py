"""Training of the attribute regressor on columns of the face world."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW
from tqdm import tqdm

from ...devices import choose_device
from ...errors import StyleSwapError
from ...faces.alignment import estimate_similarity
from ...io.files import require_folder_of
from ...metrics.attribute_regressors import (
    AttributeRegressor,
    Estimate,
    RegressorConfig,
    expression_error,
    gaze_error_deg,
    pose_error_deg,
    save_regressor,
)
from ...metrics.synthetic_cases import crop_pose
from ...synthetic.columns import ColumnSet
from ...synthetic.parameters import Attributes, Identities
from ...synthetic.world import five_points
from ..execution import announce_precision, place, place_batch, training_autocast

# Held-out columns: their share, and their largest number.
_VALIDATION_SHARE = 0.05
_VALIDATION_COLUMNS = 256


@dataclass(frozen=True)
class RegressorTraining:
    """Settings of a training.

    Attributes:
        steps: Optimization steps.
        minutes: Train for this long instead of `steps`; the schedule then follows the clock.
        batch: Pictures per step.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        size: Side in pixels of the regressor's input, a multiple of 32; columns of another size are resampled.
        seed: Seed of weights and batches.
        precision: Precision of the convolutions, see `devices.choose_precision`.
        device: Name of the device.
    """

    steps: int = 3000
    minutes: float | None = None
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    size: int = 128
    seed: int = 20261122
    precision: str = "auto"
    device: str = "cpu"


def train_regressors(
    columns_folder: str | Path, out: str | Path, training: RegressorTraining, progress: bool = False
) -> dict[str, float]:
    """Train on a folder of columns and write the regressor to `out`.

    With `steps`, columns and seed determine the result; with `minutes`, the speed of the machine does as well.

    Returns:
        Errors on held-out columns (pose_error_deg, expression_error, gaze_error_deg), and the number of steps.

    Raises:
        StyleSwapError: No columns in the folder, too few of them, an unknown device, or `out` cannot be written.
    """
    require_folder_of(out)
    device = choose_device(training.device)
    columns = ColumnSet(columns_folder)
    labels = column_labels(columns)
    held_out = min(_VALIDATION_COLUMNS, int(len(labels) * _VALIDATION_SHARE))
    if held_out < 1:
        raise StyleSwapError(
            f"expected at least {round(1 / _VALIDATION_SHARE)} columns in {columns_folder}, got {len(labels)}; "
            "render more with `styleswap render columns`"
        )
    learned = len(labels) - held_out
    torch.manual_seed(training.seed)
    expressions = columns.expression.shape[1]
    regressor = AttributeRegressor(RegressorConfig(size=training.size, expressions=expressions)).to(device)
    regressor.mean.copy_(labels[:learned].mean(dim=0))
    regressor.spread.copy_(labels[:learned].std(dim=0).clamp(min=1e-3))
    announce_precision(device, training.precision)
    steps = _optimize(regressor, columns, labels[:learned], training, device, progress)
    errors = validate(regressor, columns, labels, range(learned, len(labels)), device)
    save_regressor(
        out,
        regressor,
        {"training": " ".join(f"{key}={value:.4g}" for key, value in errors.items()), "domain": "synthetic"},
    )
    return {**errors, "steps": float(steps)}


def column_labels(columns: ColumnSet) -> Tensor:
    """Labels (C, 3 + E + 2): pose relative to the crop, expression, gaze.

    The crop window is the similarity transform between the points of member 0 in the full frame and in the crop.
    """
    first = Identities.from_seeds(columns.identity_seeds[:, 0].tolist())
    attributes = Attributes.from_seeds(columns.attribute_seeds.tolist())
    size = columns.images.shape[-1]
    crop_points = torch.from_numpy(np.array(columns.points[:, 0], dtype=np.float32))
    window = estimate_similarity(five_points(first, attributes, size), crop_points)
    pose = crop_pose(torch.from_numpy(np.array(columns.pose, dtype=np.float32)), window)
    rest = (torch.from_numpy(np.array(part, dtype=np.float32)) for part in (columns.expression, columns.gaze))
    return torch.cat([pose, *rest], dim=1)


@torch.no_grad()
def validate(
    regressor: AttributeRegressor, columns: ColumnSet, labels: Tensor, rows: range, device: torch.device
) -> dict[str, float]:
    """Mean errors over all members of the columns `rows`."""
    regressor.eval()
    errors: dict[str, list[Tensor]] = defaultdict(list)
    members = columns.images.shape[1]
    for row in rows:
        estimate = regressor(_pictures(columns, np.full(members, row), np.arange(members), device))
        truth = Estimate(*labels[row].to(device).expand(members, -1).split((3, labels.shape[1] - 5, 2), dim=1))
        errors["pose_error_deg"].append(pose_error_deg(estimate.pose, truth.pose))
        errors["expression_error"].append(expression_error(estimate.expression, truth.expression))
        errors["gaze_error_deg"].append(gaze_error_deg(estimate.gaze, truth.gaze))
    return {key: float(torch.cat(values).mean()) for key, values in errors.items()}


def _optimize(
    regressor: AttributeRegressor,
    columns: ColumnSet,
    labels: Tensor,
    training: RegressorTraining,
    device: torch.device,
    progress: bool,
) -> int:
    """Run the training; returns the number of steps."""
    place(regressor.train(), device)
    optimizer = AdamW(regressor.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    random = np.random.default_rng([5, training.seed])
    members = columns.images.shape[1]
    steps = 0
    for share in _shares(training, progress):
        steps += 1
        for group in optimizer.param_groups:
            # Linear warm-up in the first 3 %, then a cosine to 0.
            group["lr"] = training.learning_rate * min(share / 0.03, 0.5 + 0.5 * float(np.cos(np.pi * share)))
        rows = random.integers(len(labels), size=training.batch)
        pictures = _pictures(columns, rows, random.integers(members, size=training.batch), device)
        pictures = place_batch(_soften(pictures), device)
        target = (labels[torch.from_numpy(rows)].to(device) - regressor.mean) / regressor.spread
        with training_autocast(device, training.precision):
            estimate = regressor.standardized(pictures)
        loss = F.smooth_l1_loss(estimate.float(), target, beta=0.25)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return steps


def _shares(training: RegressorTraining, progress: bool) -> Iterator[float]:
    """For each step, the share of the training that is over, above 0 and at most 1."""
    begin = time.monotonic()
    limit = training.minutes * 60 if training.minutes is not None else None
    step = 0
    with tqdm(total=None if limit else training.steps, unit="step", desc="regressors", disable=not progress) as bar:
        while True:
            share = (time.monotonic() - begin) / limit if limit else step / training.steps
            if share >= 1:
                return
            step += 1
            yield max(share, 1e-3)
            bar.update(1)


def _pictures(columns: ColumnSet, rows: np.ndarray, members: np.ndarray, device: torch.device) -> Tensor:
    """Pictures (B, 3, S, S) in -1..1 of the columns `rows` (B,) and their `members` (B,)."""
    return torch.from_numpy(np.asarray(columns.images[rows, members])).to(device).float().mul_(2 / 255).sub_(1)


def _soften(pictures: Tensor) -> Tensor:
    """Blur the first half of the pictures, each by a random amount, at most to half their resolution.

    The regressor is used to compare swapped faces, whose softness must not be taken for an expression.
    """
    count = len(pictures) // 2
    blurred = F.interpolate(F.avg_pool2d(pictures[:count], 2), scale_factor=2, mode="bilinear", align_corners=False)
    amount = torch.rand(count, 1, 1, 1, device=pictures.device)
    return torch.cat([torch.lerp(pictures[:count], blurred, amount), pictures[count:]])
