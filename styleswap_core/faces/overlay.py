"""Drawing of detected faces: numbered boxes, the five points, and likeness as color."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .boxes import longer_side
from .detected import DetectedFace

COLORS = ((255, 196, 0), (0, 200, 255), (255, 90, 150), (120, 230, 90), (190, 140, 255), (255, 140, 60))
"""Colors of successive faces, so that overlapping boxes can be told apart."""

LIKENESS_COLORS = ((0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (254, 232, 56))
"""The map "cividis", which people with and without color vision deficiency see alike: from dark blue to yellow."""

LIKENESS_RANGE = (0.0, 0.7)
"""Cosine similarities of the first and the last of `LIKENESS_COLORS`. At the last, two faces are clearly one person."""

_DOUBTFUL_COLOR = (160, 160, 160)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
# Height of a number: as a share of its face, and as shares of the picture's shorter side at least and at most. The
# first minimum can be read in a node, where a picture is small, the last one where it fills a screen; a crowd gets the
# first at which no number covers a face or another number.
_NUMBER_SHARE, _LEAST_SHARES, _MOST_SHARE = 0.2, (1 / 32, 1 / 45, 1 / 64, 1 / 90), 1 / 16
_LEAST_NUMBER_PX = 14

_Color = tuple[int, int, int]


def likeness_color(likeness: float) -> _Color:
    """Color of a cosine similarity on the scale of `LIKENESS_COLORS` over `LIKENESS_RANGE`."""
    low, high = LIKENESS_RANGE
    place = float(np.clip((likeness - low) / (high - low), 0, 1)) * (len(LIKENESS_COLORS) - 1)
    below = min(int(place), len(LIKENESS_COLORS) - 2)
    pairs = zip(LIKENESS_COLORS[below], LIKENESS_COLORS[below + 1], strict=True)
    r, g, b = (round(first + (second - first) * (place - below)) for first, second in pairs)
    return r, g, b


def draw_faces(
    picture: np.ndarray, faces: Sequence[DetectedFace], likeness: Sequence[float | None] | None = None
) -> np.ndarray:
    """A copy of a picture with the box, the five points and the index of each face.

    Doubtful faces are gray, and their number has a question mark. A line from the middle of the mouth to that of the
    eyes shows which way is up. With `likeness`, the value follows the number and determines the color.

    Args:
        picture: (H, W, 3) uint8 RGB.
        faces: Its faces.
        likeness: Cosine similarity of each face to a reference; None for a face that has none, or for all.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    values = likeness if likeness is not None else [None] * len(faces)
    colors = [_color(face, value) for face, value in zip(faces, values, strict=True)]
    # Numbers come last, so that no box of another face covers them.
    for face, color in zip(faces, colors, strict=True):
        _draw_face(draw, face, color, _number_height(image.size, face) / 12)
    texts = [_text(face, value) for face, value in zip(faces, values, strict=True)]
    for label, color in zip(_place_labels(image.size, faces, texts), colors, strict=True):
        label.draw(draw, color)
    return np.array(image)


@dataclass(frozen=True)
class _Label:
    """A number at its place.

    Attributes:
        text: What it says.
        height: Height of the font in pixels.
        box: Left, top, right and bottom in pixels.
    """

    text: str
    height: float
    box: tuple[float, float, float, float]

    def draw(self, draw: ImageDraw.ImageDraw, color: _Color) -> None:
        """Draw it in the color of its face, with black or white text, whichever has more contrast."""
        font = ImageFont.load_default(size=round(self.height))
        left, top, *_ = font.getbbox(self.text)
        margin = self.height / 6
        draw.rectangle(self.box, fill=color)
        dark = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 120
        x, y = self.box[0] + margin - left, self.box[1] + margin - top
        draw.text((x, y), self.text, fill=_WHITE if dark else _BLACK, font=font)


def _text(face: DetectedFace, likeness: float | None) -> str:
    number = f"{face.index}?" if face.doubtful else str(face.index)
    return number if likeness is None else f"{number}  {likeness:.2f}"


def _color(face: DetectedFace, likeness: float | None) -> _Color:
    if face.doubtful:
        return _DOUBTFUL_COLOR
    return COLORS[face.index % len(COLORS)] if likeness is None else likeness_color(likeness)


def _corners(face: DetectedFace) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in face.box)
    return x0, y0, max(x0, x1), max(y0, y1)


def _number_height(size: tuple[int, int], face: DetectedFace, share: float = _LEAST_SHARES[-1]) -> float:
    """Height of a face's number in pixels, to which its lines are in proportion, with a least share of the picture."""
    side = longer_side(face.box)
    least = max(_LEAST_NUMBER_PX, min(size) * share)
    return max(least, min(side * _NUMBER_SHARE, min(size) * _MOST_SHARE))


def _draw_face(draw: ImageDraw.ImageDraw, face: DetectedFace, color: _Color, unit: float) -> None:
    x0, y0, x1, y1 = _corners(face)
    # Thin on small faces, which would be covered.
    side = max(x1 - x0, y1 - y0, 1.0)
    line = max(1, round(min(2 * unit, side / 30)))
    # Edges that are visible on every background.
    edge = max(1, line // 3)
    contrast = _WHITE if sum(color) < 300 else _BLACK
    draw.rectangle((x0 - edge, y0 - edge, x1 + edge, y1 + edge), outline=contrast, width=edge)
    draw.rectangle((x0, y0, x1, y1), outline=color, width=line)
    eyes, mouth = face.points[:2].mean(0), face.points[3:].mean(0)
    draw.line((*mouth.tolist(), *eyes.tolist()), fill=color, width=max(1, line // 2))
    radius = max(1.0, min(1.5 * unit, side / 30))
    for x, y in face.points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=contrast)


def _place_labels(size: tuple[int, int], faces: Sequence[DetectedFace], texts: Sequence[str]) -> list[_Label]:
    """The numbers of the faces beside their boxes and within the picture of a size (width, height)."""
    boxes = np.array([_corners(face) for face in faces], np.float32).reshape(-1, 4)
    for share in _LEAST_SHARES:
        labels: list[_Label] = []
        crowded = False
        for face, text in zip(faces, texts, strict=True):
            taken = np.vstack([boxes, *(label.box for label in labels)])
            places = _label_places(size, face, text, _number_height(size, face, share))
            free = next((place for place in places if not _covers(place.box, taken)), None)
            crowded |= free is None
            labels.append(free or places[0])
        if not crowded:
            break
    return labels


def _label_places(size: tuple[int, int], face: DetectedFace, text: str, height: float) -> list[_Label]:
    """The places of a face's number: above and below its box, flush left, then flush right; then beside it."""
    left, top, right, bottom = ImageFont.load_default(size=round(height)).getbbox(text)
    width, tall = right - left + height / 3, bottom - top + height / 3
    x0, y0, x1, y1 = _corners(face)
    labels = []
    for x, y in ((x0, y0 - tall), (x0, y1), (x1 - width, y0 - tall), (x1 - width, y1), (x1, y0), (x0 - width, y0)):
        x, y = min(max(x, 0.0), max(size[0] - width, 0.0)), min(max(y, 0.0), max(size[1] - tall, 0.0))
        labels.append(_Label(text, height, (x, y, x + width, y + tall)))
    return labels


def _covers(box: tuple[float, float, float, float], taken: np.ndarray) -> bool:
    """Whether a box overlaps one of others (N, 4) by more than a line."""
    lower, upper = np.maximum(box[:2], taken[:, :2]), np.minimum(box[2:], taken[:, 2:])
    return bool((upper - lower > 1).all(1).any())
