"""Training of the detector: from folders of pictures to an ONNX file and a report."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...devices import choose_device
from ...errors import StyleSwapError
from ...export.onnx_writer import export_onnx
from ...io.files import file_sha256
from ...training.optimizers import MuonWithAdam, set_learning_rate
from ...training.schedule import warmup_cosine
from ..execution import announce_precision, place, place_batch, training_autocast
from ..training_report import write_report
from .anchors import STRIDES, anchor_grid
from .corruption import corrupt
from .detector_config import Canvas, DetectorConfig
from .detector_evaluation import DetectionFigures, evaluate_detector
from .detector_losses import detector_losses
from .detector_network import Detector, InsightfaceDetector
from .pictures import PictureSet
from .scenes import compose


@dataclass(frozen=True)
class DetectorReport:
    """Result of a training.

    Attributes:
        sha256: SHA-256 of the ONNX file.
        parameters: Number of parameters.
        pictures: Number of training pictures.
        steps: Optimization steps.
        minutes: Duration of the optimization.
        score_loss: Mean of the last tenth of the steps.
        box_loss: Mean of the last tenth of the steps.
        points_loss: Mean of the last tenth of the steps.
        validation: Figures per canvas size; empty without a validation set.
    """

    sha256: str
    parameters: int
    pictures: int
    steps: int
    minutes: float
    score_loss: float
    box_loss: float
    points_loss: float
    validation: list[DetectionFigures]


def train_detector(config: DetectorConfig) -> DetectorReport:
    """Train a detector, export and evaluate it, and write the report beside the ONNX file.

    Raises:
        StyleSwapError: No pictures, unreadable ones, or a loss that is no longer finite.
    """
    if not config.pictures:
        raise StyleSwapError("expected at least one folder of pictures, got none; render one and name it")
    sets = [PictureSet.open(folder) for folder in config.pictures]
    validation = None if config.validation is None else PictureSet.open(config.validation)
    return fit_detector(config, sets, validation)


def fit_detector(
    config: DetectorConfig, sets: Sequence[PictureSet], validation: PictureSet | None = None
) -> DetectorReport:
    """As `train_detector`, on pictures that are already in memory."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    device = choose_device(config.device)
    detector = Detector()
    place(detector, device)
    announce_precision(device, config.precision)
    begin = time.perf_counter()
    losses = _optimize(config, detector, sets, device)
    minutes = (time.perf_counter() - begin) / 60
    export_detector(config.output, detector.cpu())
    figures = []
    if validation is not None:
        figures = [
            evaluate_detector(config.output, validation, canvas, config.evaluation_scenes)
            for canvas in config.evaluation_canvases
        ]
    report = DetectorReport(
        sha256=file_sha256(config.output),
        parameters=sum(parameter.numel() for parameter in detector.parameters()),
        pictures=sum(len(pictures) for pictures in sets),
        steps=config.steps,
        minutes=round(minutes, 2),
        score_loss=losses[0],
        box_loss=losses[1],
        points_loss=losses[2],
        validation=figures,
    )
    write_report(config.output, asdict(config), asdict(report), omit=("output", "pictures", "validation"))
    return report


def export_detector(path: str | Path, detector: Detector) -> None:
    """Write a detector as the ONNX file that insightface expects: one picture of any size, nine outputs."""
    shapes: dict[str, list[int | str]] = {}
    for kind, width in (("score", 1), ("box", 4), ("points", 10)):
        for stride in STRIDES:
            shapes[f"{kind}_{stride}"] = [f"anchors_{stride}", width]
    export_onnx(path, InsightfaceDetector(detector), [1, 3, "height", "width"], shapes, "styleswap face detector")


def _optimize(
    config: DetectorConfig, detector: Detector, sets: Sequence[PictureSet], device: torch.device
) -> tuple[float, float, float]:
    """Run all steps; returns the mean losses (score, box, points) of the last tenth of them."""
    detector.train()
    optimizer = MuonWithAdam(detector, config.learning_rate, (0.9, 0.99), config.matrix_learning_rate)
    warmup_steps = round(config.warmup_share * config.steps)
    generator = torch.Generator().manual_seed(config.seed)
    shares = torch.tensor([canvas.share for canvas in config.canvases])
    history = []
    progress = tqdm(range(config.steps), desc=config.output.stem, unit="step")
    for step in progress:
        canvas = config.canvases[int(torch.multinomial(shares, 1, generator=generator))]
        images, faces = compose(_closest(sets, canvas), config.scenes, canvas.batch, canvas.size, generator)
        images = place_batch(normalize(corrupt(config.corruption, images, generator)), device)
        with training_autocast(device, config.precision):
            levels = detector.levels(images)
        losses = detector_losses(levels, anchor_grid(canvas.size, canvas.size).to(device), faces.to(device))
        total = (
            config.score_weight * losses.score + config.box_weight * losses.box + config.points_weight * losses.points
        )
        optimizer.zero_grad()
        total.backward()
        # A single extreme batch would do lasting damage in a training this short.
        nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
        set_learning_rate(optimizer, warmup_cosine(step, config.steps, warmup_steps))
        optimizer.step()
        history.append([float(losses.score.detach()), float(losses.box.detach()), float(losses.points.detach())])
        if not np.isfinite(history[-1]).all():
            raise StyleSwapError(
                f"training diverged at step {step}: a loss is no longer finite; lower the learning rate"
            )
        if step % 20 == 0:
            score, box, points = np.mean(history[-20:], axis=0)
            progress.set_postfix(score=f"{score:.3f}", box=f"{box:.3f}", points=f"{points:.4f}")
    score, box, points = np.mean(history[-max(1, config.steps // 10) :], axis=0).tolist()
    return score, box, points


def normalize(images: Tensor) -> Tensor:
    """Input of the detector for RGB images in 0..255, normalized as by insightface."""
    return (images - 127.5) / 128


def _closest(sets: Sequence[PictureSet], canvas: Canvas) -> PictureSet:
    """The set whose picture size is closest to the canvas: large faces on a large canvas should be sharp."""
    return min(sets, key=lambda pictures: abs(math.log(pictures.size / canvas.size)))
