"""Picture files with everything that a result of their pixels keeps: samples, depth, color profile, alpha, metadata."""

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from ..errors import StyleSwapError, decoding, one_line
from .color_profiles import from_srgb, to_srgb
from .deep_pictures import DESCRIPTIVE_TAGS, EXIF_DIRECTORIES, WHITE, is_tiff, narrowed, read_deep
from .exif import read_orientation, upright_exif
from .files import require_file
from .iptc import read_iptc
from .picture_formats import open_picture
from .png_chunks import bit_depth, pillow_source

MIN_SIDE = 16
"""Minimum side of a picture in pixels; smaller pictures cannot show a face."""

_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
XMP_KEY = "XML:com.adobe.xmp"
"""Key of XMP data among the text chunks of a PNG."""

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[1-8]")
_MAX_DOTS = 100_000
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture as its file has it, upright.

    Attributes:
        seen: (H, W, 3) uint8 sRGB, composited over white: what networks and people see.
        samples: (H, W, 3) in the color space of `profile`: uint8, uint16, or float32 with 1 for white.
        alpha: (H, W), of the type of `samples`; None for opaque pictures.
        profile: ICC profile of `samples`; None for sRGB.
        exif: EXIF data, true for the upright picture and without thumbnail; empty if there is none.
        xmp: XMP data likewise.
        iptc: IPTC data of a JPEG file.
        texts: Text chunks of a PNG, without XMP data.
        dots_per_inch: Resolution for printing, or None.
        lossless: Whether a WebP file is lossless.
        frames: Number of frames of an animation, of which this is the first; otherwise 1.
    """

    seen: np.ndarray
    samples: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: Mapping[str, str] = field(default_factory=dict)
    dots_per_inch: tuple[float, float] | None = None
    lossless: bool = False
    frames: int = 1

    def with_pixels(self, result: np.ndarray, weight: np.ndarray) -> "PictureFile":
        """The picture with changed pixels; all others keep their samples.

        Args:
            result: (H, W, 3) uint8 sRGB, made from `seen`.
            weight: (H, W) in 0..1, how much of each pixel of `result` is new. Where a pixel is partly new, what its
                sample holds beyond `seen` (further bits, colors outside of sRGB) is kept in proportion.
        """
        if self.samples is self.seen:
            return replace(self, seen=result, samples=result)
        changed = (result != self.seen).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not len(rows):
            return self
        # Only the box around the changes is converted.
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        white = WHITE[self.samples.dtype]
        old = self.samples[box].astype(np.float32)
        kept = old - self._as_samples(self.seen[box], box)
        new = self._as_samples(result[box], box) + kept * (1.0 - weight[box].astype(np.float32)[..., None])
        new = np.clip(new, 0.0, white)
        if self.samples.dtype.kind == "u":
            new = np.rint(new)
        visible = changed[box] if self.alpha is None else changed[box] & (self.alpha[box] > 0)
        samples = self.samples.copy()
        samples[box] = np.where(visible[..., None], new, old).astype(samples.dtype)
        return replace(self, seen=result, samples=samples)

    def _as_samples(self, seen: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
        """Samples, float32, that would be seen as `seen`."""
        own = seen
        if self.profile is not None and to_srgb(self.profile, "RGB") is not None:
            own = np.asarray(from_srgb(self.profile)(Image.fromarray(np.ascontiguousarray(seen))))
        white = WHITE[self.samples.dtype]
        values = own.astype(np.float32) * np.float32(white / 255.0)
        if self.alpha is None:
            return values
        opacity = np.maximum(self.alpha[box].astype(np.float32), white / 255.0)[..., None] / np.float32(white)
        return np.clip((values - white * (1.0 - opacity)) / opacity, 0.0, white)


def read_picture(path: str | Path) -> PictureFile:
    """Read a picture file.

    Gray, palette and CMYK pictures become RGB. An animation yields its first frame.

    Raises:
        StyleSwapError: No such file; a damaged file or not a picture; floating-point pixels outside of 0..1; a side
            under MIN_SIDE pixels; more pixels than Pillow's decompression limit, about 179 million.
    """
    path = Path(path)
    require_file(path, "a picture file")
    try:
        # Pillow warns from half of its limit on, and of oddities that do not keep it from reading the picture.
        with warnings.catch_warnings(), decoding(f"{path} is truncated or damaged", "save it again"):
            warnings.simplefilter("ignore")
            return _read(path)
    except StyleSwapError as error:
        cause = error.__cause__
        if isinstance(cause, Image.DecompressionBombError):
            raise StyleSwapError(f"{path} is too large ({one_line(cause)}); scale it down first") from cause
        if isinstance(cause, PermissionError):
            raise StyleSwapError(f"no permission to read {path}; change its permissions") from cause
        if isinstance(cause, Image.UnidentifiedImageError):
            raise StyleSwapError(f"{path} is not a picture in a supported format; use PNG, JPEG or WebP") from cause
        raise


def read_texts(path: str | Path) -> dict[str, str]:
    """Text chunks of a PNG file; empty for other pictures.

    Raises:
        StyleSwapError: Not a readable picture.
    """
    path = Path(path)
    require_file(path, "a picture file")
    with warnings.catch_warnings(), decoding(f"{path} is not a readable picture", "save it again"):
        warnings.simplefilter("ignore")
        with Image.open(pillow_source(path)[0]) as opened:
            return {key: str(value) for key, value in getattr(opened, "text", {}).items()}


def _read(path: Path) -> PictureFile:
    source, large_profile = pillow_source(path)
    with open(path, "rb") as stream:
        start = stream.read(16)
    try:
        opened = open_picture(source, start)
    except Image.UnidentifiedImageError:
        if not is_tiff(start):
            raise
        # Color with 32 bits per sample, which Pillow does not know.
        return _finished(path, read_deep(path), None, {})
    with opened:
        _check_side(path, *opened.size)
        profile = large_profile or opened.info.get("icc_profile") or None
        if _is_deep(path, opened):
            samples = read_deep(path)
        else:
            samples, profile = _shallow(opened, profile)
        # Pillow and OpenCV turn TIFF pictures themselves.
        if opened.format != "TIFF":
            samples = _upright(samples, _orientation(opened))
        details = _details(opened, start)
    return _finished(path, samples, profile, details)


def _finished(path: Path, samples: np.ndarray, profile: bytes | None, details: dict[str, object]) -> PictureFile:
    _check_side(path, samples.shape[1], samples.shape[0])
    white = WHITE[samples.dtype]
    alpha = samples[..., 3] if samples.shape[2] == 4 else None
    colors = samples[..., :3]
    eight = colors if samples.dtype == np.uint8 else np.rint(colors * (255.0 / white)).astype(np.uint8)
    seen = eight
    if alpha is not None and not bool((alpha == white).all()):
        opacity = alpha.astype(np.float32)[..., None] / np.float32(white)
        seen = np.rint(eight * opacity + 255.0 * (1.0 - opacity)).astype(np.uint8)
    convert = to_srgb(profile, "RGB") if profile else None
    if convert is not None:
        seen = np.array(convert(Image.fromarray(np.ascontiguousarray(seen))))
    seen = np.ascontiguousarray(seen)
    plain = alpha is None and convert is None and samples.dtype == np.uint8
    return PictureFile(seen, seen if plain else colors, alpha, profile, **details)  # type: ignore[arg-type]


def _shallow(opened: Image.Image, profile: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """Samples (H, W, 3 or 4) of 8 or 16 bits, and the profile if they are in its color space."""
    mode = opened.mode
    if mode == "F" or mode.startswith("I"):
        levels = np.asarray(opened)
        levels = levels if levels.dtype == np.uint16 else narrowed(levels)
        return np.repeat(levels[..., None].astype(levels.dtype.newbyteorder("=")), 3, axis=2), None
    if mode in _ALPHA_MODES or "transparency" in opened.info:
        return np.array(opened.convert("RGBA")), profile
    if mode in ("RGB", "P"):
        return np.array(opened.convert("RGB")), profile
    convert = to_srgb(profile, mode) if profile and mode in ("L", "CMYK", "LAB") else None
    return np.array(convert(opened) if convert else opened.convert("RGB")), None


def _is_deep(path: Path, opened: Image.Image) -> bool:
    """Whether the file has color or floating-point samples of more than 8 bits."""
    if opened.mode.startswith("I"):
        return False
    if opened.format == "PNG":
        return bit_depth(path) == 16
    return isinstance(opened, TiffImagePlugin.TiffImageFile) and max(opened.tag_v2.get(258, (8,))) > 8


def _upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    turned = {
        1: samples,
        2: samples[:, ::-1],
        3: samples[::-1, ::-1],
        4: samples[::-1],
        5: samples.swapaxes(0, 1),
        6: np.rot90(samples, -1),
        7: np.rot90(samples, 2).swapaxes(0, 1),
        8: np.rot90(samples),
    }
    return np.ascontiguousarray(turned[orientation])


def _orientation(opened: Image.Image) -> int:
    """Orientation in the EXIF data, or else in the XMP data; 1 if neither states a valid one."""
    stated = read_orientation(opened.info.get("exif", b""))
    found = None if stated else _XMP_ORIENTATION.search(_xmp(opened))
    return stated or (int(found[0][-1:]) if found else 1)


def _xmp(opened: Image.Image) -> bytes:
    xmp = opened.info.get("xmp", b"")
    return xmp if isinstance(xmp, bytes) else b""


def _details(opened: Image.Image, start: bytes) -> dict[str, object]:
    """Values of the attributes of PictureFile that are not pixels."""
    exif = opened.info.get("exif", b"")
    return {
        "exif": _tiff_exif(opened) if opened.format == "TIFF" else upright_exif(exif),
        "xmp": _XMP_ORIENTATION.sub(rb"\g<1>1", _xmp(opened)),
        "iptc": read_iptc(opened.info) if opened.format in ("JPEG", "MPO") else b"",
        # After the pixels, which texts may follow.
        "texts": {key: str(value) for key, value in getattr(opened, "text", {}).items() if key != XMP_KEY},
        "dots_per_inch": _dots_per_inch(opened.info.get("dpi")),
        "lossless": start[:4] == b"RIFF" and start[12:16] == b"VP8L",
        # Further frames of other formats are previews.
        "frames": getattr(opened, "n_frames", 1) if opened.format in _ANIMATED else 1,
    }


def _dots_per_inch(stated: object) -> tuple[float, float] | None:
    if not isinstance(stated, tuple) or len(stated) != 2:
        return None
    across, down = map(float, stated)
    return (across, down) if 0 < across < _MAX_DOTS and 0 < down < _MAX_DOTS else None


def _tiff_exif(opened: Image.Image) -> bytes:
    """EXIF data of a TIFF file; empty if it cannot be written."""
    with suppress(StyleSwapError), decoding("its EXIF data is damaged", "leave it out"):
        all_tags = opened.getexif()
        kept = Image.Exif()
        for tag in DESCRIPTIVE_TAGS:
            if tag in all_tags:
                kept[tag] = all_tags.get_ifd(tag) if tag in EXIF_DIRECTORIES else all_tags[tag]
        return kept.tobytes() if len(kept) else b""
    return b""


def _check_side(path: Path, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise StyleSwapError(
            f"expected a picture of at least {MIN_SIDE} px per side, {path} has {width} x {height}; use a larger one"
        )
