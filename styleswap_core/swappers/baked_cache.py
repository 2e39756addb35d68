"""Cache of baked generators for the identities in use, limited in memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

DEFAULT_CACHE_BYTES = 1 << 30


class Sized(Protocol):
    """A cache entry."""

    def memory_bytes(self) -> int:
        """Size of its weights in bytes."""
        ...


Entry = TypeVar("Entry", bound=Sized)


class BakedCache(Generic[Entry]):
    """Least-recently-used cache of at most `max_bytes` of weights; thread-safe.

    The most recent entry is always kept, even if it alone exceeds the limit.
    """

    def __init__(self, max_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> "tuple[type[BakedCache[Entry]], tuple[int]]":
        """Other processes start with an empty cache."""
        return BakedCache, (self.max_bytes,)

    def get(self, key: Hashable, make: Callable[[], Entry]) -> Entry:
        """The entry for `key`, made on a miss; older entries are evicted to make room."""
        with self._lock:
            if key not in self._entries:
                self._entries[key] = make()
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and self._bytes() > self.max_bytes:
                self._entries.popitem(last=False)
            return self._entries[key]

    def bytes(self) -> int:
        """Size of all entries in bytes."""
        with self._lock:
            return self._bytes()

    def clear(self) -> None:
        """Evict all entries; their memory is freed when they are no longer in use."""
        with self._lock:
            self._entries.clear()

    def keys(self) -> list[Hashable]:
        """All keys, least recently used first."""
        with self._lock:
            return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _bytes(self) -> int:
        return sum(entry.memory_bytes() for entry in self._entries.values())
