"""What a run writes down beside its checkpoints: scalars (TensorBoard and JSON lines) and sample sheets."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..io.files import atomic_write
from ..io.images import save_image


class RunFolder:
    """The files of one training.

    config.json, metrics.jsonl, generator_ema.safetensors, checkpoints/, samples/, tensorboard/
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.config = self.root / "config.json"
        self.metrics = self.root / "metrics.jsonl"
        self.generator = self.root / "generator_ema.safetensors"
        self.checkpoints = self.root / "checkpoints"
        self.samples = self.root / "samples"
        self.tensorboard = self.root / "tensorboard"

    def create(self) -> None:
        """Make the folders that are missing, and delete the unfinished files that a killed process left behind.

        No other process may be writing there.
        """
        for folder in (self.root, self.checkpoints, self.samples):
            folder.mkdir(parents=True, exist_ok=True)
            # Named so by files.atomic_write: a dot, then what the finished file is called.
            for begin in (".config.", ".metrics.", ".generator_ema.", ".step_"):
                for path in folder.glob(f"{begin}*"):
                    path.unlink(missing_ok=True)


class Recorder:
    """Writes scalars and sheets of the steps from `first` on; what an earlier process wrote past it is dropped.

    Use as a context: leaving it closes the files.
    """

    def __init__(self, folder: RunFolder, first: int, echo: bool = False):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise StyleSwapError(
                "training writes TensorBoard files; install it with: pip install tensorboard"
            ) from error
        self.folder, self.echo = folder, echo
        _keep_lines_until(folder.metrics, first)
        self._lines = open(folder.metrics, "a", encoding="utf-8")
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=first + 1)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._board.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write named figures after `step` finished steps; with `echo` also to stdout, as a JSON line."""
        line = json.dumps({"step": step, **values})
        self._lines.write(line + "\n")
        self._lines.flush()
        if self.echo:
            print(line, flush=True)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def sheet(self, step: int, picture: np.ndarray) -> None:
        """Write a sample sheet, uint8 (H, W, 3)."""
        save_image(self.folder.samples / f"step_{step:09d}.png", picture)
        self._board.add_image("samples", picture, step, dataformats="HWC")


class Averages:
    """Means of the steps' scalars since the last report, kept on the device until asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Take one step's scalars; a term that is not computed at every step is averaged over those where it is."""
        for name, value in scalars.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.float()
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means, and start anew."""
        if not self._sums:
            return {}
        values = torch.stack(list(self._sums.values())).tolist()  # one wait for the device instead of many
        means = {name: value / self._counts[name] for name, value in zip(self._sums, values, strict=True)}
        self._sums, self._counts = {}, {}
        return means


class Clock:
    """Pictures per second since the last report, and how long the rest will take."""

    def __init__(self, first: int, batch: int):
        self._begun = self._since = time.perf_counter()
        self._first = self._last = first
        self._batch = batch

    def rate(self, step: int) -> float:
        """Pictures per second since the last call."""
        now = time.perf_counter()
        rate = (step - self._last) * self._batch / max(now - self._since, 1e-9)
        self._since, self._last = now, step
        return rate

    def minutes(self) -> float:
        """Minutes since the process began to train."""
        return (time.perf_counter() - self._begun) / 60

    def forecast(self, step: int, steps: int) -> str:
        """One line: speed so far and time for the remaining steps."""
        seconds = (time.perf_counter() - self._begun) / max(step - self._first, 1)
        return (
            f"{1000 * seconds / self._batch:.1f} ms per picture; the remaining {steps - step} steps "
            f"take about {seconds * (steps - step) / 60:.0f} min"
        )


def _keep_lines_until(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            continue  # the line that a killed process was writing
    with atomic_write(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
