"""Work on the next item while the caller is busy with this one."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
# How soon the thread notices that nobody wants its items any more.
_PATIENCE_SECONDS = 0.05


class Lookahead(Generic[Item]):
    """Iterates over `items` in a thread of its own, at most `depth` items ahead of the caller.

    The items come in order. What `items` raises is raised to the caller in its place. Leaving the `with` block, for
    whatever reason, ends the thread before it returns: no item is computed after that, and a generator is closed.

        with Lookahead(slow_items(), depth=2) as items:
            for item in items: ...
    """

    def __init__(self, items: Iterable[Item], depth: int = 2) -> None:
        self._items = items
        self._ready: queue.Queue = queue.Queue(max(1, depth))
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._work, name="styleswap-lookahead", daemon=True)

    def __enter__(self) -> Iterator[Item]:
        self._thread.start()
        return self._take()

    def __exit__(self, *exception: object) -> None:
        self._unwanted.set()
        self._thread.join()

    def _work(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._put((item, None)):
                    return
            self._put((None, StopIteration()))
        # Passed on whole: it is raised again in the thread that asked.
        except BaseException as error:
            self._put((None, error))
            if not isinstance(error, Exception):
                raise
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    def _put(self, entry: tuple) -> bool:
        """Whether the caller still wants it."""
        while not self._unwanted.is_set():
            try:
                self._ready.put(entry, timeout=_PATIENCE_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def _take(self) -> Iterator[Item]:
        while True:
            item, error = self._ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
