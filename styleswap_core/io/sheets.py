"""Contact sheets: pictures in a labeled grid."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import StyleSwapError

BACKGROUND = (255, 255, 255)
INK = (30, 30, 30)
GAP = 6
"""Pixels between pictures and around the sheet."""


def labeled_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    columns: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    cell: int = 256,
    title: str = "",
) -> np.ndarray:
    """Grid of pictures, (H, W, 3) uint8.

    Args:
        rows: Pictures (H, W, 3) or (H, W) uint8 of any size, scaled to fit a square cell; rows may differ in length.
        columns: A label above each column, or none.
        row_labels: A label to the left of each row, possibly of several lines, or none.
        cell: Side of a cell in pixels.
        title: A line above the sheet.

    Raises:
        StyleSwapError: No pictures, or numbers of labels that do not match the grid.
    """
    width = max((len(row) for row in rows), default=0)
    if width == 0:
        raise StyleSwapError("expected at least one picture for a sheet, got none")
    if (columns and len(columns) != width) or (row_labels and len(row_labels) != len(rows)):
        raise StyleSwapError(
            f"expected {width} column labels and {len(rows)} row labels (or none), "
            f"got {len(columns)} and {len(row_labels)}"
        )
    font = ImageFont.load_default(size=max(11, cell // 16))
    line = _line_height(font)
    left = GAP + (max(_text_width(font, label) for label in row_labels) + GAP if row_labels else 0)
    top = GAP + (line if title else 0) + (line if columns else 0)
    sheet = Image.new("RGB", (left + width * (cell + GAP), top + len(rows) * (cell + GAP)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((left, GAP), title, fill=INK, font=font)
    for column, label in enumerate(columns):
        draw.text((left + column * (cell + GAP), top - line), label, fill=INK, font=font)
    for index, row in enumerate(rows):
        y = top + index * (cell + GAP)
        if row_labels:
            draw.multiline_text((GAP, y), row_labels[index], fill=INK, font=font)
        for column, picture in enumerate(row):
            fitted = _fit(picture, cell)
            x = left + column * (cell + GAP)
            sheet.paste(fitted, (x + (cell - fitted.width) // 2, y + (cell - fitted.height) // 2))
    return np.asarray(sheet)


def pair_sheet(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], captions: Sequence[str], columns: int = 4, width: int = 320
) -> np.ndarray:
    """Pairs of pictures, such as before and after, as tiles of a grid, (H, W, 3) uint8.

    Args:
        pairs: Pictures (H, W, 3) uint8 of one size; wide ones are placed one above the other, others side by side.
        captions: Text below each pair, possibly of several lines; longer ones are wrapped.
        columns: Maximum number of tiles in a row.
        width: Width of a tile in pixels.

    Raises:
        StyleSwapError: No pairs.
    """
    if not pairs:
        raise StyleSwapError("expected at least one pair of pictures for a sheet, got none")
    return _tiled([_pair(one, other, width) for one, other in pairs], captions, columns, width)


def captioned_sheet(
    pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int = 6, width: int = 224
) -> np.ndarray:
    """Square pictures as tiles of a grid, (H, W, 3) uint8.

    Args:
        pictures: (S, S, 3) uint8, scaled to the width.
        captions: Text below each picture, possibly of several lines; longer ones are wrapped.
        columns: Maximum number of tiles in a row.
        width: Width of a tile in pixels.

    Raises:
        StyleSwapError: No pictures.
    """
    if not pictures:
        raise StyleSwapError("expected at least one picture for a sheet, got none")
    return _tiled([_fit(picture, width) for picture in pictures], captions, columns, width)


def _tiled(tiles: Sequence[Image.Image], captions: Sequence[str], columns: int, width: int) -> np.ndarray:
    font = ImageFont.load_default(size=max(11, width // 22))
    line = _line_height(font)
    texts = [_wrapped(font, caption, width) for caption in captions]
    across = min(columns, len(tiles))
    high = max(tile.height for tile in tiles)
    high += max(text.count("\n") + 1 for text in texts) * line + 2 * GAP
    down = -(-len(tiles) // across)
    sheet = Image.new("RGB", (GAP + across * (width + GAP), GAP + down * (high + GAP)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (tile, text) in enumerate(zip(tiles, texts, strict=True)):
        x, y = GAP + place % across * (width + GAP), GAP + place // across * (high + GAP)
        sheet.paste(tile, (x, y))
        draw.multiline_text((x, y + tile.height + GAP // 2), text, fill=INK, font=font)
    return np.asarray(sheet)


def mask_picture(mask: np.ndarray) -> np.ndarray:
    """Gray picture (H, W) uint8 of a mask (H, W) float, 0..1."""
    return np.clip(np.rint(mask * 255.0), 0, 255).astype(np.uint8)


def _fit(picture: np.ndarray, cell: int) -> Image.Image:
    image = Image.fromarray(picture).convert("RGB")
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS)


def _pair(one: np.ndarray, other: np.ndarray, width: int) -> Image.Image:
    stacked = one.shape[1] > one.shape[0]
    side = width if stacked else (width - 2) // 2
    first, second = (Image.fromarray(picture).convert("RGB") for picture in (one, other))
    size = (side, max(1, round(side * first.height / first.width)))
    pair = Image.new("RGB", (width, 2 * size[1] + 2) if stacked else (width, size[1]), BACKGROUND)
    pair.paste(first.resize(size, Image.Resampling.LANCZOS), (0, 0))
    pair.paste(second.resize(size, Image.Resampling.LANCZOS), (0, size[1] + 2) if stacked else (side + 2, 0))
    return pair


def _wrapped(font: ImageFont.ImageFont | ImageFont.FreeTypeFont, text: str, width: int) -> str:
    lines: list[str] = []
    for given in text.split("\n"):
        line = ""
        for word in given.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _line_height(font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> int:
    _, top, _, bottom = font.getbbox("Ag|")
    return int(bottom - top) + GAP


def _text_width(font: ImageFont.ImageFont | ImageFont.FreeTypeFont, text: str) -> int:
    return int(max((font.getlength(part) for part in text.split("\n")), default=0))
