"""Fixtures and hooks of all tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Point the cache at a temporary folder, so that tests neither read nor write the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLESWAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed of the random order; pytest-randomly's own header is missing with -q."""
    seed = getattr(config.option, "randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"tests ran in random order; to repeat it: --randomly-seed={seed}")
