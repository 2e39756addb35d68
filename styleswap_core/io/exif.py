"""EXIF data of pictures as bytes: its orientation, and a copy that stays true when the pixels change.

Only the entries in question are read and changed. Everything else keeps its bytes and offsets, on which the notes of
camera makers depend, and damage elsewhere does not matter. Source: EXIF 2.32, TIFF 6.0.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_ORIENTATION, _THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0112, 0x0201, 0x0202
_PREFIX = b"Exif\x00\x00"
_ENTRY_BYTES = 12
_SHORT = 3  # type of an entry; others that hold an orientation are LONG
_BYTE_ORDERS = {b"II": "<", b"MM": ">"}


class _Entry(NamedTuple):
    tag: int
    kind: int
    value_at: int


def read_orientation(exif: bytes) -> int:
    """Orientation in EXIF data, 1 to 8; 0 if it states none or cannot be read."""
    found = _orientation(exif.removeprefix(_PREFIX))
    return found[1] if found else 0


def upright_exif(exif: bytes) -> bytes:
    """EXIF data of the same picture after its orientation was applied and its pixels were changed.

    The orientation is 1, and the thumbnail, which shows the picture as it was, is overwritten with zeros and unlinked.
    """
    prefix, data = exif[: len(exif) - len(exif.removeprefix(_PREFIX))], bytearray(exif.removeprefix(_PREFIX))
    found = _orientation(data)
    if found:
        order, _, entry = found
        struct.pack_into(order + ("H" if entry.kind == _SHORT else "I"), data, entry.value_at, 1)
    try:
        _remove_thumbnail(data)
    except (struct.error, KeyError):
        return bytes(prefix + data) if found else exif
    return bytes(prefix + data)


def _orientation(data: bytes | bytearray) -> tuple[str, int, _Entry] | None:
    """Byte order, orientation and entry; None if there is no valid one."""
    try:
        order, first = _first_directory(data)
        entry = next(entry for entry in _entries(data, order, first) if entry.tag == _ORIENTATION)
        (value,) = struct.unpack_from(order + ("H" if entry.kind == _SHORT else "I"), data, entry.value_at)
    except (struct.error, KeyError, StopIteration):
        return None
    return (order, value, entry) if 1 <= value <= 8 else None


def _first_directory(data: bytes | bytearray) -> tuple[str, int]:
    """Byte order as `struct` writes it, and the offset of the first directory."""
    order = _BYTE_ORDERS[bytes(data[:2])]
    return order, struct.unpack_from(order + "I", data, 4)[0]


def _entries(data: bytes | bytearray, order: str, directory: int) -> Iterator[_Entry]:
    (count,) = struct.unpack_from(order + "H", data, directory)
    for number in range(count):
        at = directory + 2 + number * _ENTRY_BYTES
        tag, kind = struct.unpack_from(order + "HH", data, at)
        yield _Entry(tag, kind, at + 8)


def _remove_thumbnail(data: bytearray) -> None:
    order, first = _first_directory(data)
    (count,) = struct.unpack_from(order + "H", data, first)
    link = first + 2 + count * _ENTRY_BYTES
    (second,) = struct.unpack_from(order + "I", data, link)
    if not second:
        return
    struct.pack_into(order + "I", data, link, 0)
    values = {
        entry.tag: struct.unpack_from(order + "I", data, entry.value_at)[0] for entry in _entries(data, order, second)
    }
    start, length = values.get(_THUMBNAIL_OFFSET, 0), values.get(_THUMBNAIL_LENGTH, 0)
    end = min(start + length, len(data))
    # Only what looks like a JPEG: corrupted offsets could point to anything.
    if data[start : start + 2] == b"\xff\xd8":
        data[start:end] = bytes(end - start)
