"""Pictures with more than 8 bits per sample, which Pillow reads with 8 bits or not at all, and writes not at all."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from ..errors import StyleSwapError, decoding
from .png_chunks import profile_chunk, text_chunk, with_chunks

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}
"""Value of white by type of the samples."""

EXIF_DIRECTORIES = (34665, 34853)
"""Tags of the directories of EXIF and GPS data in a TIFF."""

DESCRIPTIVE_TAGS = (270, 271, 272, 305, 306, 315, 33432, *EXIF_DIRECTORIES)
"""Tags that describe a TIFF's contents instead of the layout of its pixels: description, maker, model, software, date,
author, copyright, EXIF, GPS."""

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a TIFF."""
    return start[:4] in _TIFF_STARTS


def read_deep(path: Path) -> np.ndarray:
    """Samples (H, W, 3 or 4) of a PNG or TIFF, RGB, uint8, uint16, or float32 with 1 for white.

    Integers of 32 bits, of which some programs use only the lowest 8 or 16, are scaled by the smallest range of 8, 16
    and 32 bits that holds them.

    Raises:
        StyleSwapError: A damaged file, or floating-point values outside of 0..1.
    """
    import cv2

    with decoding(f"{path} is truncated or damaged, or of an unsupported kind", "save it again with 8 or 16 bits"):
        level = cv2.utils.logging.getLogLevel()
        # What is wrong with a file is said in one sentence instead.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(level)
        if decoded is None:
            raise ValueError("no pixels could be decoded")
        samples: np.ndarray = np.atleast_3d(decoded)
        if samples.shape[2] >= 3:
            samples = samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    if samples.dtype.kind == "f":
        samples = _checked_floats(path, samples)
    elif samples.dtype.itemsize > 2:
        samples = narrowed(samples)
    return np.ascontiguousarray(np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples)


def narrowed(samples: np.ndarray) -> np.ndarray:
    """Integers of more than 16 bits as uint8 or uint16."""
    top = int(samples.max(initial=0))
    samples = np.clip(samples, 0, None)
    if top <= 255:
        return samples.astype(np.uint8)
    return samples.astype(np.uint16) if top <= 65535 else (samples.astype(np.int64) >> 16).astype(np.uint16)


def write_deep_png(samples: np.ndarray, profile: bytes | None, exif: bytes, texts: dict[str, str]) -> bytes:
    """A PNG file of samples (H, W, 3 or 4) uint16."""
    import cv2

    encoded = cv2.imencode(".png", samples[..., [2, 1, 0, 3][: samples.shape[2]]])[1].tobytes()
    chunks = [profile_chunk(profile)] if profile else []
    chunks += [(b"eXIf", exif.removeprefix(b"Exif\0\0"))] if exif else []
    return with_chunks(encoded, [*chunks, *(text_chunk(key, value) for key, value in texts.items())])


def write_deep_tiff(samples: np.ndarray, profile: bytes | None, exif: bytes = b"") -> bytes:
    """An uncompressed TIFF file of samples (H, W, 3 or 4), uint16 or float32."""
    height, width, channels = samples.shape
    data = samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    directory[256], directory[257] = width, height
    directory[258] = (samples.dtype.itemsize * 8,) * channels
    directory[259], directory[262], directory[284] = 1, 2, 1  # uncompressed, RGB, interleaved
    directory[277], directory[278] = channels, height
    directory[339] = (3 if samples.dtype.kind == "f" else 1,) * channels
    directory.tagtype[273] = directory.tagtype[279] = 4  # LONG
    directory[273], directory[279] = 0, len(data)  # Pillow adds the end of the directory
    if channels == 4:
        directory[338] = 2  # alpha that is not multiplied into the colors
    if profile:
        directory.tagtype[34675] = 7
        directory[34675] = profile
    plain = _saved(directory, data)
    with suppress(StyleSwapError), decoding("its EXIF data is damaged", "leave it out"):
        tags = Image.Exif()
        tags.load(exif)
        for tag in DESCRIPTIVE_TAGS:
            if tag in tags:
                directory[tag] = dict(tags.get_ifd(tag)) if tag in EXIF_DIRECTORIES else tags[tag]
        return _saved(directory, data)
    return plain


def _saved(directory: TiffImagePlugin.ImageFileDirectory_v2, data: bytes) -> bytes:
    stream = BytesIO()
    directory.save(stream)
    stream.write(data)
    return stream.getvalue()


def _checked_floats(path: Path, samples: np.ndarray) -> np.ndarray:
    low, high = float(samples.min(initial=0.0)), float(samples.max(initial=0.0))
    if not (low >= 0.0 and high <= 1.0):
        raise StyleSwapError(
            f"expected floating-point pixels from 0 to 1, {path} has {low:g} to {high:g}; scale them, or save the"
            " picture with 8 or 16 bits"
        )
    return samples.astype(np.float32, copy=False)
