"""Fixtures of the command-line tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from styleswap_core import cli


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
