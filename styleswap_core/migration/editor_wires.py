"""Connections of a graph in the editor's form, which stores them as lists or as tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .graph import NodeId, Output

_KEYS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")


@dataclass(eq=False)
class Wire:
    """A connection, backed by its entry in the file."""

    entry: list[Any] | dict[str, Any]

    def _get(self, place: int) -> Any:
        return self.entry[place] if isinstance(self.entry, list) else self.entry.get(_KEYS[place])

    def _set(self, place: int, value: Any) -> None:
        if isinstance(self.entry, list):
            self.entry[place] = value
        else:
            self.entry[_KEYS[place]] = value

    @property
    def id(self) -> int:
        """Its number."""
        return int(self._get(0))

    @property
    def origin(self) -> Output:
        """The output that it comes from."""
        return Output(self._get(1), self._get(2))

    @property
    def target(self) -> tuple[NodeId, int]:
        """Node and slot of the input that it leads to."""
        return self._get(3), self._get(4)

    def set_origin(self, output: Output) -> None:
        """Let it come from another output."""
        self._set(1, output.node)
        self._set(2, output.slot)

    def set_target(self, node: NodeId, slot: int) -> None:
        """Let it lead to another input."""
        self._set(3, node)
        self._set(4, slot)

    def set_kind(self, kind: str) -> None:
        """Set its type."""
        if isinstance(self.entry, dict) or len(self.entry) > len(_KEYS) - 1:
            self._set(5, kind)


class Wires:
    """The connections of a graph, found by either end."""

    def __init__(self, entries: list[Any]) -> None:
        """Index the entries; those that are no connections are left alone."""
        self._entries = entries
        self._as_tables = any(isinstance(entry, dict) for entry in entries)
        self._by_id: dict[int, Wire] = {}
        self._by_origin: dict[Output, dict[int, Wire]] = {}
        self._by_target: dict[NodeId, dict[int, Wire]] = {}
        self._removed: set[int] = set()
        for entry in entries:
            if _is_wire(entry) and Wire(entry).id not in self._by_id:
                self._index(Wire(entry))

    def find(self, link: object) -> Wire | None:
        """The connection of a number."""
        return self._by_id.get(link) if isinstance(link, int) else None

    def of(self, output: Output) -> list[Wire]:
        """Connections of an output."""
        return list(self._by_origin.get(output, {}).values())

    def into(self, node: NodeId) -> list[Wire]:
        """Connections of all inputs of a node."""
        return list(self._by_target.get(node, {}).values())

    def out_of(self, node: NodeId, slots: int) -> Iterator[Wire]:
        """Connections of the first outputs of a node."""
        for slot in range(slots):
            yield from self.of(Output(node, slot))

    def move(self, wire: Wire, output: Output) -> None:
        """Let a connection come from another output."""
        del self._by_origin[wire.origin][wire.id]
        wire.set_origin(output)
        self._by_origin.setdefault(output, {})[wire.id] = wire

    def retarget(self, wire: Wire, node: NodeId, slot: int) -> None:
        """Let a connection lead to another input."""
        del self._by_target[wire.target[0]][wire.id]
        wire.set_target(node, slot)
        self._by_target.setdefault(node, {})[wire.id] = wire

    def add(self, link: int, output: Output, node: NodeId, slot: int, kind: str) -> Wire:
        """Add a connection."""
        values = [link, output.node, output.slot, node, slot, kind]
        wire = Wire(dict(zip(_KEYS, values, strict=True)) if self._as_tables else values)
        self._entries.append(wire.entry)
        self._index(wire)
        return wire

    def remove(self, wire: Wire) -> None:
        """Remove a connection."""
        del self._by_id[wire.id]
        del self._by_origin[wire.origin][wire.id]
        del self._by_target[wire.target[0]][wire.id]
        self._removed.add(wire.id)

    def was_removed(self, link: object) -> bool:
        """Whether the connection of a number was removed."""
        return isinstance(link, int) and link in self._removed

    def finish(self) -> None:
        """Remove the entries of removed connections."""
        if self._removed:
            self._entries[:] = [
                entry for entry in self._entries if not (_is_wire(entry) and Wire(entry).id not in self._by_id)
            ]

    def last(self) -> int:
        """The highest number in use."""
        return max(self._by_id, default=0)

    def _index(self, wire: Wire) -> None:
        self._by_id[wire.id] = wire
        self._by_origin.setdefault(wire.origin, {})[wire.id] = wire
        self._by_target.setdefault(wire.target[0], {})[wire.id] = wire


def _is_wire(entry: object) -> bool:
    """Whether an entry is a connection with usable ends."""
    if isinstance(entry, Mapping):
        values = [entry.get(key) for key in _KEYS[:5]]
    elif isinstance(entry, list):
        values = entry[:5]
    else:
        return False
    if len(values) < 5 or not all(isinstance(values[place], int) for place in (0, 2, 4)):
        return False
    return all(isinstance(values[place], int | str) for place in (1, 3))
