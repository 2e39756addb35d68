"""Writing of picture files: the formats, and what each of them can hold."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ..errors import StyleSwapError
from .deep_pictures import WHITE, write_deep_png, write_deep_tiff
from .files import Finish, atomic_write
from .iptc import iptc_segment
from .picture_file import XMP_KEY, PictureFile
from .picture_formats import require_avif

_JPEG: tuple[str, dict[str, object]] = ("JPEG", {"quality": 95, "subsampling": 0})
_TIFF: tuple[str, dict[str, object]] = ("TIFF", {})
_WRITERS: dict[str, tuple[str, dict[str, object]]] = {
    ".png": ("PNG", {}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jfif": _JPEG,
    ".webp": ("WEBP", {"quality": 95}),
    ".avif": ("AVIF", {"quality": 90}),
    ".jp2": ("JPEG2000", {}),
    ".bmp": ("BMP", {}),
    ".tif": _TIFF,
    ".tiff": _TIFF,
}
WRITTEN_SUFFIXES = tuple(_WRITERS)
"""Suffixes of the formats that can be written."""

_WITH_ALPHA = ("PNG", "WEBP", "AVIF", "JPEG2000", "TIFF")
_WITH_PROFILE = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF")
_WITH_XMP = ("JPEG", "WEBP", "AVIF")


def check_image_suffix(path: str | Path) -> None:
    """Check that a suffix can be written; for use before long computations.

    Raises:
        StyleSwapError: It cannot.
    """
    if Path(path).suffix.lower() not in _WRITERS:
        raise StyleSwapError(f"expected a file name ending in {', '.join(_WRITERS)}, got {str(path)!r}; rename it")
    if Path(path).suffix.lower() == ".avif":
        require_avif(path)


def write_picture(
    path: str | Path, picture: PictureFile, texts: Mapping[str, str] | None = None, finish: Finish | None = None
) -> None:
    """Write a picture atomically, in the format of the suffix, with as much of it as the format can hold.

    Where it holds less, the picture is what `seen` shows: 8 bits for 16, sRGB in place of a profile, white for
    transparency.

    Args:
        path: The file.
        picture: The picture.
        texts: Further text chunks of a PNG, which replace those of the same name; ignored for other formats.
        finish: Called with the complete file before it gets its name.

    Raises:
        StyleSwapError: An unknown suffix, or a folder that cannot be written to.
    """
    path = Path(path)
    check_image_suffix(path)
    format_name, options = _WRITERS[path.suffix.lower()]
    xmp = {XMP_KEY: picture.xmp.decode("utf-8", "replace")} if picture.xmp else {}
    all_texts = {**xmp, **picture.texts, **(texts or {})}
    deep = picture.samples.dtype != np.uint8
    with atomic_write(path, finish) as temporary:
        if deep and format_name == "PNG":
            temporary.write_bytes(
                write_deep_png(_as_uint16(_pixels(picture)), picture.profile, picture.exif, all_texts)
            )
        elif deep and format_name == "TIFF":
            temporary.write_bytes(write_deep_tiff(_pixels(picture), picture.profile, picture.exif))
        else:
            pixels, profile = _shallow(picture, format_name)
            extra = _extras(picture, format_name, profile, all_texts)
            Image.fromarray(pixels).save(temporary, format=format_name, **{**options, **extra})


def save_image(
    path: str | Path, image: np.ndarray, metadata: Mapping[str, str] | None = None, finish: Finish | None = None
) -> None:
    """Write an array as a picture atomically, in the format of the suffix.

    Args:
        path: The file.
        image: (H, W, 3) RGB, (H, W, 4) RGBA, or (H, W) or (H, W, 1) gray, uint8.
        metadata: Text chunks of a PNG; ignored for other formats.
        finish: Called with the complete file before it gets its name.

    Raises:
        StyleSwapError: An unknown suffix, a missing folder, or an array of another shape or type.
    """
    path = Path(path)
    check_image_suffix(path)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise StyleSwapError(
            f"expected a uint8 picture (H, W, 3) or (H, W), got {image.dtype} {image.shape}; convert with to_uint8"
        )
    format_name, options = _WRITERS[path.suffix.lower()]
    array = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if array.ndim == 3 and array.shape[2] == 4 and format_name not in _WITH_ALPHA:
        array = _over_white(array)
    with atomic_write(path, finish) as temporary:
        # Pillow ignores `pnginfo` for other formats.
        Image.fromarray(array).save(temporary, format=format_name, pnginfo=_png_texts(metadata or {}), **options)


def _pixels(picture: PictureFile) -> np.ndarray:
    return picture.samples if picture.alpha is None else np.dstack([picture.samples, picture.alpha])


def _as_uint16(samples: np.ndarray) -> np.ndarray:
    scale = 65535.0 / WHITE[samples.dtype]
    return samples if scale == 1.0 else np.rint(samples * scale).astype(np.uint16)


def _shallow(picture: PictureFile, format_name: str) -> tuple[np.ndarray, bytes | None]:
    """Pixels (H, W, 3 or 4) uint8, and their profile."""
    can_alpha, can_profile = format_name in _WITH_ALPHA, format_name in _WITH_PROFILE
    if (picture.alpha is not None and not can_alpha) or (picture.profile and not can_profile):
        return picture.seen, None
    pixels = _pixels(picture)
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels * (255.0 / WHITE[pixels.dtype])).astype(np.uint8)
    return pixels, picture.profile


def _extras(
    picture: PictureFile, format_name: str, profile: bytes | None, texts: Mapping[str, str]
) -> dict[str, object]:
    """Arguments of Pillow for what is not pixels."""
    extra: dict[str, object] = {}
    if profile:
        extra["icc_profile"] = profile
    if picture.exif and format_name in (*_WITH_XMP, "PNG", "TIFF"):
        extra["exif"] = picture.exif
    if picture.xmp and format_name in _WITH_XMP:
        extra["xmp"] = picture.xmp
    if picture.iptc and format_name == "JPEG":
        extra["extra"] = iptc_segment(picture.iptc)
    if picture.dots_per_inch and format_name in ("PNG", "JPEG", "TIFF", "BMP"):
        extra["dpi"] = picture.dots_per_inch
    if format_name == "PNG":
        extra["pnginfo"] = _png_texts(texts)
    if format_name == "WEBP" and picture.lossless:
        extra |= {"lossless": True, "quality": 80, "exact": True}
    return extra


def _png_texts(texts: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        # Written as tEXt where Latin-1 suffices; not every reader supports iTXt.
        chunks.add_text(key, value)
    return chunks


def _over_white(pixels: np.ndarray) -> np.ndarray:
    opacity = pixels[..., 3:].astype(np.float32) / 255.0
    return np.rint(pixels[..., :3] * opacity + 255.0 * (1.0 - opacity)).astype(np.uint8)
