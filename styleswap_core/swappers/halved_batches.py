"""Batches that are halved when memory runs out."""

from collections.abc import Callable
from typing import TypeVar

from ..errors import StyleSwapError

Result = TypeVar("Result")

Exceptions = type[BaseException] | tuple[type[BaseException], ...]
"""Exceptions as an `except` clause takes them."""


def _nothing() -> None:
    """Do nothing; the default of `free`."""


def run_halved(
    run: Callable[[slice], Result],
    rows: slice,
    join: Callable[[list[Result]], Result],
    *,
    full: Exceptions,
    problem: str,
    free: Callable[[], None] = _nothing,
) -> Result:
    """Run a batch; if memory runs out, in halves, and those in halves again.

    Args:
        run: Runs some rows of the batch.
        rows: The rows, with start and stop.
        join: Joins the results of consecutive rows.
        full: What `run` raises if memory runs out.
        problem: Message for the case that there is not enough memory for one row.
        free: Called before the halves run, to free what the failed run has left.

    Raises:
        StyleSwapError: There is not enough memory for one row.
    """
    count = rows.stop - rows.start
    try:
        return run(rows)
    except full as error:
        if count == 1:
            raise StyleSwapError(problem) from error
    # Outside the handler, which would keep the tensors of the failed run alive.
    free()
    middle = rows.start + count // 2
    halves = (slice(rows.start, middle), slice(middle, rows.stop))
    return join([run_halved(run, half, join, full=full, problem=problem, free=free) for half in halves])
