"""Opening of pictures with Pillow, and of HEIC with the optional package pillow-heif."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from ..errors import StyleSwapError

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(start: bytes) -> bool:
    """Whether a file that starts with these bytes, 12 or more, is a HEIC picture, of iPhones for instance."""
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS


def open_picture(source: Path | BytesIO, start: bytes) -> Image.Image:
    """Open a picture with Pillow.

    Args:
        source: The file.
        start: Its first bytes.

    Raises:
        StyleSwapError: A HEIC picture, but pillow-heif is not installed.
    """
    if not is_heic(start):
        return Image.open(source)
    try:
        import pillow_heif
    except ImportError as error:
        # "mif1" may also be an AVIF picture, which Pillow reads itself.
        if start[8:12] in (b"mif1", b"msf1"):
            return Image.open(source)
        raise StyleSwapError(
            f"{source} is a HEIC picture, for which the package pillow-heif is missing; install it with: pip install"
            " pillow-heif, or save the picture as JPEG"
        ) from error
    pillow_heif.register_heif_opener()
    return Image.open(source)
