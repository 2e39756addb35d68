"""Chunks of PNG files beside the pixels: profile and texts that Pillow refuses for their size, and additions.

Source: PNG specification, third edition.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pillow refuses files with larger ones, although they are valid.
_PILLOW_LIMIT = 1 << 20
_MAX_PROFILE = 1 << 24
MAX_TEXT = 1 << 26
"""Most bytes of a text that are unpacked."""
_MAX_CHUNKS = 1_000_000
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # of the length, 4 bytes before the kind
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length + 12


def bit_depth(path: Path) -> int:
    """Bits per sample of a PNG file; 0 for other files."""
    with open(path, "rb") as stream:
        start = stream.read(26)
    return start[24] if start.startswith(SIGNATURE) and len(start) > 24 else 0


def pillow_source(path: Path) -> tuple[Path | BytesIO, bytes | None]:
    """What Pillow can open: the file or, if a profile or text in it is too large for Pillow, a copy without those.

    Returns:
        The file or the copy, and the profile that the copy lacks.
    """
    with open(path, "rb") as stream:
        if stream.read(8) != SIGNATURE:
            return path, None
        size = os.fstat(stream.fileno()).st_size
        chunks = list(_chunks(stream, size))
        profile, large = None, []
        for chunk in chunks:
            if chunk.kind not in (*_TEXTS, b"iCCP"):
                continue
            data = _data(stream, chunk)
            if _unpacked_size(chunk.kind, data) > _PILLOW_LIMIT:
                large.append(chunk)
                profile = _profile(data) if chunk.kind == b"iCCP" else profile
        if not large:
            return path, None
        stream.seek(0)
        data = stream.read()
    kept = BytesIO()
    at = 0
    for chunk in large:
        kept.write(data[at : chunk.start])
        at = chunk.end
    kept.write(data[at:])
    kept.seek(0)
    return kept, profile


def with_chunks(png: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG file with further chunks (kind, data), which must precede the pixels."""
    header_end = 8 + 25
    added = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return png[:header_end] + added + png[header_end:]


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    """Chunk of a color profile."""
    return b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)


def text_chunk(key: str, value: str) -> tuple[bytes, bytes]:
    """Chunk of a text: tEXt where Latin-1 suffices, since not every reader supports iTXt."""
    try:
        return b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", key.encode("latin-1", "replace") + b"\0\0\0\0\0" + value.encode("utf-8", "replace")


def _chunks(stream: BinaryIO, size: int) -> Iterator[_Chunk]:
    """Chunks up to the end or the first that is truncated."""
    at = 8
    for _ in range(_MAX_CHUNKS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            return
        chunk = _Chunk(head[4:], at, int.from_bytes(head[:4], "big"))
        if chunk.end > size:
            return
        yield chunk
        at = chunk.end


def _data(stream: BinaryIO, chunk: _Chunk) -> bytes:
    stream.seek(chunk.start + 8)
    return stream.read(chunk.length)


def _packed(kind: bytes, data: bytes) -> bytes | None:
    """Compressed part of a chunk; None if it has none."""
    _, _, rest = data.partition(b"\0")
    if kind in (b"zTXt", b"iCCP"):
        return rest[1:]
    if kind == b"iTXt" and rest[:1] == b"\1":
        return rest[2:].split(b"\0", 2)[-1]
    return None


def _unpacked_size(kind: bytes, data: bytes) -> int:
    """Size of a chunk's contents, counted up to just above Pillow's limit."""
    packed = _packed(kind, data)
    if packed is None:
        return len(data)
    try:
        return len(zlib.decompressobj().decompress(packed, _PILLOW_LIMIT + 1))
    except zlib.error:
        return 0  # Pillow skips what is damaged


def _profile(data: bytes) -> bytes | None:
    unpacker = zlib.decompressobj()
    profile = unpacker.decompress(_packed(b"iCCP", data) or b"", _MAX_PROFILE)
    return profile if unpacker.eof else None


def texts(path: Path) -> dict[str, str]:
    """Texts of a PNG file by key; what is damaged is left out."""
    found: dict[str, str] = {}
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        for chunk in _chunks(stream, size):
            if chunk.kind in _TEXTS:
                key, text = _text(chunk.kind, _data(stream, chunk))
                found.setdefault(key, text)
    return found


def _text(kind: bytes, data: bytes) -> tuple[str, str]:
    """Key and value of a text chunk."""
    key, _, rest = data.partition(b"\0")
    packed = _packed(kind, data)
    if packed is not None:
        unpacker = zlib.decompressobj()
        try:
            value = unpacker.decompress(packed, MAX_TEXT)
        except zlib.error:
            value = b""
    else:
        value = rest.split(b"\0", 4)[-1] if kind == b"iTXt" else rest
    return key.decode("latin-1"), value.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")
