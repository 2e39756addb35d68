"""Fixture of the tests of the evaluation."""

from collections.abc import Iterator

import pytest
from rendered_once import rendered_once


@pytest.fixture(scope="module", autouse=True)
def _rendered_once() -> Iterator[None]:
    """No picture is rendered twice."""
    with rendered_once():
        yield
