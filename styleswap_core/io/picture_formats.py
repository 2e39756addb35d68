"""Opening of pictures with Pillow: AVIF with version 11.3 or newer, and HEIC with the optional package pillow-heif."""

from io import BytesIO
from pathlib import Path

from PIL import Image, features

from ..errors import StyleSwapError

_AVIF = (b"avif", b"avis")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(start: bytes) -> bool:
    """Whether a file that starts with these bytes, 12 or more, is a HEIC picture, of iPhones for instance."""
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS


def require_avif(path: object) -> None:
    """Check that Pillow reads and writes AVIF.

    Raises:
        StyleSwapError: It does not.
    """
    if "avif" not in features.modules or not features.check("avif"):
        raise StyleSwapError(
            f"{path} is an AVIF picture, which needs Pillow 11.3 or newer; update it with: pip install -U Pillow, or"
            " use PNG, JPEG or WebP"
        )


def open_picture(source: Path | BytesIO, start: bytes) -> Image.Image:
    """Open a picture with Pillow.

    Args:
        source: The file.
        start: Its first bytes.

    Raises:
        StyleSwapError: An AVIF or HEIC picture, and what reads it is not installed.
    """
    if start[4:8] == b"ftyp" and start[8:12] in _AVIF:
        require_avif(source)
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
