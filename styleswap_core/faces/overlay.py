"""Drawing of detected faces: numbered boxes and the five points."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .detected import DetectedFace

COLORS = ((255, 196, 0), (0, 200, 255), (255, 90, 150), (120, 230, 90), (190, 140, 255), (255, 140, 60))
"""Colors of successive faces, so that overlapping boxes can be told apart."""


def draw_faces(picture: np.ndarray, faces: Sequence[DetectedFace]) -> np.ndarray:
    """A copy of the picture (H, W, 3) uint8 with the box, the five points and the index of each face."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    unit = max(1, round(min(image.size) / 250))
    for face in faces:
        color = COLORS[face.index % len(COLORS)]
        x0, y0, x1, y1 = (float(value) for value in face.box)
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=color, width=2 * unit)
        for x, y in face.points:
            draw.ellipse(
                (x - 1.5 * unit, y - 1.5 * unit, x + 1.5 * unit, y + 1.5 * unit), fill=color, outline=(0, 0, 0)
            )
        _draw_number(draw, image.size, str(face.index), (x0, y0), color, unit)
    return np.array(image)


def _draw_number(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    text: str,
    corner: tuple[float, float],
    color: tuple[int, int, int],
    unit: int,
) -> None:
    """Draw a label at the box's upper left corner, within the picture."""
    font = ImageFont.load_default(size=max(14, 12 * unit))
    left, top, right, bottom = font.getbbox(text)
    width, height = right - left + 4 * unit, bottom - top + 4 * unit
    x = min(max(corner[0], 0), max(size[0] - width, 0))
    y = min(max(corner[1] - height, 0), max(size[1] - height, 0))
    draw.rectangle((x, y, x + width, y + height), fill=color)
    draw.text((x + 2 * unit - left, y + 2 * unit - top), text, fill=(0, 0, 0), font=font)
