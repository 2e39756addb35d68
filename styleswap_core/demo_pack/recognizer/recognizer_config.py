"""Settings of a recognizer's training, and the two trainings the demo pack needs."""

from dataclasses import dataclass, field
from pathlib import Path

from .recognizer_augmentation import CropAugmentation


@dataclass(frozen=True)
class RecognizerConfig:
    """All that determines a recognizer.

    output: the ONNX file; a report of the same name with `.json` is written beside it.
    columns: folders of `synthetic.columns` to learn from; those of 112 px are taken for recognizer crops
        (rendered through `recognizer_window`), larger ones are aligned by their points.
    validation: such a folder of the validation split; None skips the figures.
    identity_range: only people with first <= seed < last are learned; None learns all.
    """

    output: Path
    columns: tuple[Path, ...] = ()
    validation: Path | None = None
    identity_range: tuple[int, int] | None = None
    architecture: str = "residual"  # or "plain"
    loss: str = "arcface"  # or "cosface"
    margin: float = 0.35  # radians; small, since the world's people are many and the embedding also serves regression
    scale: float = 32.0  # ArcFace's 64 suits millions of pictures; with few it only makes gradients harsh
    identity_weight: float = 2.0  # of the regression of the identity parameters; 0 leaves it out
    batch: int = 128
    steps: int = 3000
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.08  # of the steps, for the learning rate
    margin_share: float = 0.2  # of the steps, over which the margin grows to its value
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    seed: int = 1
    bf16: bool | None = None  # None: where the hardware has instructions for it
    threads: int | None = None  # None leaves torch's own choice
    device: str = "cpu"


def judge_config(output: Path, **changes: object) -> RecognizerConfig:
    """The recognizer that only judges: another architecture, loss, seed and augmentation, and no regression.

    Give it another `identity_range` than the recognizer of the loss has.
    """
    settings: dict[str, object] = {
        "architecture": "plain",
        "loss": "cosface",
        "margin": 0.25,
        "scale": 30.0,
        "identity_weight": 0.0,
        "seed": 1009,
        "augmentation": CropAugmentation(
            jitter_share=1.0,
            shift=1.0,
            scale=0.02,
            rotation=1.5,
            low_resolution_share=0.35,
            low_resolution=0.45,
            brightness=0.06,
            contrast=0.25,
            tint=0.07,
            noise_share=0.35,
            noise=0.04,
            erase_share=0.0,
        ),
    }
    return RecognizerConfig(output=output, **(settings | changes))
