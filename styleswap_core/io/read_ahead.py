"""Ordered read-ahead: worker threads compute the next items while the caller uses the current one."""

import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from itertools import islice, repeat
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
THREAD_NAME = "styleswap-read-ahead"


def read_ahead(items: Iterable[Item], *, depth: int = 2) -> "ReadAhead[Item]":
    """Iterate over `items` in a worker thread.

        with read_ahead(slow_items(), depth=2) as items:
            for item in items: ...

    Args:
        items: Anything iterable; only the worker thread advances its iterator.
        depth: Maximum number of items that are computed ahead of the one that the caller waits for or holds.
    """
    iterator = iter(items)
    # A call that raises StopIteration ends the results.
    return ReadAhead(repeat(partial(next, iterator)), iterator, depth)


def map_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    depth: int = 2,
    workers: int = 1,
    executor: Executor | None = None,
) -> "ReadAhead[Result]":
    """Apply `function` to each item in worker threads.

    Args:
        function: Called in the worker threads.
        items: Iterated in the caller's thread, to which an exception of theirs is raised at once.
        depth: Maximum number of results that are computed ahead of the one that the caller waits for or holds.
        workers: Number of threads.
        executor: Runs the calls in place of threads, for instance in processes; it is not shut down.
    """
    iterator = iter(items)
    return ReadAhead((partial(function, item) for item in iterator), iterator, depth, workers, executor)


class ReadAhead(Iterator[Result], Generic[Result]):
    """Iterator over the results of calls that run ahead of the caller, in the order of the calls.

    An exception of a call is raised after the results that precede it, and ends the iteration. The threads end with the
    iteration, with the `with` block, or when the iterator is garbage-collected.
    """

    def __init__(
        self,
        calls: Iterator[Callable[[], Result]],
        source: Iterator[object],
        depth: int,
        workers: int = 1,
        executor: Executor | None = None,
    ) -> None:
        self._calls = calls
        self._source = source
        self._depth = max(1, depth)
        self._pending: deque[Future[Result]] = deque()
        self._executor = ThreadPoolExecutor(workers, THREAD_NAME) if executor is None else executor
        self._owns_executor = executor is None
        if self._owns_executor:
            # Without waiting: the garbage collector may run in any thread, and a call may take long.
            weakref.finalize(self, self._executor.shutdown, wait=False, cancel_futures=True)

    def __next__(self) -> Result:
        try:
            for call in islice(self._calls, self._depth + 1 - len(self._pending)):
                self._pending.append(self._executor.submit(call))
            if not self._pending:
                raise StopIteration
            return self._pending.popleft().result()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "ReadAhead[Result]":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration and the threads; waits for calls that are running, and closes a generator of items."""
        self._calls = iter(())
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        if self._owns_executor:
            self._executor.shutdown()
        if isinstance(self._source, Generator):
            self._source.close()
