"""Processes for tests, forked from one that has imported everything: they start in milliseconds instead of seconds."""

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "styleswap_core.cli:main"
TIMEOUT = 300.0


class Zygote:
    """The process that forks.

    Attributes:
        context: Starts functions in processes that are forked from it.
    """

    def __init__(self, folder: Path) -> None:
        self.context: BaseContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["everything"])
        self._folder, self._started = folder, []
        paths = [str(ROOT), *(path for path in sys.path if Path(path).is_relative_to(ROOT / "tests"))]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join(paths))
            for name in ("OMP", "OPENBLAS", "MKL"):
                patch.setenv(f"{name}_NUM_THREADS", "1")
            forkserver.ensure_running()

    def start(self, *words: object, target: str = COMMAND, folder: Path | None = None, **variables: str) -> "Forked":
        """Start a command in a process of its own.

        Args:
            words: Words of the command line.
            target: `module:function` that is called with them; by default the `styleswap` command.
            folder: Its working directory; by default that of the test.
            variables: Environment variables.
        """
        out, err = (self._folder / f"{len(self._started)}.{name}" for name in ("out", "err"))
        for file in (out, err):
            file.touch()
        command = (target, list(map(str, words)), folder or Path.cwd(), variables, out, err)
        process = self.context.Process(target=_run, args=command)
        process.start()
        self._started.append(process)
        return Forked(process, out, err)

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            process.kill()


def _run(target: str, words: list[str], folder: Path, variables: dict[str, str], out: Path, err: Path) -> None:
    for number, name in ((0, os.devnull), (1, out), (2, err)):
        file = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    os.chdir(folder)
    os.environ.update(variables)
    sys.argv = [target, *words]
    module, _, function = target.partition(":")
    sys.exit(getattr(importlib.import_module(module), function)(words))


@dataclass
class Forked:
    """A process that was forked, with the interface of `subprocess.Popen` as far as tests need it."""

    process: BaseProcess
    out: Path
    err: Path

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for signals; None while it runs."""
        return self.process.exitcode

    def poll(self) -> int | None:
        """Exit code, negative for signals; None while it runs."""
        return self.process.exitcode

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.process.kill()

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Exit code, once it has ended."""
        self.process.join(timeout)
        assert self.returncode is not None, f"process {self.process.pid} does not end"
        return self.returncode

    def until(self, reached: Callable[[], bool], timeout: float = TIMEOUT) -> bool:
        """Wait until something is reached, or until the process has ended; whether it still runs."""
        deadline = time.monotonic() + timeout
        while not reached():
            if self.poll() is not None:
                return False
            assert time.monotonic() < deadline, "the process makes no progress"
            time.sleep(0.002)
        return self.poll() is None

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self.out.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What it has printed on stderr so far."""
        return self.err.read_text(encoding="utf-8", errors="replace")


def names_in(folder: Path) -> Sequence[str]:
    """Names of all files in a folder and those in it, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
