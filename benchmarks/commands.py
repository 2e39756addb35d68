"""The program's own command in fresh processes, for benchmarks that measure what a user would run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def styleswap(words: list[str], threads: int, processes: int = 1) -> str:
    """Run `styleswap WORDS` and return what it prints; what goes wrong stands on stderr and ends the benchmark.

    Args:
        threads: of torch in each process.
        processes: more than one are started by torchrun.
    """
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, "-m", "styleswap_core.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
