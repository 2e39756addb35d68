"""Training of a recognizer: from folders of columns to an ONNX file and a report."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ...devices import choose_device
from ...errors import StyleSwapError
from ...export.onnx_writer import export_onnx
from ...io.files import file_sha256
from ...synthetic.parameters import IDENTITY_NAMES, Identities
from ..execution import announce_precision, place, place_batch, training_autocast
from ..training_report import write_report
from .margin_loss import IdentityRegression, MarginLoss
from .recognizer_augmentation import augment, jitter_matrices
from .recognizer_config import RecognizerConfig
from .recognizer_data import RecognizerData, column_source
from .recognizer_network import CROP_SIZE, EMBEDDING_SIZE, PlainRecognizer, ResidualRecognizer
from .verification import embed, explained_variance, verification

ARCHITECTURES: dict[str, type[nn.Module]] = {"residual": ResidualRecognizer, "plain": PlainRecognizer}


@dataclass(frozen=True)
class RecognizerReport:
    """Result of a training; figures of unseen people are None without a validation set.

    Attributes:
        sha256: SHA-256 of the ONNX file.
        parameters: Number of parameters.
        pictures: Number of training pictures.
        identities: Number of training identities.
        steps: Optimization steps.
        minutes: Duration of the optimization.
        loss: Mean of the last tenth of the steps.
        verification_accuracy: See `Verification`, as for the next four.
        tar_at_far_1e3: See `Verification`.
        genuine_mean: See `Verification`.
        impostor_mean: See `Verification`.
        impostor_std: See `Verification`.
        identity_r2_mean: Mean of `identity_r2`.
        identity_r2: Share of the variance of each identity parameter that the embedding explains linearly.
    """

    sha256: str
    parameters: int
    pictures: int
    identities: int
    steps: int
    minutes: float
    loss: float
    verification_accuracy: float | None = None
    tar_at_far_1e3: float | None = None
    genuine_mean: float | None = None
    impostor_mean: float | None = None
    impostor_std: float | None = None
    identity_r2_mean: float | None = None
    identity_r2: dict[str, float] | None = None


@dataclass
class _Learner:
    """A recognizer and the losses that have parameters of their own."""

    network: nn.Module
    margin_loss: MarginLoss
    regression: IdentityRegression | None

    def modules(self) -> nn.ModuleList:
        """Everything that is trained."""
        return nn.ModuleList([m for m in (self.network, self.margin_loss, self.regression) if m is not None])


def train_recognizer(config: RecognizerConfig) -> RecognizerReport:
    """Train a recognizer, export and evaluate it, and write the report beside the ONNX file.

    Raises:
        StyleSwapError: No data, unreadable data, an unknown architecture, or a validation set that is too small.
    """
    data = RecognizerData([column_source(folder) for folder in config.columns], config.identity_range)
    validation = None if config.validation is None else RecognizerData([column_source(config.validation)])
    return fit_recognizer(config, data, validation)


def fit_recognizer(
    config: RecognizerConfig, data: RecognizerData, validation: RecognizerData | None = None
) -> RecognizerReport:
    """As `train_recognizer`, on data that are already open."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    device = choose_device(config.device)
    learner = _build(config, len(data.identity_seeds))
    place(learner.modules(), device)
    announce_precision(device, config.precision)
    begin = time.perf_counter()
    loss = _optimize(config, learner, data, device)
    minutes = (time.perf_counter() - begin) / 60
    learner.modules().float().cpu()
    export_recognizer(config.output, learner.network, description=f"styleswap face recognizer, {config.loss}")
    report = RecognizerReport(
        sha256=file_sha256(config.output),
        parameters=sum(parameter.numel() for parameter in learner.network.parameters()),
        pictures=len(data),
        identities=len(data.identity_seeds),
        steps=config.steps,
        minutes=round(minutes, 2),
        loss=loss,
    )
    if validation is not None:
        report = _evaluate(report, learner, validation)
    write_report(config.output, asdict(config), asdict(report), omit=("output", "columns", "validation"))
    return report


def export_recognizer(path: str | Path, network: nn.Module, description: str = "") -> None:
    """Write a recognizer as the ONNX file that insightface expects: an input of 112 px, an output (batch, 512)."""
    export_onnx(
        path,
        network,
        ["batch", 3, CROP_SIZE, CROP_SIZE],
        {"embedding": ["batch", EMBEDDING_SIZE]},
        description,
    )


def _build(config: RecognizerConfig, identities: int) -> _Learner:
    if config.architecture not in ARCHITECTURES:
        raise StyleSwapError(f"expected an architecture out of {', '.join(ARCHITECTURES)}, got {config.architecture!r}")
    regression = IdentityRegression(len(IDENTITY_NAMES)) if config.identity_weight > 0 else None
    margin_loss = MarginLoss(identities, config.loss, config.margin, config.scale)
    return _Learner(ARCHITECTURES[config.architecture](), margin_loss, regression)


def _optimize(config: RecognizerConfig, learner: _Learner, data: RecognizerData, device: torch.device) -> float:
    """Run all steps; returns the mean loss of the last tenth of them."""
    modules = learner.modules().train()
    optimizer = torch.optim.AdamW(_parameter_groups(modules, config.weight_decay), config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=config.warmup_share, cycle_momentum=False
    )
    values = Identities.from_seeds(data.identity_seeds.tolist()).values.to(device)
    generator = torch.Generator().manual_seed(config.seed)
    batches = data.batches(config.steps, config.batch, np.random.default_rng(config.seed))
    losses = []
    progress = tqdm(batches, total=config.steps, desc=config.output.stem, unit="step")
    for step, index in enumerate(progress):
        crops, labels = data.crops(index, jitter_matrices(config.augmentation, len(index), generator))
        crops = place_batch(augment(config.augmentation, crops, generator), device)
        labels = labels.to(device)
        with training_autocast(device, config.precision):
            embedding = learner.network(crops)
        id_embedding = F.normalize(embedding.float(), dim=1)
        margin_factor = min(1.0, step / max(1.0, config.margin_share * config.steps))
        loss = learner.margin_loss(id_embedding, labels, margin_factor)
        if learner.regression is not None:
            loss = loss + config.identity_weight * learner.regression.loss(id_embedding, values[labels])
        optimizer.zero_grad()
        loss.backward()
        # A single extreme batch would do lasting damage in a training this short.
        nn.utils.clip_grad_norm_(modules.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            progress.set_postfix(loss=f"{np.mean(losses[-20:]):.3f}")
    return float(np.mean(losses[-max(1, config.steps // 10) :]))


def _parameter_groups(modules: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Groups of AdamW: weight decay applies to weights, not to biases, norms and slopes."""
    parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _evaluate(report: RecognizerReport, learner: _Learner, validation: RecognizerData) -> RecognizerReport:
    """The report with the figures of unseen people."""
    id_embedding, labels = embed(learner.network, validation)
    figures = verification(id_embedding, labels)
    report = replace(
        report,
        verification_accuracy=figures.accuracy,
        tar_at_far_1e3=figures.tar_at_far_1e3,
        genuine_mean=figures.genuine_mean,
        impostor_mean=figures.impostor_mean,
        impostor_std=figures.impostor_std,
    )
    if learner.regression is None:
        return report
    values = Identities.from_seeds(validation.identity_seeds.tolist()).values[labels]
    explained = explained_variance(learner.regression(id_embedding), values)
    return replace(
        report,
        identity_r2_mean=float(explained.mean()),
        identity_r2={name: round(float(value), 3) for name, value in zip(IDENTITY_NAMES, explained, strict=True)},
    )
