"""Fixtures of the command-line tests."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from styleswap_core import cli

ROOT = Path(__file__).resolve().parents[2]


class Demo(NamedTuple):
    """Output folder of `styleswap demo --json`, its report, and what it printed on stderr."""

    folder: Path
    report: dict[str, Any]
    stderr: str


@pytest.fixture(scope="session")
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `styleswap` in a process of its own; keyword arguments go to `subprocess.run`."""

    def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-m", "styleswap_core", *map(str, words)]
        return subprocess.run(
            command,
            env={**environment, **options.pop("variables", {})},
            text=True,
            timeout=300,
            **{**streams, **options},
        )

    return run


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, process: Callable[..., Any]) -> Demo:
    """The demo, whose output folder did not exist before."""
    folder = tmp_path_factory.mktemp("demo") / "new folder"
    done = process("demo", "--out", folder, "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return Demo(folder, json.loads(done.stdout), done.stderr)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def error_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must exit with code 2 and exactly one line on stderr, and returns that line."""

    def run(*words: object) -> str:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        lines = captured.err.strip().splitlines()
        assert code == 2
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("styleswap: error: ")
        assert captured.out == ""
        return lines[0]

    return run
