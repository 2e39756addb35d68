"""Markdown tables of the inversion suite: one row per method, then the bounds."""

from collections.abc import Mapping

from .bounds import INVERSION_BOUNDS, check
from .figure_tables import bound_cells, format_figure
from .suite_inversion import METHODS

TABLE_COLUMNS = {
    "id_cos_other_photo": "ID similarity (second recognizer, unseen photo)",
    "id_cos_source_photo": "to the source photo",
    "id_retrieval_top1": "retrieval top-1",
    "face_psnr": "exact-swap PSNR, face, dB",
    "pose_error_deg": "pose error, deg",
    "expression_error": "expression error",
    "gaze_error_deg": "gaze error, deg",
    "distance": "distance from W",
    "seconds": "s per person",
}


def inversion_table(figures: Mapping[str, float]) -> str:
    """Markdown tables of the suite's figures."""
    lines = ["| | " + " | ".join(TABLE_COLUMNS.values()) + " |", "| --- |" + " ---: |" * len(TABLE_COLUMNS)]
    for name, label in METHODS.items():
        values = " | ".join(format_figure(figures.get(f"{name}_{key}")) for key in TABLE_COLUMNS)
        lines.append(f"| {label} | {values} |")
    ceiling = " | ".join(format_figure(figures.get(f"w_{key}_ceiling")) for key in TABLE_COLUMNS)
    lines.append(f"| *the exact swap* | {ceiling} |")
    lines += [
        "",
        (
            f"Two photos of one person: {figures['two_photos_id_cos']:.3f}. Gain of the guided inversion: "
            f"{figures['id_gain']:.3f}, wanted: {figures['id_gain_wanted']:.3f}."
        ),
        "",
        "| key | value | must reach | |",
        "| --- | ---: | --- | --- |",
    ]
    for verdict in check(figures, INVERSION_BOUNDS):
        limit, passed = bound_cells(verdict)
        lines.append(f"| `{verdict.key}` | {format_figure(verdict.value)} | {limit} | {passed} |")
    return "\n".join(lines)
