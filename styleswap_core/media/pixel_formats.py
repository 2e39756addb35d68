"""FFmpeg's pixel formats: what they store, and which are planar forms of each other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Formats with planes of the same samples, for formats whose samples are interleaved or in a palette.
_PLANAR = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "pal8": "gbrap",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "ya8": "yuva444p",
    "ya16be": "yuva444p16le",
    "ya16le": "yuva444p16le",
    "monow": "gray",
    "monob": "gray",
}
_NAME = re.compile(r"(?P<model>yuvj?|gbr|gray)(?P<alpha>a?)(?P<chroma>\d{3})?p?((?<=[py])(?P<bits>\d+)le)?")
# Luma samples per chroma sample, across and down.
_STEPS = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2), "411": (4, 1), "410": (4, 4), None: (1, 1)}
_MODELS = {"yuv": "yuv", "yuvj": "yuv", "gbr": "rgb", "gray": "gray"}


@dataclass(frozen=True)
class PixelFormat:
    """What a pixel format stores.

    Attributes:
        model: "yuv", "rgb" or "gray".
        bits: Bits per sample.
        steps: Luma samples per chroma sample, across and down.
        alpha: Whether there is a plane of transparency.
    """

    model: str
    bits: int
    steps: tuple[int, int]
    alpha: bool


def planar_name(name: str) -> str:
    """Planar format of little-endian samples with the same values as a format."""
    if name in _PLANAR:
        return _PLANAR[name]
    return f"{name[:-2]}le" if name.endswith("be") else name


@lru_cache(maxsize=256)
def describe_format(name: str) -> PixelFormat | None:
    """What a format stores; None for formats of other kinds, such as floating-point ones."""
    found = _NAME.fullmatch(planar_name(name))
    if found is None:
        return None
    return PixelFormat(_MODELS[found["model"]], int(found["bits"] or 8), _STEPS[found["chroma"]], bool(found["alpha"]))


def closest_format(source: str, formats: Sequence[str], lossless: bool) -> str:
    """The format of an encoder that loses least of a source format.

    Args:
        source: Format of the source.
        formats: Formats of the encoder; none if it takes any.
        lossless: Whether RGB must stay RGB, which hardly any player shows.
    """
    wanted = describe_format(source)
    known = {name: form for name in formats if (form := describe_format(name)) is not None}
    if wanted is None or not known:
        return formats[0] if formats else source
    models = {form.model for form in known.values()}
    if wanted.model not in models or (wanted.model == "rgb" and "yuv" in models and not lossless):
        wanted = PixelFormat("yuv", wanted.bits, (2, 2), wanted.alpha)
    elif source in formats:
        return source

    def loss(name: str) -> tuple[float, ...]:
        form = known[name]
        area, wanted_area = (steps[0] * steps[1] for steps in (form.steps, wanted.steps))
        return (
            form.model != wanted.model,
            wanted.alpha and not form.alpha,
            max(0, wanted.bits - form.bits),
            max(0, area - wanted_area),
            form.bits + form.alpha + wanted_area / area,
            list(formats).index(name),
        )

    return min(known, key=loss)


def keeps(chosen: str, source: str) -> bool:
    """Whether a format stores the samples of another one exactly."""
    return chosen == source or (describe_format(chosen) == describe_format(source) is not None)
