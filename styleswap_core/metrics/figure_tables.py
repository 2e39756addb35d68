"""Parts that the Markdown tables of all suites have in common: figures, the order of rows, and bounds."""

import math
from collections.abc import Iterable

from .bounds import Verdict


def format_figure(value: float | None) -> str:
    """Text of a figure in tables: three decimals, or one from 10 on; empty for None and NaN."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def bounded_first(keys: Iterable[str], bounds: Iterable[str]) -> list[str]:
    """Keys of figures: those with bounds first, in the order of the bounds, then the others."""
    keys, bounds = list(keys), list(bounds)
    return [*(key for key in bounds if key in keys), *(key for key in keys if key not in bounds)]


def bound_cells(verdict: Verdict | None) -> tuple[str, str]:
    """Bound of a figure, and whether the figure keeps it; two empty cells for a figure without a bound."""
    if verdict is None:
        return "", ""
    return f"{verdict.relation} {format_figure(verdict.limit)}", "yes" if verdict.passed else "**no**"
