"""Processes for tests, forked from one that has imported everything: they start in milliseconds instead of seconds."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVER = Path(__file__).resolve().with_name("zygote_server.py")
ROOT = SERVER.parents[2]
COMMAND = "styleswap_core.cli:main"
TIMEOUT = 300.0


class Zygote:
    """The process that forks; started when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._server, self._count = folder, None, 0
        self._lock = threading.Lock()

    def start(self, *words: object, target: str = COMMAND, folder: Path | None = None, **variables: str) -> "Forked":
        """Start a command in a process of its own.

        Args:
            words: Words of the command line.
            target: `module:function` that is called with them; by default the `styleswap` command.
            folder: Its working directory; by default that of the test.
            variables: Environment variables.
        """
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        for file in (out, err):
            file.touch()
        request = {"target": target, "words": list(map(str, words)), "folder": str(folder or Path.cwd())}
        request |= {"variables": variables, "stdout": str(out), "stderr": str(err)}
        return Forked(self.ask(request), self.ask, out, err)

    def ask(self, request: dict) -> int | None:
        """Answer of the process to a request."""
        with self._lock:
            if self._server is None:
                self._server = self._start_server()
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        """End the process."""
        if self._server is not None:
            self._server.stdin.close()
            self._server.wait(TIMEOUT)
            self._server.stdout.close()

    def _start_server(self) -> subprocess.Popen:
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads},
            text=True,
        )
        paths = [str(ROOT), *(path for path in sys.path if Path(path).is_relative_to(ROOT / "tests"))]
        server.stdin.write(json.dumps(paths) + "\n")
        return server


@dataclass
class Forked:
    """A process that was forked, with the interface of `subprocess.Popen` as far as tests need it."""

    pid: int
    ask: Callable[[dict], int | None]
    out: Path
    err: Path
    returncode: int | None = field(default=None, init=False)

    def poll(self) -> int | None:
        """Exit code, negative for signals; None while it runs."""
        if self.returncode is None:
            self.returncode = self.ask({"poll": self.pid})
        return self.returncode

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Exit code, once it has ended."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} does not end"
            time.sleep(0.005)
        return code

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
