"""Batches that are halved when memory runs out."""

import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.swappers.halved_batches import run_halved


class FullError(Exception):
    pass


def run_within(limit, rows):
    """Run a batch of rows in a memory for `limit` rows; returns the result, and what happened in order."""
    events = []

    def run(part):
        events.append((part.start, part.stop))
        if part.stop - part.start > limit:
            raise FullError
        return list(range(part.start, part.stop))

    def join(parts):
        return [row for part in parts for row in part]

    result = run_halved(
        run, slice(0, rows), join, full=FullError, problem="no memory for one row", free=lambda: events.append("free")
    )
    return result, events


def test_halves_are_halved_until_they_fit_and_joined_in_order():
    result, events = run_within(2, 5)
    assert result == [0, 1, 2, 3, 4]
    assert events == [(0, 5), "free", (0, 2), (2, 5), "free", (2, 3), (3, 5)]
    assert run_within(5, 5) == ([0, 1, 2, 3, 4], [(0, 5)])


def test_no_memory_for_one_row_is_an_error():
    with pytest.raises(StyleSwapError, match="no memory for one row") as caught:
        run_within(0, 3)
    assert isinstance(caught.value.__cause__, FullError)


def test_other_errors_are_not_caught():
    def run(part):
        raise ValueError("another problem")

    with pytest.raises(ValueError, match="another problem"):
        run_halved(run, slice(0, 4), list, full=FullError, problem="")
