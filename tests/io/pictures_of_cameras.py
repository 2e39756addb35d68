"""JPEG files as cameras write them, with EXIF data that has a date, a thumbnail and a maker's notes."""

from io import BytesIO

import numpy as np
from PIL import Image


def colors(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture (H, W, 3) uint8."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 4 % 256, columns * 3 % 256, (rows + columns) * 2 % 256], axis=-1).astype(np.uint8)


def camera_exif(orientation: int = 1, thumbnail: bytes = b"") -> bytes:
    """EXIF data with orientation, date, notes, place, and a thumbnail if given."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110], exif[0x0132] = orientation, "Maker", "Model", "2026:01:01 10:00:00"
    exif[0x011A] = 72.0
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0x829A], details[0x927C] = "2026:01:01 10:00:00", (1, 100), b"Notes\0" * 8
    exif.get_ifd(0x8825)[1] = "N"
    data = exif.tobytes()
    if not thumbnail:
        return data
    # A second directory of two entries, linked from the first.
    tiff = bytearray(data.removeprefix(b"Exif\0\0"))
    order = "little" if tiff[:2] == b"II" else "big"
    first = int.from_bytes(tiff[4:8], order)
    link = first + 2 + 12 * int.from_bytes(tiff[first : first + 2], order)
    second = len(tiff)
    start = second + 2 + 24 + 4
    tiff[link : link + 4] = second.to_bytes(4, order)
    tiff += (2).to_bytes(2, order)
    for tag, value in ((0x0201, start), (0x0202, len(thumbnail))):
        tiff += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
    return b"Exif\0\0" + bytes(tiff + bytes(4) + thumbnail)


def jpeg(picture: np.ndarray, **options: object) -> bytes:
    """A JPEG file."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", **options)
    return stream.getvalue()
