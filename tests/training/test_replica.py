"""Several processes train what one trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import styleswap_core
from styleswap_core.checkpoints.native import load_generator
from styleswap_core.errors import StyleSwapError
from styleswap_core.training.replica import Replica

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from training_toys import write_recognizer  # noqa: E402


def run(processes: int, folder: Path, recognizer: Path) -> dict[str, torch.Tensor]:
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    root = str(Path(styleswap_core.__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(HERE / "replica_worker.py"), str(folder), str(recognizer)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    generator, _ = load_generator(folder / "generator_ema.safetensors")
    return generator.state_dict()


def test_two_processes_with_half_batches_give_the_weights_of_one(tmp_path):
    recognizer = write_recognizer(tmp_path / "toy.onnx")
    one, two = run(1, tmp_path / "one", recognizer), run(2, tmp_path / "two", recognizer)
    for name, weight in one.items():
        # Adam divides by the gradient's size: where that is next to nothing, rounding decides the step's sign.
        assert (weight - two[name]).abs().mean() < 1e-4, name


def test_a_batch_is_shared_without_rest():
    assert [Replica(rank, 3).share(6) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    with pytest.raises(StyleSwapError, match="share evenly"):
        Replica(0, 4).share(6)
