"""Work on the next item while the caller is busy with this one."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
THREAD_NAME = "styleswap-lookahead"
_END = object()


@contextmanager
def lookahead(items: Iterable[Item], depth: int = 2) -> Iterator[Iterator[Item]]:
    """Iterate over `items` in a thread of its own, at most `depth` items ahead of the caller.

    The items come in order. What `items` raises is raised to the caller in its place. Leaving the `with` block, for
    whatever reason, ends the thread before it returns: no item is computed after that, and a generator is closed.

        with lookahead(slow_items(), depth=2) as items:
            for item in items: ...
    """
    iterator = iter(items)
    executor = ThreadPoolExecutor(1, THREAD_NAME)
    try:
        yield _in_order(executor, iterator, max(1, depth))
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        if hasattr(iterator, "close"):
            iterator.close()


def _in_order(executor: Executor, iterator: Iterator[Item], depth: int) -> Iterator[Item]:
    # One worker: the calls of `next` follow each other, and so do their results.
    pending: deque[Future] = deque(executor.submit(next, iterator, _END) for _ in range(depth))
    while (item := pending.popleft().result()) is not _END:
        pending.append(executor.submit(next, iterator, _END))
        yield item
