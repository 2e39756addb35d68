"""Fixtures and hooks of all tests."""

import os
from collections.abc import Iterator

import pytest
from zygote import Zygote


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed of the random order; pytest-randomly's own header is missing with -q."""
    seed = getattr(config.option, "randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"tests ran in random order; to repeat it: --randomly-seed={seed}")
