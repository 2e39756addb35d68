"""IPTC data of JPEG files: captions, keywords, authors and rights, as agencies and photo programs store them.

They are one of the resources in the APP13 segment of Photoshop. The others there are not kept: they repeat EXIF and XMP
data, or hold a thumbnail, which shows the picture as it was. Source: IPTC-IIM 4.2, Adobe Photoshop File Formats.
"""

import struct

_IPTC = 0x0404
_SIGNATURE = b"Photoshop 3.0\0"
# A segment states its length, which includes these two bytes, in 16 bits.
_MAX_SEGMENT = 0xFFFF - 2


def read_iptc(info: dict[str | tuple[int, int], object]) -> bytes:
    """IPTC data among what Pillow knows about a picture; empty if there are none."""
    resources = info.get("photoshop")
    found = resources.get(_IPTC) if isinstance(resources, dict) else None
    return found if isinstance(found, bytes) else b""


def iptc_segment(iptc: bytes) -> bytes:
    """APP13 segment of a JPEG file that holds IPTC data; empty for none, or for more than fit into a segment."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    content = _SIGNATURE + resource
    if not iptc or len(content) > _MAX_SEGMENT:
        return b""
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
