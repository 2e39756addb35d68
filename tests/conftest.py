"""Fixtures and hooks of all tests."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from zygote import Zygote

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Point the cache at a temporary folder, so that tests neither read nor write the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLESWAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Starts commands in processes of their own within milliseconds; the first one takes as long as all imports."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork, and no signal that kills a process at once")
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.close()


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
def demo(tmp_path_factory: pytest.TempPathFactory, process: Callable[..., Any], request: pytest.FixtureRequest) -> Demo:
    """The demo, whose output folder did not exist before."""
    folder = tmp_path_factory.mktemp("demo") / "new folder"
    words = ("demo", "--out", folder, "--json", "--device", "cpu")
    if hasattr(os, "fork"):
        done = request.getfixturevalue("zygote").start(*words)
        done.wait()
    else:
        done = process(*words)
    assert done.returncode == 0, done.stderr
    return Demo(folder, json.loads(done.stdout), done.stderr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed of the random order; pytest-randomly's own header is missing with -q."""
    seed = getattr(config.option, "randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"tests ran in random order; to repeat it: --randomly-seed={seed}")
