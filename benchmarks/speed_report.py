"""The benchmark's figures as a Markdown page, a JSON file and a plot."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import median

import torch
from contenders import CONTENDERS, REFERENCE
from machine import machine_name

# (contender, least ratio to the reference), at 256 px.
WANTED_RATIOS = (("baked-float32", 4.0), ("baked-bfloat16", 12.0))
WANTED_PEAK_SHARE = ("released-512", 8, "baked-bfloat16", 0.40)


def write_report(folder: Path, record: dict) -> str:
    """Writes speed-DEVICE.json, .md and .svg into `folder`; the page's text."""
    stem = f"speed-{record['device']}"
    rows = summarize(record)
    (folder / f"{stem}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / f"{stem}.svg").write_text(plot(rows), encoding="utf-8")
    page = (
        "\n\n".join(
            [
                f"# Speed on {machine_name(record['device'])}",
                (
                    f"{record['threads']} threads, PyTorch {torch.__version__}; medians over up to {record['rounds']} rounds in which the"
                    " contenders take turns, each in a process of its own; the slowest take part in fewer. A timing is the mean over at least"
                    " eight frames. Made by `make bench`."
                ),
                f"![time per frame]({stem}.svg)",
                generator_tables(rows, record),
                checks(rows, record),
                flops_table(record),
                frames_table(record),
            ]
        )
        + "\n"
    )
    (folder / f"{stem}.md").write_text(page, encoding="utf-8")
    return page


def summarize(record: dict) -> dict[tuple[str, int], dict[str, dict]]:
    """(preset, batch) -> contender -> medians: ms per frame, ratio to the reference, rate, share of the peak, memory."""
    peaks = defaultdict(list)
    cells: dict[tuple, dict[int, dict]] = defaultdict(dict)
    for row in record["results"]:
        if row["what"] == "peak":
            peaks[row["dtype"]].append(row["flops_per_second"])
        elif row["what"] == "generator":
            cells[(row["preset"], row["batch"], row["contender"])][row["round"]] = row
    rows: dict[tuple[str, int], dict[str, dict]] = defaultdict(dict)
    for (name, batch, contender), rounds in cells.items():
        per_frame = {number: median(row["seconds"]) / batch for number, row in rounds.items()}
        reference = cells.get((name, batch, REFERENCE), {})
        ratios = [
            median(reference[number]["seconds"]) / batch / spent
            for number, spent in per_frame.items()
            if number in reference
        ]
        rate = record["flops"][name]["baked"] / median(per_frame.values())
        dtype = CONTENDERS[contender].dtype
        rows[(name, batch)][contender] = {
            "ms": median(per_frame.values()) * 1e3,
            "rounds_ms": {number: spent * 1e3 for number, spent in per_frame.items()},
            "ratio": median(ratios) if ratios else float("nan"),
            "gflops": rate / 1e9,
            "share": rate / max(peaks[dtype]) if peaks[dtype] else float("nan"),
            "megabytes": median(row["peak_bytes"] for row in rounds.values()) / 2**20,
            "difference": max(row["difference"] for row in rounds.values()),
            "calls": sum(row["calls"] for row in rounds.values()),
            "rounds": len(rounds),
        }
    return rows


def generator_tables(rows: dict, record: dict) -> str:
    """One table for each preset and batch."""
    peaks = [row for row in record["results"] if row["what"] == "peak"]
    best = {row["dtype"]: row for row in sorted(peaks, key=lambda row: row["flops_per_second"])}
    text = (
        "Matrix product at its best in the same run, of several ways and sizes: "
        + ", ".join(
            f"{dtype} {row['flops_per_second'] / 1e9:.0f} GFLOP/s ({row['way']}, {row['size']} x {row['size']})"
            for dtype, row in sorted(best.items())
        )
        + ". Rates count the baked network's operations, whoever does the work."
    )
    for (name, batch), contenders in rows.items():
        text += f"\n\n## {name}, batch {batch}\n\n"
        text += "| contender | ms per frame | times the reference's speed | GFLOP/s | share of the peak | peak memory | largest difference"
        text += " | timed calls (rounds) |\n| --- |" + " ---: |" * 7 + "\n"
        for contender, row in contenders.items():
            text += (
                f"| {CONTENDERS[contender].label} | {row['ms']:.1f} | {row['ratio']:.2f} | {row['gflops']:.0f} | {row['share']:.0%}"
                f" | {row['megabytes']:.0f} MiB | {row['difference']:.1e}"
                f" | {row['calls']} ({row['rounds']}) |\n"
            )
    return text.rstrip()


def checks(rows: dict, record: dict) -> str:
    """What was wanted beside what was found."""
    lines = ["## Wanted and found", "", "| wanted | found | |", "| --- | ---: | --- |"]

    def line(wanted: str, found: float, unit: str, met: bool) -> None:
        lines.append(f"| {wanted} | {found:.2f}{unit} | {'met' if met else 'missed'} |")

    for (name, batch), contenders in rows.items():
        for contender, least in WANTED_RATIOS:
            if name.endswith("256") and contender in contenders:
                found = contenders[contender]["ratio"]
                line(f"{contender}, {name}, batch {batch}: {least:g} times the reference", found, "", found >= least)
        single = rows.get((name, 1), {})
        for contender in ("baked-float32", "baked-bfloat16"):
            if batch > 1 and contender in contenders and contender in single:
                both, alone = contenders[contender]["rounds_ms"], single[contender]["rounds_ms"]
                found = median(both[number] / alone[number] for number in both.keys() & alone.keys())
                line(
                    f"{contender}, {name}: a frame in batch {batch} takes no longer than alone", found, "", found <= 1.0
                )
        if batch > 1 and "baked-bfloat16" in contenders and REFERENCE in contenders:
            found = contenders["baked-bfloat16"]["megabytes"] / contenders[REFERENCE]["megabytes"]
            line(
                f"baked-bfloat16, {name}, batch {batch}: peak memory not above the reference's", found, "", found <= 1.0
            )
    name, batch, contender, least = WANTED_PEAK_SHARE
    if contender in rows.get((name, batch), {}):
        found = rows[(name, batch)][contender]["share"]
        line(f"{contender}, {name}, batch {batch}: {least:.0%} of the matrix peak", found * 100, " %", found >= least)
    for row in frame_rows(record):
        if row["contender"] == "baked-bfloat16":
            rest = (sum(row["split"].values()) - row["split"]["generator"]) / row["split"]["generator"]
            line(
                f"end to end, {row['preset']}, {row['faces']} faces: all else takes less than the generator",
                rest,
                "",
                rest < 1,
            )
    return "\n".join(lines)


def flops_table(record: dict) -> str:
    """How much work a picture is."""
    lines = ["## Work per picture", "", "| preset | baked | grouped reference |", "| --- | ---: | ---: |"]
    for name, counts in record["flops"].items():
        lines.append(f"| {name} | {counts['baked'] / 1e9:.2f} GFLOP | {counts[REFERENCE] / 1e9:.2f} GFLOP |")
    return "\n".join(lines)


def frame_rows(record: dict) -> list[dict]:
    """Medians over the rounds of each end-to-end measurement."""
    cells: dict[tuple, list[dict]] = defaultdict(list)
    for row in record["results"]:
        if row["what"] == "frames":
            cells[(row["preset"], row["faces"], row["contender"])].append(row)
    return [
        {
            "preset": name,
            "faces": faces,
            "contender": contender,
            "split": {stage: median(row["ms_per_frame"][stage] for row in found) for stage in found[0]["ms_per_frame"]},
            "whole": {
                way: median(row["whole_ms_per_frame"][way] for row in found) for way in found[0]["whole_ms_per_frame"]
            },
            "faces_found": median(row["faces_found"] for row in found),
        }
        for (name, faces, contender), found in cells.items()
    ]


def frames_table(record: dict) -> str:
    """1080p frames, stage by stage."""
    rows = frame_rows(record)
    if not rows:
        return ""
    stages, users_way = list(rows[0]["split"]), "in turn" if record["device"] == "cpu" else "beside"
    lines = [
        "## 1080p frames from end to end",
        "",
        (
            "Milliseconds per frame, each stage alone. *In turn* is the whole stream with detection in turn with the generator, as"
            " users run it on a CPU; *beside*, with detection of the next frames beside the generator, as they run it on a GPU."
        ),
        "",
        "| preset | contender | faces (found) | " + " | ".join(stages) + " | in turn | beside | frames/s |",
        "| --- | --- | ---: |" + " ---: |" * (len(stages) + 3),
    ]
    for row in rows:
        cells = " | ".join(f"{row['split'][stage]:.1f}" for stage in stages)
        lines.append(
            f"| {row['preset']} | {CONTENDERS[row['contender']].label} | {row['faces']} ({row['faces_found']:g}) | {cells}"
            f" | {row['whole']['in turn']:.1f} | {row['whole']['beside']:.1f} | {1e3 / row['whole'][users_way]:.1f} |"
        )
    return "\n".join(lines)


def plot(rows: dict) -> str:
    """Bars of milliseconds per frame, one group for each preset and batch, each group to its own scale."""
    bar, gap, left, width = 18, 34, 300, 560
    parts: list[str] = []
    y = 10
    for (name, batch), contenders in rows.items():
        longest = max(row["ms"] for row in contenders.values())
        y += gap
        parts.append(f'<text x="10" y="{y - 8}" font-weight="bold">{name}, batch {batch}</text>')
        for contender, row in contenders.items():
            length = max(1.0, row["ms"] / longest * width)
            color = "#9a9a9a" if contender == REFERENCE else "#3b7dd8" if "float16" in contender else "#7fb2f0"
            parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{CONTENDERS[contender].label}</text>')
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 4}" fill="{color}"/>')
            parts.append(
                f'<text x="{left + length + 6:.1f}" y="{y + 13}">{row["ms"]:.1f} ms, {row["ratio"]:.1f}x</text>'
            )
            y += bar
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 130}" height="{y + 20}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    )
    return head + "".join(parts) + "</svg>\n"
