"""Fresh processes for benchmarks: the `styleswap` command as a user would run it, and measuring scripts."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]


def styleswap(words: Sequence[str], threads: int | None = None, processes: int = 1, log: IO[str] | None = None) -> str:
    """Run `styleswap WORDS` and return its output; a failure ends the benchmark.

    Args:
        words: Arguments of the command.
        threads: Threads of torch in each process; by default all cores.
        processes: If more than one, they are started by torchrun.
        log: File for the output and the errors, which are then not returned.
    """
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    command = [sys.executable, *launcher, "-m", "styleswap_core.cli", *words]
    done = subprocess.run(
        command,
        check=True,
        stdout=log or subprocess.PIPE,
        stderr=subprocess.STDOUT if log else None,
        text=True,
        env=_environment(ROOT, threads),
    )
    return done.stdout or ""


def assignments(settings: Mapping[str, object]) -> list[str]:
    """Arguments `--set NAME=VALUE` of `styleswap train`."""
    return [
        word
        for name, value in settings.items()
        for word in ("--set", f"{name}={value if isinstance(value, Path) else json.dumps(value)}")
    ]


def measured(script: Path, words: Sequence[object], threads: int) -> dict[str, Any]:
    """Run a measuring script of a source tree and return the JSON object in its last line of output.

    Raises:
        CalledProcessError: The script failed.
    """
    command = [sys.executable, str(script), *map(str, words), "--threads", str(threads)]
    root = script.parents[1]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=root, env=_environment(root, threads)
    )
    return json.loads(done.stdout.splitlines()[-1])


def _environment(root: Path, threads: int | None) -> dict[str, str]:
    # OpenMP and ONNX Runtime read the number of threads from the environment when they are loaded.
    return {**os.environ, "PYTHONPATH": str(root)} | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
