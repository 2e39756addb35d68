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

from ...errors import StyleSwapError
from ...faces.alignment import estimate_similarity
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
from ..mixed_precision import runs_bf16

# Columns kept away from training, to state the error: a share, and at most so many.
VALIDATION_SHARE = 0.05
VALIDATION_COLUMNS = 256


@dataclass(frozen=True)
class RegressorTraining:
    """`steps` ends the training; with `minutes` the clock ends it instead and the schedule follows the clock.

    size: side of the pictures that the regressor reads, px, a multiple of 32; columns of another size are resampled.
    """

    steps: int = 3000
    minutes: float | None = None
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    size: int = 128
    seed: int = 20261122
    bf16: bool | None = None  # None: where the hardware has instructions for it


def train_regressors(
    columns_folder: str | Path,
    out: str | Path,
    training: RegressorTraining = RegressorTraining(),
    device: torch.device = torch.device("cpu"),
    progress: bool = False,
) -> dict[str, float]:
    """Train on a folder of columns and write the regressor to `out`.

    With `steps` the result is a function of the columns and the seed; with `minutes` also of the machine's speed.

    Returns:
        the errors on columns kept away: pose_error_deg, expression_error, gaze_error_deg, and the number of steps.

    Raises:
        StyleSwapError: no columns in the folder, too few of them, or `out` cannot be written.
    """
    if not Path(out).parent.is_dir():
        raise StyleSwapError(f"cannot write {out}: the folder {Path(out).parent} does not exist; create it first")
    columns = ColumnSet(columns_folder)
    labels = column_labels(columns)
    held = min(VALIDATION_COLUMNS, int(len(labels) * VALIDATION_SHARE))
    if held < 1:
        raise StyleSwapError(
            f"expected at least {round(1 / VALIDATION_SHARE)} columns in {columns_folder}, got "
            f"{len(labels)}; build more with `styleswap render columns`"
        )
    learned = len(labels) - held
    torch.manual_seed(training.seed)
    expressions = columns.expression.shape[1]
    regressor = AttributeRegressor(RegressorConfig(size=training.size, expressions=expressions)).to(device)
    regressor.mean.copy_(labels[:learned].mean(dim=0))
    regressor.spread.copy_(labels[:learned].std(dim=0).clamp(min=1e-3))
    steps = _optimize(regressor, columns, labels[:learned], training, device, progress)
    errors = validate(regressor, columns, labels, range(learned, len(labels)), device)
    save_regressor(
        out,
        regressor,
        {"training": " ".join(f"{key}={value:.4g}" for key, value in errors.items()), "domain": "synthetic"},
    )
    return {**errors, "steps": float(steps)}


def column_labels(columns: ColumnSet) -> Tensor:
    """(C, 3 + E + 2): pose as seen in the column's window, expression, gaze.

    The window is found again from member 0's points, in the whole picture and in the crop: it is the similarity
    between them.
    """
    first = Identities.from_seeds(np.asarray(columns.identity_seeds)[:, 0].tolist())
    attributes = Attributes.from_seeds(np.asarray(columns.attribute_seeds).tolist())
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
    found: dict[str, list[Tensor]] = defaultdict(list)
    members = columns.images.shape[1]
    for row in rows:
        estimate = regressor(_pictures(columns, np.full(members, row), np.arange(members), device))
        truth = Estimate(*labels[row].to(device).expand(members, -1).split((3, labels.shape[1] - 5, 2), dim=1))
        found["pose_error_deg"].append(pose_error_deg(estimate.pose, truth.pose))
        found["expression_error"].append(expression_error(estimate.expression, truth.expression))
        found["gaze_error_deg"].append(gaze_error_deg(estimate.gaze, truth.gaze))
    return {key: float(torch.cat(values).mean()) for key, values in found.items()}


def _optimize(
    regressor: AttributeRegressor,
    columns: ColumnSet,
    labels: Tensor,
    training: RegressorTraining,
    device: torch.device,
    progress: bool,
) -> int:
    regressor.train().to(memory_format=torch.channels_last)
    optimizer = AdamW(regressor.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    random = np.random.default_rng([5, training.seed])
    members = columns.images.shape[1]
    done = 0
    for done, share in _schedule(training, progress):
        for group in optimizer.param_groups:
            # Linear warm-up over the first 3 %, then a cosine to 0.
            group["lr"] = training.learning_rate * min(share / 0.03, 0.5 + 0.5 * float(np.cos(np.pi * share)))
        rows = random.integers(len(labels), size=training.batch)
        pictures = _soften(_pictures(columns, rows, random.integers(members, size=training.batch), device))
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        wanted = (labels[torch.from_numpy(rows)].to(device) - regressor.mean) / regressor.spread
        with torch.autocast(device.type, torch.bfloat16, enabled=runs_bf16(device, training.bf16)):
            found = regressor.standardized(pictures)
        loss = F.smooth_l1_loss(found.float(), wanted, beta=0.25)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return done


def _schedule(training: RegressorTraining, progress: bool) -> Iterator[tuple[int, float]]:
    """(step from 1, share of the training that is over, above 0 and at most 1)."""
    begin = time.monotonic()
    limit = training.minutes * 60 if training.minutes is not None else None
    step = 0
    with tqdm(total=None if limit else training.steps, unit="step", desc="regressors", disable=not progress) as bar:
        while True:
            share = (time.monotonic() - begin) / limit if limit else step / training.steps
            if share >= 1:
                return
            step += 1
            yield step, max(share, 1e-3)
            bar.update(1)


def _pictures(columns: ColumnSet, rows: np.ndarray, members: np.ndarray, device: torch.device) -> Tensor:
    # (B,3,S,S) uint8 -> -1..1
    return torch.from_numpy(np.asarray(columns.images[rows, members])).to(device).float().mul_(2 / 255).sub_(1)


def _soften(pictures: Tensor) -> Tensor:
    """Blur half of the pictures, each by its own amount, up to what half the resolution would leave.

    The regressor judges swaps, and must not take softness for an expression.
    """
    count = len(pictures) // 2
    blurred = F.interpolate(F.avg_pool2d(pictures[:count], 2), scale_factor=2, mode="bilinear", align_corners=False)
    amount = torch.rand(count, 1, 1, 1, device=pictures.device)
    return torch.cat([torch.lerp(pictures[:count], blurred, amount), pictures[count:]])
