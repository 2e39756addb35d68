"""Chart of an inversion: the likeness over the steps."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .optimization import Outcome

INK, GRID, LINE, BEST = (30, 30, 30), (222, 222, 222), (31, 97, 171), (196, 66, 40)
_GRID_INTERVALS = 4
_SUPERSAMPLING = 2  # drawn larger and reduced, for smooth lines


def curve_picture(outcome: Outcome, width: int = 640, height: int = 400) -> np.ndarray:
    """(height, width, 3) uint8: mean cosine similarity to the source on held-out guides, with the kept state marked.

    Without guides, the chart shows the reconstruction loss.
    """
    scale = _SUPERSAMPLING
    image = Image.new("RGB", (width * scale, height * scale), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=13 * scale)
    left, top, right, bottom = (value * scale for value in (62, 40, width - 20, height - 44))
    finite = [(step, value) for step, value in outcome.curve if math.isfinite(value)] or [(0, 0.0)]
    lines = grid_lines(*_limits([value for _, value in finite]))
    low, high = lines[0][0], lines[-1][0]
    last = max(finite[-1][0], 1)

    def place(step: float, value: float) -> tuple[float, float]:
        return left + (right - left) * step / last, bottom - (bottom - top) * (value - low) / (high - low)

    for value, label in lines:
        _, y = place(0, value)
        draw.line([(left, y), (right, y)], fill=GRID, width=scale)
        draw.text((left - 8 * scale, y), label, fill=INK, font=font, anchor="rm")
    for index in range(_GRID_INTERVALS + 1):
        step = round(last * index / _GRID_INTERVALS)
        draw.text((place(step, low)[0], bottom + 8 * scale), str(step), fill=INK, font=font, anchor="mt")
    draw.line([place(step, value) for step, value in finite], fill=LINE, width=3 * scale, joint="curve")
    for step, value in finite:
        best = step == outcome.best_step
        (x, y), radius = place(step, value), (6 if best else 3) * scale
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=BEST if best else LINE)
    draw.text((left, 14 * scale), _title(outcome), fill=INK, font=font)
    draw.text(((left + right) / 2, bottom + 26 * scale), "step", fill=INK, font=font, anchor="mt")
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def grid_lines(low: float, high: float) -> list[tuple[float, str]]:
    """Values at round distances from at most `low` to at least `high`, each with its label, which states it exactly."""
    rough = (high - low) / _GRID_INTERVALS
    power = math.floor(math.log10(rough))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough)
    decimals = max(0, -power)
    unit = factor * 10.0**power
    numbers = range(math.floor(low / unit), math.ceil(high / unit) + 1)
    return [(number * unit, f"{number * unit:.{decimals}f}") for number in numbers]


def _title(outcome: Outcome) -> str:
    if outcome.held_out == 0:
        return f"reconstruction loss, best at step {outcome.best_step}"
    gain = f"{outcome.likeness_before:.3f} -> {outcome.likeness:.3f}"
    return f"likeness on held-out guides: {gain} (step {outcome.best_step})"


def _limits(values: list[float]) -> tuple[float, float]:
    """Limits of the vertical axis: the range with a margin, at least 0.05, so that a flat curve looks flat."""
    low, high = min(values), max(values)
    margin = max(0.1 * (high - low), 0.5 * (0.05 - (high - low)), 0.005)
    return low - margin, high + margin
