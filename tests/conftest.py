"""Fixtures and hooks of all tests."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from filelock import FileLock
from zygote import Zygote

if TYPE_CHECKING:
    from styleswap_core.synthetic.world import Rendered

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all processes of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _cache_folder(common_folder: Path) -> Iterator[None]:
    """Point the cache at a temporary folder, so that tests neither read nor write the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLESWAP_CACHE", str(common_folder / "cache"))
        yield


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Starts commands in processes of their own within milliseconds; the first one takes as long as all imports."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork, and no signal that kills a process at once")
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.close()


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Worker processes of the product start within milliseconds too."""
    if not hasattr(os, "fork"):
        return
    context_of, forked = multiprocessing.get_context, request.getfixturevalue("zygote").context
    monkeypatch.setattr(
        multiprocessing, "get_context", lambda method=None: forked if method == "spawn" else context_of(method)
    )


@pytest.fixture(scope="session")
def made_once(common_folder: Path) -> Callable[[str, Callable[[Path], None]], Path]:
    """Function (name, make): a folder that `make` has filled, once for all processes of the tests."""

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = common_folder / name, common_folder / f"{name}.done"
        with FileLock(common_folder / f"{name}.lock"):
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def rendered(made_once: Callable[..., Path]) -> "Rendered":
    """Four people of the face world in three pictures of 128 px each, ordered by person."""
    import torch

    from styleswap_core.devices import one_thread
    from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
    from styleswap_core.synthetic.world import Rendered, render

    def make(folder: Path) -> None:
        people = [seed for seed in list(IDENTITY_SEEDS["test"])[:4] for _ in range(3)]
        attributes = list(ATTRIBUTE_SEEDS["test"])[: len(people)]
        with one_thread():
            pictures = render(Identities.from_seeds(people), Attributes.from_seeds(attributes), size=128)
        torch.save(vars(pictures), folder / "pictures.pt")

    return Rendered(**torch.load(made_once("rendered", make) / "pictures.pt"))


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
def demo(made_once: Callable[..., Path], process: Callable[..., Any], request: pytest.FixtureRequest) -> Demo:
    """The demo, whose output folder did not exist before."""

    def make(folder: Path) -> None:
        words = ("demo", "--out", folder / "new folder", "--json", "--device", "cpu")
        if hasattr(os, "fork"):
            done = request.getfixturevalue("zygote").start(*words)
            done.wait()
        else:
            done = process(*words)
        assert done.returncode == 0, done.stderr
        (folder / "report.json").write_text(done.stdout, encoding="utf-8")
        (folder / "stderr.txt").write_text(done.stderr, encoding="utf-8")

    folder = made_once("demo", make)
    report, stderr = ((folder / name).read_text(encoding="utf-8") for name in ("report.json", "stderr.txt"))
    return Demo(folder / "new folder", json.loads(report), stderr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed of the random order; pytest-randomly's own header is missing with -q."""
    seed = getattr(config.option, "randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"tests ran in random order; to repeat it: --randomly-seed={seed}")
