"""Pictures that may be animated, as Pillow opens them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from PIL import Image

from ..errors import StyleSwapError, decoding

# Pillow's names.
_KINDS = ("GIF", "WEBP", "PNG")


def is_animation(source: Path | BytesIO) -> bool:
    """Whether a file is a GIF, WebP or PNG with several frames; a GIF may also have one."""
    damaged = decoding("its frames are damaged", "save it again")
    with suppress(StyleSwapError), damaged, opened_animation(source) as picture:
        return picture is not None and (picture.format == "GIF" or getattr(picture, "n_frames", 1) > 1)
    return False


@contextmanager
def opened_animation(source: Path | BytesIO) -> Iterator[Image.Image | None]:
    """The open file, or None for other than GIF, WebP and PNG."""
    if isinstance(source, BytesIO):
        source.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with decoding("the file is damaged", "save it again"):
                picture = Image.open(source, formats=_KINDS)
        except StyleSwapError:
            yield None
            return
        with picture:
            yield picture
