"""Settings of a recognizer's training, and those of the judge."""

from dataclasses import dataclass, field
from pathlib import Path

from .recognizer_augmentation import CropAugmentation


@dataclass(frozen=True)
class RecognizerConfig:
    """Everything that determines a recognizer.

    Attributes:
        output: ONNX file to write; a report with the suffix `.json` is written beside it.
        columns: Folders of training columns. Those of 112 px are recognizer crops already (rendered through
            `recognizer_window`); others are aligned by their points.
        validation: Folder of columns with unseen people; None skips the evaluation.
        identity_range: Train only on identity seeds with first <= seed < last; None takes all.
        architecture: "residual" or "plain".
        loss: "arcface" or "cosface".
        margin: Margin of the loss: an angle in radians for ArcFace, a cosine for CosFace.
        scale: Scale of the cosines in the softmax.
        identity_weight: Weight of the regression of identity parameters; 0 disables it.
        batch: Pictures per step.
        steps: Optimization steps.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        warmup_share: Share of the steps in which the learning rate rises.
        margin_share: Share of the steps in which the margin rises to its value.
        augmentation: Augmentation of the crops.
        seed: Seed of weights, batches and augmentation.
        precision: Precision of the convolutions, see `devices.choose_precision`.
        threads: CPU threads of torch; None keeps torch's own choice.
        device: Name of the device.
    """

    output: Path
    columns: tuple[Path, ...] = ()
    validation: Path | None = None
    identity_range: tuple[int, int] | None = None
    architecture: str = "residual"
    loss: str = "arcface"
    margin: float = 0.35  # small, since people are many and the embedding also serves the regression
    scale: float = 32.0  # ArcFace's 64 suits millions of pictures; with few, it makes gradients too large
    identity_weight: float = 2.0
    batch: int = 128
    steps: int = 3000
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.08
    margin_share: float = 0.2
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    seed: int = 1
    precision: str = "auto"
    threads: int | None = None
    device: str = "cpu"


def judge_config(output: Path) -> RecognizerConfig:
    """Settings of the judge, the recognizer used for evaluation only.

    Architecture, loss, seed and augmentation differ from those of the demo recognizer, and there is no regression. Give
    it another `identity_range` too.
    """
    return RecognizerConfig(
        output=output,
        architecture="plain",
        loss="cosface",
        margin=0.25,
        scale=30.0,
        identity_weight=0.0,
        seed=1009,
        augmentation=CropAugmentation(
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
    )
