"""Every needed package imported and tried in a process of its own, so that none of them can take the others down."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .import_failures import ImportFailure
from .needed_packages import NEEDED, Needed, build_of, pip, reinstall

# Seconds; the first import after an installation compiles thousands of files, on slow disks with a virus scanner.
_PATIENCE = 300.0
_PROCESSES = 4
# The folder of this package is named last, so that it hides nothing.
_FOLDER = Path(__file__).resolve().parents[1]
_PROGRAM = (
    f"import sys; sys.path.append(sys.argv.pop(1)); from {_FOLDER.name}.%s import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass(frozen=True)
class Trial:
    """What became of a package in a process of its own.

    Attributes:
        package: Its name for pip.
        facts: What it told about itself: the device of PyTorch, the providers of ONNX Runtime.
        failure: Why it does not load; None if it does.
    """

    package: str
    facts: Any = None
    failure: ImportFailure | None = None


def try_packages() -> list[Trial]:
    """Try all needed packages, several at the same time; in the order of `NEEDED`."""
    with ThreadPoolExecutor(min(_PROCESSES, os.cpu_count() or 1)) as pool:
        return list(pool.map(try_package, NEEDED))


@dataclass(frozen=True)
class Ended:
    """A process that ended: its exit code, None if it took too long; and what it printed."""

    code: int | None
    output: str
    log: str


def run_module(module: str, *words: str) -> Ended:
    """Call `main` of a module of this package with some words, in a process with a Python like this one."""
    flags = ["-s"] if sys.flags.no_user_site else []
    command = [sys.executable, *flags, "-c", _PROGRAM % module, str(_FOLDER.parent), *words]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", "")
    return Ended(done.returncode, done.stdout, done.stderr)


def try_package(one: Needed) -> Trial:
    """Import and use a package in a process of its own."""
    ended = run_module("installation.one_trial", one.module)
    last = ended.output.strip().splitlines()[-1:]
    if ended.code == 0 and last:
        answer = json.loads(last[0])
        failure = answer.get("failure")
        return Trial(one.package, answer.get("facts"), ImportFailure(*failure) if failure else None)
    return Trial(one.package, failure=ImportFailure(one.package, *_ending(one, ended)))


def _ending(one: Needed, ended: Ended) -> tuple[str, str]:
    """Cause and remedy where the process told nothing."""
    build = build_of(one)
    if ended.code is None:
        return f"it took longer than {_PATIENCE:.0f} s", f"restart the machine; then run: {reinstall([build])}"
    if ended.code == -getattr(signal, "SIGILL", 0):
        return (
            "the processor lacks instructions that it uses",
            f"install an older version, or a build for older processors: {pip(f'install {build}')}",
        )
    said = next(iter(reversed(ended.log.strip().splitlines())), "")
    name = f"exit code {ended.code}"
    if ended.code < 0:
        name = f"the process was ended by {signal.Signals(-ended.code).name}"
    return f"{name}{f': {said[:200]}' if said else ''}", f"run: {reinstall([build])}"
