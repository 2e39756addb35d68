"""Table of the motion suite."""

from collections.abc import Mapping

from .bounds import MOTION_BOUNDS, check
from .figure_tables import bound_cells, bounded_first, format_figure
from .suite_motion import COLUMNS


def motion_table(figures: Mapping[str, float]) -> str:
    """Markdown table of all figures, with a column for each way to swap a clip, and whether bounds are kept."""
    keys = [key for key in figures if not key.endswith(tuple(f"_{name}" for name in COLUMNS if name))]
    verdicts = {verdict.key: verdict for verdict in check(figures, MOTION_BOUNDS)}
    lines = [
        "| key | copied target | no tracking | tracking | and smoothing | exact swap | must reach | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for key in bounded_first(keys, MOTION_BOUNDS):
        values = [format_figure(figures.get(f"{key}_{name}" if name else key)) for name in COLUMNS]
        limit, passed = bound_cells(verdicts.get(key))
        lines.append(f"| `{key}` | {' | '.join(values)} | {limit} | {passed} |")
    return "\n".join(lines)
