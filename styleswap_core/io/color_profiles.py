"""Color profiles (ICC) of pictures: conversion to sRGB, which networks expect, and back."""

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

Convert = Callable[[Image.Image], Image.Image]
# Largest difference in levels of 255 between sRGB and a profile that counts as sRGB.
_SAME = 1
_GRID = 9


def to_srgb(profile: bytes, mode: str) -> Convert | None:
    """Conversion of pictures of a mode from a profile to sRGB; None for sRGB itself and for unusable profiles."""
    return _conversion(profile, mode, True)


def from_srgb(profile: bytes) -> Convert:
    """Conversion of RGB pictures from sRGB to a profile for which `to_srgb` is not None."""
    return _conversion(profile, "RGB", False) or (lambda picture: picture)


@lru_cache(maxsize=8)
def _conversion(profile: bytes, mode: str, forward: bool) -> Convert | None:
    try:
        theirs, ours = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        if forward:
            transform = ImageCms.buildTransform(theirs, ours, mode, "RGB", renderingIntent=intent)
        else:
            transform = ImageCms.buildTransform(ours, theirs, "RGB", "RGB", renderingIntent=intent)
    # A damaged profile, or one for another mode; viewers ignore those as well.
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None

    def convert(picture: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(picture, transform)
        assert converted is not None  # only where it works in place
        return converted

    return None if mode == "RGB" and _is_identity(convert) else convert


def _is_identity(convert: Convert) -> bool:
    """Whether a conversion changes no color of a grid by more than `_SAME`; most pictures have a profile of sRGB."""
    levels = np.linspace(0, 255, _GRID).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(_GRID, _GRID * _GRID, 3)
    changed = np.asarray(convert(Image.fromarray(grid)))
    return int(np.abs(changed.astype(int) - grid).max()) <= _SAME
