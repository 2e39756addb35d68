"""What holds for all tests."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What is kept between runs goes into the tests' own folder: nothing of the user's is read or written."""
    before = os.environ.get("STYLESWAP_CACHE")
    os.environ["STYLESWAP_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["STYLESWAP_CACHE"]
    else:
        os.environ["STYLESWAP_CACHE"] = before
