"""Shares of a limited time: each part of a run ends early enough for those after it."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType


class TimeShare:
    """Time that a part may take.

    Attributes:
        seconds: All of it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds until the end; negative after it."""
        return self.seconds - self.spent

    def part(self, weights: Mapping[str, float], name: str) -> "TimeShare":
        """Share of a part in the time that is left for it and the parts after it, by their weights in order."""
        names = list(weights)
        following = [weights[other] for other in names[names.index(name) :]]
        return TimeShare(max(self.left, 0.0) * following[0] / sum(following))

    def allows(self, took: Sequence[float]) -> bool:
        """Whether another measurement like the longest of those before fits into what is left."""
        return self.left > max(took, default=0.0)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Context that a TimeoutError ends after some seconds; without effect where the system has no such signal.

    For calls that know no limit, such as those of a compiler.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
