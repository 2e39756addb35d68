"""Statements in pictures and videos that forbid training on them.

There are two kinds: assertions in Content Credentials, `c2pa.training-mining` and its successor `cawg.training-mining`,
and the property Data Mining of PLUS and IPTC in XMP data. Sources: C2PA 1.4, section 18.10; CAWG Training and Data
Mining 1.1; IPTC Photo Metadata 2023.1.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import StyleSwapError
from .c2pa_library import INSTALL, has_c2pa_library
from .reading import read_credentials

_LABELS = ("cawg.training-mining", "c2pa.training-mining")
_ALLOWED = "allowed"
# All values that forbid something begin like this, such as DMI-PROHIBITED-GENAIMLTRAINING.
_PLUS = re.compile(rb"DMI-PROHIBITED(?:-[A-Z]+)?")
# What every box of Content Credentials contains.
_JUMBF = (b"jumd", b"c2pa")
# Files up to this size are searched as a whole; of larger ones, which are videos, everything but the frames is.
_WHOLE = 1 << 26
_HEADER_BYTES = 16
_FRAMES = b"mdat"


def training_ban(path: Path) -> str:
    """What in a picture or video forbids training on it, as the end of a sentence; empty if nothing does.

    Whether its signature is valid does not matter. A use that is "constrained" counts as forbidden, since nobody can
    tell here whether the constraints are met.
    """
    try:
        contents = b"\n".join(_searched(path))
    except OSError:
        # Whoever reads the picture says why.
        return ""
    found = _PLUS.search(contents)
    if found is not None:
        return f"its IPTC metadata forbid it ({found[0].decode('ascii')})"
    if not all(word in contents for word in _JUMBF):
        return ""
    if has_c2pa_library():
        return _assertion_ban(path)
    named = next((label for label in _LABELS if label.encode() in contents), None)
    return f"its Content Credentials hold {named}, which cannot be read; run: {INSTALL}" if named else ""


def _searched(path: Path) -> Iterator[bytes]:
    """Parts of a file that may hold metadata."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(_HEADER_BYTES)
        stream.seek(0)
        if size <= _WHOLE or start[4:8] != b"ftyp":
            yield stream.read(_WHOLE)
        else:
            yield from _boxes(stream, size)


def _boxes(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Boxes at the top level of an MP4 file, without that of the frames. Source: ISO/IEC 14496-12, section 4.2."""
    place = 0
    while place + 8 <= size:
        stream.seek(place)
        header = stream.read(_HEADER_BYTES)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        # 0 is the rest of the file.
        if length < 8:
            length = size - place
        if header[4:8] != _FRAMES:
            stream.seek(place)
            yield stream.read(min(length, _WHOLE))
        place += length


def _assertion_ban(path: Path) -> str:
    try:
        credentials = read_credentials(path)
    except StyleSwapError:
        # Damaged, or on a server; nothing can be said.
        return ""
    if credentials is None:
        return ""
    manifests = credentials.store["manifests"]
    active = _statements(manifests[credentials.store["active_manifest"]])
    # What the last editor states takes the place of what the files that it was made from state.
    all_statements = active or [one for manifest in manifests.values() for one in _statements(manifest)]
    for label, entries in all_statements:
        for name, entry in entries.items():
            use = entry.get("use") if isinstance(entry, Mapping) else entry
            if use != _ALLOWED:
                return f"its Content Credentials forbid it ({label}: {name} {use})"
    return ""


def _statements(manifest: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Labels and entries of a manifest's assertions on training."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for assertion in manifest.get("assertions") or []:
        label, data = str(assertion.get("label", "")), assertion.get("data")
        name = next((name for name in _LABELS if label.startswith(name)), None)
        if name and isinstance(data, Mapping):
            entries = data.get("entries", data)
            found.append((name, entries if isinstance(entries, Mapping) else {}))
    return found
