"""Settings of the detector's training."""

from dataclasses import dataclass, field
from pathlib import Path

from .corruption import CorruptionConfig
from .scenes import SceneConfig


@dataclass(frozen=True)
class Canvas:
    """Scenes of one size.

    Attributes:
        size: Side in pixels, a multiple of 32.
        batch: Scenes per step.
        share: Relative frequency of steps with this canvas.
    """

    size: int
    batch: int
    share: float


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that determines a detector.

    Attributes:
        output: ONNX file to write; a report with the suffix `.json` is written beside it.
        pictures: Folders of full-frame columns; each step takes the one whose picture size is closest to its canvas.
        validation: Folder of full-frame columns with unseen people; None skips the evaluation.
        canvases: Sizes of the training scenes.
        steps: Optimization steps.
        learning_rate: Of Adam, which trains biases and norms.
        matrix_learning_rate: Of Muon, which trains the convolutions.
        warmup_share: Share of the steps in which the learning rates rise.
        score_weight: Weight of the score loss.
        box_weight: Weight of the box loss.
        points_weight: Weight of the point loss.
        scenes: Composition of the scenes.
        corruption: Corruption of the scenes.
        evaluation_canvases: Sizes in pixels at which insightface detects in the evaluation.
        evaluation_scenes: Scenes per size.
        seed: Seed of weights, scenes and corruption.
        precision: Precision of the convolutions, see `devices.choose_precision`.
        threads: CPU threads of torch; None keeps torch's own choice.
        device: Name of the device.
    """

    output: Path
    pictures: tuple[Path, ...] = ()
    validation: Path | None = None
    # insightface detects at 128 and 640 px. One network serves all scales, so most is learned where it is cheap; 640 px
    # adds faces too large for the smaller canvases and much background. A step costs about the same on each canvas.
    canvases: tuple[Canvas, ...] = (
        Canvas(128, 48, 0.3),
        Canvas(256, 14, 0.4),
        Canvas(384, 6, 0.15),
        Canvas(640, 2, 0.15),
    )
    steps: int = 3000
    learning_rate: float = 4e-3
    matrix_learning_rate: float = 0.02
    warmup_share: float = 0.06
    score_weight: float = 1.0
    box_weight: float = 1.0
    points_weight: float = 30.0  # aligned crops depend on the points; as a share of the face size, their loss is small
    scenes: SceneConfig = field(default_factory=SceneConfig)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    evaluation_canvases: tuple[int, ...] = (128, 320, 640)
    evaluation_scenes: int = 200
    seed: int = 1
    precision: str = "auto"
    threads: int | None = None
    device: str = "cpu"
