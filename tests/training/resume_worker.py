"""Training for tests that kill it."""

import dataclasses
from pathlib import Path

import torch
from training_toys import ToySource, tiny_config

from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_loop import RunContext, train

# Independent of the number of steps, since the killed runs do not reach theirs.
CONFIG = tiny_config(steps=5000, schedule="constant", checkpoint_every=4, sample_every=12, log_every=2, sample_images=2)


def run(words):
    """Train in a run folder with a recognizer, for a number of steps if one is given."""
    torch.set_num_threads(1)
    config = dataclasses.replace(CONFIG, steps=int(words[2]) if len(words) > 2 else CONFIG.steps)
    train(config, RunFolder(Path(words[0])), RunContext(ToySource(), torch.device("cpu"), TorchRecognizer(words[1])))
