"""Report of the speed benchmark: a Markdown page, a JSON file and a plot."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import median

from contenders import CONTENDERS, REFERENCE

# Target ratios to the speed of the reference at 256 px, by contender.
TARGET_RATIOS = (("baked-float32", 4.0), ("baked-bfloat16", 12.0))
# Preset, batch, contender, and target share of the peak rate.
TARGET_PEAK_SHARE = ("released-512", 8, "baked-bfloat16", 0.40)


def write_report(folder: Path, record: dict) -> str:
    """Write speed-DEVICE.json, .md and .svg into `folder`; returns the text of the page."""
    stem = f"speed-{record['device']}"
    rows = summarize(record)
    (folder / f"{stem}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / f"{stem}.svg").write_text(plot(rows), encoding="utf-8")
    sections = [
        f"# Speed on {record['machine']}",
        (
            f"{record['threads']} threads, PyTorch {record['torch']}. Medians over up to {record['rounds']} rounds in"
            " which the contenders alternate, each in a separate process; the slowest take part in fewer rounds. Each"
            " timing is the mean over at least eight frames. Measured by `make bench`."
        ),
        instructions_in_use(record),
        f"![time per frame]({stem}.svg)",
        generator_tables(rows, record),
        targets(rows, record),
        flops_table(record),
        frames_table(record),
        guest_table(record),
    ]
    page = "\n\n".join(section for section in sections if section) + "\n"
    (folder / f"{stem}.md").write_text(page, encoding="utf-8")
    return page


def instructions_in_use(record: dict) -> str:
    """Sentence about the instruction sets of a record; empty if it states none, as older ones do."""
    used = dict(record.get("instructions", {}))
    own = used.pop("processor", "")
    if not used:
        return ""
    text = f"Instruction sets in use: {', '.join(f'{library} {name}' for library, name in used.items())}"
    if record.get("limits"):
        variables = " ".join(f"{name}={value}" for name, value in record["limits"].items())
        text += f", limited by `{variables}`; ONNX Runtime, which nothing limits, uses what the processor has ({own})"
    return f"{text}."


def summarize(record: dict) -> dict[tuple[str, int], dict[str, dict]]:
    """Medians by (preset, batch) and contender: time per frame, ratio to the reference, rate, memory and others."""
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
    """Tables by preset and batch."""
    peaks = [row for row in record["results"] if row["what"] == "peak"]
    best = {row["dtype"]: row for row in sorted(peaks, key=lambda row: row["flops_per_second"])}
    rates = ", ".join(
        f"{dtype} {row['flops_per_second'] / 1e9:.0f} GFLOP/s ({row['way']}, {row['size']} x {row['size']})"
        for dtype, row in sorted(best.items())
    )
    text = (
        f"Peak rate of matrix products in the same run, over several methods and sizes: {rates}. The rates of all"
        " contenders are based on the number of operations of the baked network."
    )
    columns = (
        "ms per frame",
        "speed relative to the reference",
        "GFLOP/s",
        "share of the peak",
        "peak memory",
        "largest difference",
        "timed calls (rounds)",
    )
    for (name, batch), contenders in rows.items():
        text = text.rstrip() + f"\n\n## {name}, batch {batch}\n\n"
        text += f"| contender | {' | '.join(columns)} |\n| --- |" + " ---: |" * len(columns) + "\n"
        for contender, row in contenders.items():
            text += (
                f"| {CONTENDERS[contender].label} | {row['ms']:.1f} | {row['ratio']:.2f} | {row['gflops']:.0f}"
                f" | {row['share']:.0%} | {row['megabytes']:.0f} MiB | {row['difference']:.1e}"
                f" | {row['calls']} ({row['rounds']}) |\n"
            )
    return text.rstrip()


def targets(rows: dict, record: dict) -> str:
    """Table of targets and what was measured."""
    lines = ["## Targets", "", "| target | measured | |", "| --- | ---: | --- |"]

    def line(target: str, found: float, unit: str, met: bool) -> None:
        lines.append(f"| {target} | {found:.2f}{unit} | {'met' if met else 'missed'} |")

    for (name, batch), contenders in rows.items():
        for contender, ratio in TARGET_RATIOS:
            if name.endswith("256") and contender in contenders:
                found = contenders[contender]["ratio"]
                line(f"{contender}, {name}, batch {batch}: {ratio:g} times the reference", found, "", found >= ratio)
        single = rows.get((name, 1), {})
        for contender in ("baked-float32", "baked-bfloat16"):
            if batch > 1 and contender in contenders and contender in single:
                both, alone = contenders[contender]["rounds_ms"], single[contender]["rounds_ms"]
                found = median(both[number] / alone[number] for number in both.keys() & alone.keys())
                target = f"{contender}, {name}: time per frame in batch {batch} relative to batch 1, at most 1"
                line(target, found, "", found <= 1.0)
        if batch > 1 and "baked-bfloat16" in contenders and REFERENCE in contenders:
            found = contenders["baked-bfloat16"]["megabytes"] / contenders[REFERENCE]["megabytes"]
            target = f"baked-bfloat16, {name}, batch {batch}: peak memory relative to the reference, at most 1"
            line(target, found, "", found <= 1.0)
    name, batch, contender, share = TARGET_PEAK_SHARE
    if contender in rows.get((name, batch), {}):
        found = rows[(name, batch)][contender]["share"]
        line(f"{contender}, {name}, batch {batch}: {share:.0%} of the peak", found * 100, " %", found >= share)
    for row in frame_rows(record):
        if row["contender"] == "baked-bfloat16":
            rest = (sum(row["split"].values()) - row["split"]["generator"]) / row["split"]["generator"]
            faces = "1 face" if row["faces"] == 1 else f"{row['faces']} faces"
            target = f"end to end, {row['preset']}, {faces}: all other stages relative to the generator, below 1"
            line(target, rest, "", rest < 1)
    for row in guest_rows(record):
        faces = "1 face" if row["faces"] == 1 else f"{row['faces']} faces"
        target = f"guest network, {faces}: a plain loop without its network relative to the stream, at least 2"
        line(target, row["ratio"], "", row["ratio"] >= 2)
    return "\n".join(lines)


def flops_table(record: dict) -> str:
    """Table of the operations per picture."""
    lines = ["## Operations per picture", "", "| preset | baked | grouped reference |", "| --- | ---: | ---: |"]
    for name, counts in record["flops"].items():
        lines.append(f"| {name} | {counts['baked'] / 1e9:.2f} GFLOP | {counts[REFERENCE] / 1e9:.2f} GFLOP |")
    return "\n".join(lines)


def frame_rows(record: dict) -> list[dict]:
    """Medians of the end-to-end measurements over the rounds."""
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
    """Table of 1080p frames by stage; empty if none were measured."""
    rows = frame_rows(record)
    if not rows:
        return ""
    stages, default = list(rows[0]["split"]), "in turn" if record["device"] == "cpu" else "beside"
    columns = ["faces (found)", *stages, "sequential", "overlapped", "frames/s"]
    lines = [
        "## 1080p frames from end to end",
        "",
        (
            "Milliseconds per frame, with each stage timed by itself. *Sequential* is the whole stream with detection"
            " and generator one after the other, the default on a CPU; *overlapped*, with detection of the next frames"
            " during the generator, the default on a GPU."
        ),
        "",
        f"| preset | contender | {' | '.join(columns)} |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for row in rows:
        cells = " | ".join(f"{row['split'][stage]:.1f}" for stage in stages)
        lines.append(
            f"| {row['preset']} | {CONTENDERS[row['contender']].label} | {row['faces']} ({row['faces_found']:g})"
            f" | {cells} | {row['whole']['in turn']:.1f} | {row['whole']['beside']:.1f}"
            f" | {1e3 / row['whole'][default]:.1f} |"
        )
    return "\n".join(lines)


def guest_rows(record: dict) -> list[dict]:
    """Medians of the measurements with a guest network; `ratio` leaves out the network, which both ways share."""
    cells: dict[tuple, list[dict]] = defaultdict(list)
    for row in record["results"]:
        if row["what"] == "guest":
            cells[(row["preset"], row["faces"])].append(row)
    return [
        {
            "preset": name,
            "faces": faces,
            **{way: median(row[way] for row in found) for way in ("stream", "loop", "network")},
            "ratio": median((row["loop"] - row["network"]) / (row["stream"] - row["network"]) for row in found),
        }
        for (name, faces), found in cells.items()
    ]


def guest_table(record: dict) -> str:
    """Table of 1080p frames with a guest network against a plain loop; empty if none were measured."""
    rows = guest_rows(record)
    if not rows:
        return ""
    lines = [
        "## 1080p frames with a guest network",
        "",
        (
            "Milliseconds per frame with a network in inswapper's form that ONNX Runtime runs: this project's stream,"
            " and a plain loop over insightface's own detection and swapping classes, with the same detector, network"
            " and threads. The ratio leaves out the time of the network; the target is 2."
        ),
        "",
        "| network | faces | stream | plain loop | network alone | loop relative to the stream, without the network |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['preset']} | {row['faces']} | {row['stream']:.1f} | {row['loop']:.1f} | {row['network']:.1f}"
        f" | {row['ratio']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def plot(rows: dict) -> str:
    """SVG bar chart of milliseconds per frame; each group of a preset and a batch has a separate scale."""
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
