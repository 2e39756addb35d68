"""Training process for tests that kill it: python resume_worker.py RUN RECOGNIZER [STEPS]"""

import dataclasses
import sys
from pathlib import Path

import torch
from training_toys import ToySource, tiny_config

from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_loop import RunContext, train

# Independent of the number of steps, since the killed runs do not reach theirs.
CONFIG = tiny_config(steps=5000, schedule="constant", checkpoint_every=4, sample_every=40, log_every=2, sample_images=2)

if __name__ == "__main__":
    torch.set_num_threads(1)
    run, recognizer = Path(sys.argv[1]), TorchRecognizer(sys.argv[2])
    config = dataclasses.replace(CONFIG, steps=int(sys.argv[3]) if len(sys.argv) > 3 else CONFIG.steps)
    train(config, RunFolder(run), RunContext(ToySource(), torch.device("cpu"), recognizer))
