"""Picture files for tests of the preparation."""

from pathlib import Path

import cv2
import numpy as np


def encoded(picture: np.ndarray, suffix: str = ".jpg", quality: int = 95) -> bytes:
    """A picture (H, W, 3) uint8 RGB as the content of a file."""
    return cv2.imencode(suffix, picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture, path.suffix))
