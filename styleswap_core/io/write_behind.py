"""Ordered write-behind: a worker thread finishes what the caller hands over, while the caller goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

THREAD_NAME = "styleswap-write-behind"


class WriteBehind:
    """Calls in one worker thread, in order.

        with WriteBehind(depth=4) as behind:
            for item in items:
                behind.call(write, item)

    An exception of a call is raised by one of the next calls, or at the end of the `with` block; calls after it are not
    made.
    """

    def __init__(self, depth: int) -> None:
        """Start without a thread; the first call starts it.

        Args:
            depth: Maximum number of calls that wait for the one that is running.
        """
        self._depth = depth
        self._pending: deque[Future[None]] = deque()
        self._executor = ThreadPoolExecutor(1, THREAD_NAME)
        self._failed = False

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Call `function` after everything before it; waits while too many calls are pending."""
        while len(self._pending) > self._depth or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._executor.submit(self._run, function, *arguments))

    def wait(self) -> None:
        """Wait for all calls."""
        while self._pending:
            self._pending.popleft().result()

    def _run(self, function: Callable[..., None], *arguments: object) -> None:
        if self._failed:
            return
        try:
            function(*arguments)
        except BaseException:
            self._failed = True
            raise

    def __enter__(self) -> "WriteBehind":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            # After an error of the caller, what was handed over is still finished, and its errors matter less.
            self.wait() if kind is None else self._executor.shutdown()
        finally:
            self._pending.clear()
            self._executor.shutdown()
