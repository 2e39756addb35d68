"""One process of a training run on toy batches: python process_group_worker.py RUN RECOGNIZER [FIELD=VALUE ...]

Started by torchrun, forked with torchrun's variables set, or alone. Writes pid_RANK and weights_RANK.pt beside RUN.
With UNEQUAL=1 in the environment, all but the main process round differently; drift_RANK then holds the largest
difference to the main process's weights before synchronization.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from training_toys import ToySource, tiny_config

from styleswap_core.cli import EXIT_BAD_INPUT
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.losses import LossWeights
from styleswap_core.training.batches import Batch
from styleswap_core.training.process_group import ProcessGroup
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_config import config_from_dict, config_to_dict, override
from styleswap_core.training.training_loop import RunContext, train

# Everything that depends on several rows at once or draws random numbers, all within the first steps. The optimizer is
# Adam, with which rounding differences between one process and two stay small; Muon amplifies the weakest directions.
CONFIG = tiny_config(
    steps=6,
    batch=8,
    optimizer="adam",
    schedule="constant",
    log_every=1,
    checkpoint_every=3,
    adversarial_start=1,
    adversarial_ramp=0,
    r1_interval=2,
    recognizer_rows=4,
    exact_swap=False,
    back_translated_share=0.25,
    back_translation_start=2,
    occluded_share=0.25,
    consistency_share=0.25,
    consistency_start=1,
    augment="ada",
    augment_probability=0.5,
    augment_ramp_images=200.0,
    weights=LossWeights(feature_matching=1.0, truth_identity=1.0, mask_levels=0.1),
)


class SharedSource(ToySource):
    """Some rows of the toy batches."""

    def __init__(self, batch: int, exact_swap: bool, rows: slice):
        super().__init__(batch=batch, exact_swap=exact_swap)
        self.rows = rows

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        return super().batch(step, source_crop).rows(self.rows)


class UnequalProcessGroup(ProcessGroup):
    """Processes that round differently, a thousand times more than real ones do."""

    def average_gradients(self, parameters: Iterable[nn.Parameter], metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        parameters = list(parameters)
        means = super().average_gradients(parameters, metrics)
        for parameter in parameters:
            if parameter.grad is not None and not self.is_main:
                parameter.grad.mul_(1 + 1e-4 * torch.randn_like(parameter.grad))
        return means

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        tensors = list(tensors)
        before = [tensor.clone() for tensor in tensors]
        super().broadcast(tensors)
        drift = max(float((a - b).abs().max()) for a, b in zip(tensors, before, strict=True) if a.is_floating_point())
        Path(sys.argv[1]).with_name(f"drift_{self.rank}").write_text(str(drift))


def main(run: Path, recognizer: str, settings: list[str]) -> None:
    process_group = ProcessGroup.from_environment("cpu")
    if os.environ.get("UNEQUAL"):
        process_group = UnequalProcessGroup(process_group.rank, process_group.world_size, process_group.device)
    run.with_name(f"pid_{process_group.rank}").write_text(str(os.getpid()))
    config = config_from_dict(override(config_to_dict(CONFIG), settings))
    source = SharedSource(config.batch, config.exact_swap, process_group.rows(config.batch))
    context = RunContext(source, torch.device("cpu"), TorchRecognizer(recognizer), process_group=process_group)
    state = train(config, RunFolder(run), context)
    torch.save(state.tensors(), run.with_name(f"weights_{process_group.rank}.pt"))
    process_group.leave()


def run(words: list[str]) -> int:
    """Train; returns the exit code."""
    torch.set_num_threads(1)
    folder, recognizer, *settings = words
    try:
        main(Path(folder), recognizer, settings)
    except StyleSwapError as error:
        print(f"worker: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
