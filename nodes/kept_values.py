"""Values kept between runs of a node. Does not import ComfyUI."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class KeptValues(Generic[Value]):
    """The most recently used values, by what they were made from."""

    def __init__(self, count: int) -> None:
        """Keep at most `count` values."""
        self._count = count
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not kept; the least recently used ones are dropped first.

        Args:
            key: Everything that the value depends on.
            make: Makes it; room is made before it is called, so that no more than `count` values exist at a time.
        """
        if key not in self._values:
            while len(self._values) >= self._count:
                self._values.popitem(last=False)
            self._values[key] = make()
        self._values.move_to_end(key)
        return self._values[key]
