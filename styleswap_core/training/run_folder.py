"""Run folder: its paths, metrics (TensorBoard and JSON lines), sample sheets, and the speed of a run."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..io.files import atomic_write
from ..io.images import save_image
from ..io.json_text import parse_json, require_table


class RunFolder:
    """Paths of a training run.

    Contents: config.json, metrics.jsonl, generator_ema.safetensors, checkpoints/, samples/, tensorboard/
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.json"
        self.metrics = self.root / "metrics.jsonl"
        self.generator = self.root / "generator_ema.safetensors"
        self.checkpoints = self.root / "checkpoints"
        self.samples = self.root / "samples"
        self.tensorboard = self.root / "tensorboard"

    def create(self) -> None:
        """Create missing folders, and delete the partial files that a killed process left behind.

        No other process may be writing to the folder.
        """
        for folder in (self.root, self.checkpoints, self.samples):
            folder.mkdir(parents=True, exist_ok=True)
            # Temporary files of `atomic_write`: a dot, then the name of the final file.
            for prefix in (".config.", ".metrics.", ".generator_ema.", ".step_"):
                for path in folder.glob(f"{prefix}*"):
                    path.unlink(missing_ok=True)


class Recorder:
    """Writer of metrics and sample sheets; entries of an earlier process after step `first` are dropped.

    To be used as a context manager, which closes the TensorBoard files.

    Args:
        folder: Run folder, already created.
        first: Number of steps that are finished.
        echo: Whether to print metrics to stdout as well.

    Raises:
        StyleSwapError: TensorBoard is not installed.
    """

    def __init__(self, folder: RunFolder, first: int, echo: bool = False) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise StyleSwapError(
                "training writes TensorBoard files; install the package with: pip install tensorboard"
            ) from error
        self.folder, self.echo = folder, echo
        _drop_lines_after(folder.metrics, first)
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=first + 1)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write named metrics after `step` finished steps."""
        line = json.dumps({"step": step, **values})
        with open(self.folder.metrics, "a", encoding="utf-8") as lines:
            lines.write(line + "\n")
        if self.echo:
            print(line, flush=True)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def sheet(self, step: int, picture: np.ndarray) -> None:
        """Write a sample sheet, (H, W, 3) uint8."""
        save_image(self.folder.samples / f"step_{step:09d}.png", picture)
        self._board.add_image("samples", picture, step, dataformats="HWC")


class RunningMeans:
    """Means of named scalars over the steps since the last report; they stay on the device until reported."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Add one step; a lazy term is averaged over the steps that compute it."""
        for name, value in scalars.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.float()
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means and reset them."""
        if not self._sums:
            return {}
        values = torch.stack(list(self._sums.values())).tolist()  # one synchronization with the device
        means = {name: value / self._counts[name] for name, value in zip(self._sums, values, strict=True)}
        self._sums, self._counts = {}, {}
        return means


class Clock:
    """Speed of a run and its remaining time.

    Args:
        first: Number of steps finished before the clock starts.
        batch: Pictures per step.
    """

    def __init__(self, first: int, batch: int) -> None:
        self._start = self._last_time = time.perf_counter()
        self._first = self._last_step = first
        self._batch = batch

    def rate(self, step: int) -> float:
        """Pictures per second since the last call."""
        now = time.perf_counter()
        rate = (step - self._last_step) * self._batch / max(now - self._last_time, 1e-9)
        self._last_time, self._last_step = now, step
        return rate

    def minutes(self) -> float:
        """Minutes since the clock started."""
        return (time.perf_counter() - self._start) / 60

    def forecast(self, step: int, steps: int) -> str:
        """One line about the speed so far and the time for the remaining steps."""
        seconds = (time.perf_counter() - self._start) / max(step - self._first, 1)
        return (
            f"{1000 * seconds / self._batch:.1f} ms per picture; the remaining {steps - step} steps "
            f"take about {seconds * (steps - step) / 60:.0f} min"
        )


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        # Left out: the line that a killed process was writing.
        with suppress(StyleSwapError):
            row = require_table(parse_json(line, "damaged", "leave it out"), "damaged", "leave it out", step=int)
            if row["step"] <= step:
                kept.append(line + "\n")
    with atomic_write(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
