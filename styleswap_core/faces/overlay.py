"""Drawing of detected faces: numbered boxes and the five points."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .detected import DetectedFace

COLORS = ((255, 196, 0), (0, 200, 255), (255, 90, 150), (120, 230, 90), (190, 140, 255), (255, 140, 60))
"""Colors of successive faces, so that overlapping boxes can be told apart."""


_DOUBTFUL_COLOR = (160, 160, 160)
# Height of a number: as a share of its face, and as shares of the picture's shorter side at least and at most. At the
# least it is readable when the picture fills a screen.
_NUMBER_SHARE, _LEAST_SHARE, _MOST_SHARE = 0.2, 1 / 90, 1 / 20
_LEAST_NUMBER_PX = 14


def draw_faces(picture: np.ndarray, faces: Sequence[DetectedFace]) -> np.ndarray:
    """A copy of a picture with the box, the five points and the index of each face.

    Doubtful faces are gray, and their number has a question mark. A line from the middle of the mouth to that of the
    eyes shows which way is up.

    Args:
        picture: (H, W, 3) uint8 RGB.
        faces: Its faces.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    # Numbers come last, so that no box of another face covers them.
    for face in faces:
        _draw_face(draw, face, _unit(image.size, face))
    for face in faces:
        text = f"{face.index}?" if face.doubtful else str(face.index)
        _draw_number(draw, image.size, text, face, _unit(image.size, face))
    return np.array(image)


def _unit(size: tuple[int, int], face: DetectedFace) -> float:
    """A twelfth of the height of the face's number in pixels, to which its lines are in proportion."""
    side = float(max(face.box[2] - face.box[0], face.box[3] - face.box[1]))
    least = max(_LEAST_NUMBER_PX, min(size) * _LEAST_SHARE)
    return max(least, min(side * _NUMBER_SHARE, min(size) * _MOST_SHARE)) / 12


def _color(face: DetectedFace) -> tuple[int, int, int]:
    return _DOUBTFUL_COLOR if face.doubtful else COLORS[face.index % len(COLORS)]


def _draw_face(draw: ImageDraw.ImageDraw, face: DetectedFace, unit: float) -> None:
    color = _color(face)
    x0, y0, x1, y1 = (float(value) for value in face.box)
    # Thin on small faces, which would be covered.
    side = max(x1 - x0, y1 - y0, 1.0)
    line = max(1, round(min(2 * unit, side / 30)))
    draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=color, width=line)
    eyes, mouth = face.points[:2].mean(0), face.points[3:].mean(0)
    draw.line((*mouth.tolist(), *eyes.tolist()), fill=color, width=max(1, line // 2))
    radius = max(1.0, min(1.5 * unit, side / 30))
    for x, y in face.points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=(0, 0, 0))


def _draw_number(draw: ImageDraw.ImageDraw, size: tuple[int, int], text: str, face: DetectedFace, unit: float) -> None:
    """Draw a label above the box's upper left corner, within the picture."""
    font = ImageFont.load_default(size=round(12 * unit))
    left, top, right, bottom = font.getbbox(text)
    margin = 2 * unit
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    x = min(max(float(face.box[0]), 0.0), max(size[0] - width, 0.0))
    y = min(max(float(face.box[1]) - height, 0.0), max(size[1] - height, 0.0))
    draw.rectangle((x, y, x + width, y + height), fill=_color(face))
    draw.text((x + margin - left, y + margin - top), text, fill=(0, 0, 0), font=font)
