"""Settings of the detector's training."""

from dataclasses import dataclass, field
from pathlib import Path

from .corruption import CorruptionConfig
from .scenes import SceneConfig


@dataclass(frozen=True)
class Canvas:
    """Scenes of one size: side in px (a multiple of 32), scenes per step, and how often, relative to the others."""

    size: int
    batch: int
    share: float


@dataclass(frozen=True)
class DetectorConfig:
    """All that determines a detector.

    output: the ONNX file; a report of the same name with `.json` is written beside it.
    pictures: folders of full-frame columns (`synthetic.columns`, `align=None`); of several, each step
        takes the one whose pictures suit its canvas.
    validation: such a folder of the validation split; None skips the figures.
    """

    output: Path
    pictures: tuple[Path, ...] = ()
    validation: Path | None = None
    # insightface runs 128 and 640 px. One network looks at all scales, so most of the learning happens where it is
    # cheap; 640 px brings faces too large for the smaller canvases and much background. All cost about the same.
    canvases: tuple[Canvas, ...] = (
        Canvas(128, 48, 0.3),
        Canvas(256, 14, 0.4),
        Canvas(384, 6, 0.15),
        Canvas(640, 2, 0.15),
    )
    steps: int = 3000
    learning_rate: float = 4e-3  # of Adam, which trains biases and norms
    matrix_learning_rate: float = 0.02  # of Muon, which trains the convolutions
    warmup_share: float = 0.06  # of the steps
    score_weight: float = 1.0
    box_weight: float = 1.0
    points_weight: float = 30.0  # crops hang on the points; their loss is a share of the face's size, hence small
    scenes: SceneConfig = field(default_factory=SceneConfig)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    evaluation_canvases: tuple[int, ...] = (128, 320, 640)
    evaluation_scenes: int = 200
    seed: int = 1
    bf16: bool | None = None  # None: where the hardware has instructions for it
    threads: int | None = None  # None leaves torch's own choice
    device: str = "cpu"
