"""Training the detector: pictures in, an ONNX file and a report out."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...errors import StyleSwapError
from ...export.onnx_writer import export_onnx
from ...io.files import atomic_write, file_sha256
from ...training.optimizers import MuonWithAdam, set_learning_rate
from ...training.schedule import warmup_cosine
from ..mixed_precision import runs_bf16
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
    """What came of a training; `validation` has an entry per canvas size, none without a validation set."""

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
    """Train, export and measure; write the report beside the ONNX file.

    Raises:
        StyleSwapError: no pictures, unreadable ones, or a loss that is no longer finite.
    """
    if not config.pictures:
        raise StyleSwapError("expected a folder of detector pictures at least, got none; build one and name it")
    sets = [PictureSet.open(folder) for folder in config.pictures]
    validation = None if config.validation is None else PictureSet.open(config.validation)
    return fit_detector(config, sets, validation)


def fit_detector(
    config: DetectorConfig, sets: Sequence[PictureSet], validation: PictureSet | None = None
) -> DetectorReport:
    """`train_detector` on pictures already opened."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    detector = Detector().to(device=device, memory_format=torch.channels_last)
    begun = time.perf_counter()
    losses = _optimize(config, detector, sets, device)
    minutes = (time.perf_counter() - begun) / 60
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
    settings = {
        name: value for name, value in asdict(config).items() if name not in ("output", "pictures", "validation")
    }
    with atomic_write(config.output.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({"config": settings, "report": asdict(report)}, indent=2) + "\n")
    return report


def export_detector(path: str | Path, detector: Detector) -> None:
    """Write a detector as insightface wants it: one picture of any size, nine outputs."""
    shapes: dict[str, list[int | str]] = {}
    for kind, width in (("score", 1), ("box", 4), ("points", 10)):
        for stride in STRIDES:
            shapes[f"{kind}_{stride}"] = [f"anchors_{stride}", width]
    export_onnx(path, InsightfaceDetector(detector), [1, 3, "height", "width"], shapes, "styleswap face detector")


def _optimize(
    config: DetectorConfig, detector: Detector, sets: Sequence[PictureSet], device: torch.device
) -> tuple[float, float, float]:
    """Run all steps; the mean losses (score, box, points) of the last tenth."""
    detector.train()
    optimizer = MuonWithAdam(detector, config.learning_rate, (0.9, 0.99), config.matrix_learning_rate)
    warmup_steps = round(config.warmup_share * config.steps)
    generator = torch.Generator().manual_seed(config.seed)
    shares = torch.tensor([canvas.share for canvas in config.canvases])
    history = []
    progress = tqdm(range(config.steps), desc=config.output.stem, unit="step")
    for step in progress:
        canvas = config.canvases[int(torch.multinomial(shares, 1, generator=generator))]
        images, faces = compose(_suited(sets, canvas), config.scenes, canvas.batch, canvas.size, generator)
        images = normalize(corrupt(config.corruption, images, generator))
        faces, grid = faces.to(device), anchor_grid(canvas.size, canvas.size).to(device)
        images = images.to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=runs_bf16(device, config.bf16)):
            levels = detector.levels(images)
        losses = detector_losses(levels, grid, faces)
        total = (
            config.score_weight * losses.score + config.box_weight * losses.box + config.points_weight * losses.points
        )
        optimizer.zero_grad()
        total.backward()
        # One odd early batch must not throw the network off: the run is too short to recover.
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
    """RGB 0..255 -> the detector's input, as insightface feeds it."""
    return (images - 127.5) / 128


def _suited(sets: Sequence[PictureSet], canvas: Canvas) -> PictureSet:
    """The pictures whose size is nearest to the canvas: large faces on a large canvas should be sharp."""
    return min(sets, key=lambda pictures: abs(math.log(pictures.size / canvas.size)))
