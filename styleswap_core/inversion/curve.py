"""The likeness over the steps of an inversion, as a picture."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .optimization import Outcome

INK, GRID, LINE, BEST = (30, 30, 30), (222, 222, 222), (31, 97, 171), (196, 66, 40)
_RULES = 4


def curve_picture(outcome: Outcome, width: int = 640, height: int = 400) -> np.ndarray:
    """(height, width, 3) uint8: cosine to the source on held-out guides at every look, the kept state marked.

    Without guides the reconstruction loss stands in its place.
    """
    guided = outcome.held_out > 0
    scale = 2  # drawn larger and reduced, for smooth lines
    image = Image.new("RGB", (width * scale, height * scale), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=13 * scale)
    left, top, right, bottom = (value * scale for value in (62, 40, width - 20, height - 44))
    finite = [(step, value) for step, value in outcome.curve if math.isfinite(value)] or [(0, 0.0)]
    low, high = _range([value for _, value in finite])
    last = max(finite[-1][0], 1)

    def place(step: float, value: float) -> tuple[float, float]:
        return left + (right - left) * step / last, bottom - (bottom - top) * (value - low) / (high - low)

    for index in range(_RULES + 1):
        value = low + (high - low) * index / _RULES
        _, y = place(0, value)
        draw.line([(left, y), (right, y)], fill=GRID, width=scale)
        draw.text((left - 8 * scale, y), f"{value:.2f}", fill=INK, font=font, anchor="rm")
        step = round(last * index / _RULES)
        draw.text((place(step, low)[0], bottom + 8 * scale), str(step), fill=INK, font=font, anchor="mt")
    points = [place(step, value) for step, value in finite]
    draw.line(points, fill=LINE, width=3 * scale, joint="curve")
    for step, value in finite:
        best = step == outcome.best_step
        (x, y), reach = place(step, value), (6 if best else 3) * scale
        draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=BEST if best else LINE)
    title = (
        f"likeness on held-out guides: {outcome.likeness_before:.3f} -> {outcome.likeness:.3f} (step {outcome.best_step})"
        if guided
        else f"reconstruction loss, best at step {outcome.best_step}"
    )
    draw.text((left, 14 * scale), title, fill=INK, font=font)
    draw.text(((left + right) / 2, bottom + 26 * scale), "step", fill=INK, font=font, anchor="mt")
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _range(values: list[float]) -> tuple[float, float]:
    """Bounds with a little room, never closer than 0.05: a flat curve should look flat."""
    low, high = min(values), max(values)
    room = max(0.1 * (high - low), 0.5 * (0.05 - (high - low)), 0.005)
    return low - room, high + room
