"""Run by torchrun, or alone: python replica_worker.py RUN RECOGNIZER. Every replica trains on its share of the toy batches."""

import dataclasses
import sys
from pathlib import Path

import torch
from training_toys import ToySource, tiny_config

from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.losses import LossWeights
from styleswap_core.training.data import Batch
from styleswap_core.training.loop import Surroundings, train
from styleswap_core.training.records import RunFolder
from styleswap_core.training.replica import Replica

# Without discriminator: its minibatch statistics are taken within a process.
# Adam: the rounding that differs between one process and two stays small there; Muon raises the weakest directions.
CONFIG = tiny_config(steps=4, log_every=1, checkpoint_every=4, optimizer="adam", weights=LossWeights(adversarial=0.0, truth_identity=1.0))


class SharedSource(ToySource):
    """Some rows of the toy batches."""

    def __init__(self, rows: slice):
        super().__init__()
        self.rows = rows

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        whole = super().batch(step, source_crop)
        return Batch(**{field.name: None if getattr(whole, field.name) is None else getattr(whole, field.name)[self.rows]
                        for field in dataclasses.fields(Batch)})


if __name__ == "__main__":
    torch.set_num_threads(1)
    replica = Replica.from_environment()
    source = SharedSource(replica.share(CONFIG.batch))
    surroundings = Surroundings(source, torch.device("cpu"), TorchRecognizer(sys.argv[2]), replica=replica)
    train(CONFIG, RunFolder(Path(sys.argv[1])), surroundings)
