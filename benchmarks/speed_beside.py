"""Page with the speeds of several machines side by side, from the JSON files that `make bench` wrote on each.

python benchmarks/speed_beside.py docs/benchmarks/avx2/speed-cpu.json docs/benchmarks/speed-cpu.json \
    --out docs/benchmarks/speed.md
"""

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from contenders import CONTENDERS, REFERENCE
from machine import largest_set
from speed_report import frame_rows, guest_rows, instructions_in_use, summarize

ONNX_RUNTIME = "onnx-runtime"
# One of these names a machine in the heads of columns.
_NAMING_LIBRARIES = ("oneDNN", "PyTorch")


class Machine(NamedTuple):
    """The record of a machine.

    Attributes:
        label: Short name: the instruction set that its convolutions use.
        record: What `speed.py` wrote.
        page: Its own page.
    """

    label: str
    record: dict
    page: Path


def read_machines(paths: Sequence[Path]) -> list[Machine]:
    """The machines of several records, with labels that differ."""
    machines: list[Machine] = []
    for path in paths:
        record = json.loads(path.read_text(encoding="utf-8"))
        label = _label(record)
        taken = sum(machine.label.split(" (")[0] == label for machine in machines)
        machines.append(Machine(f"{label} ({taken + 1})" if taken else label, record, path.with_suffix(".md")))
    return machines


def page(machines: Sequence[Machine], folder: Path) -> str:
    """The page, in Markdown; links to the machines' own pages are relative to `folder`."""
    sections = [
        "# Speed on several machines",
        (
            "Each group of columns is one machine, or one whose instruction sets are limited, measured by `make bench`"
            " in one run, with all contenders on the same weights, inputs and threads. Times compare within a machine,"
            " ratios between machines, too. `python benchmarks/speed_beside.py` writes this page from the records."
        ),
        "\n".join(_introduction(machine, folder) for machine in machines),
        _generator_table(machines),
        _frames_table(machines),
        _guest_table(machines),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _label(record: dict) -> str:
    used = record.get("instructions", {})
    named = next((used[library] for library in _NAMING_LIBRARIES if library in used), "")
    # Records without instruction sets have PyTorch's behind the name of the processor.
    return named or largest_set(record["machine"].rpartition(", ")[2])


def _introduction(machine: Machine, folder: Path) -> str:
    record = machine.record
    link = Path(os.path.relpath(machine.page, folder)).as_posix()
    peaks = [row for row in record["results"] if row["what"] == "peak"]
    best = {row["dtype"]: row for row in sorted(peaks, key=lambda row: row["flops_per_second"])}
    rates = ", ".join(f"{row['flops_per_second'] / 1e9:.0f} GFLOP/s in {dtype}" for dtype, row in sorted(best.items()))
    text = (
        f"- **{machine.label}**: [{record['machine']}]({link}), {record['threads']} threads, PyTorch {record['torch']}."
    )
    text += f" Peak of matrix products: {rates}." if rates else ""
    used = instructions_in_use(record)
    return f"{text} {used}" if used else text


def _generator_table(machines: Sequence[Machine]) -> str:
    summaries = [summarize(machine.record) for machine in machines]
    rows = {
        (setting, contender): None
        for contender in CONTENDERS
        for summary in summaries
        for setting, found in summary.items()
        if contender in found
    }
    keys = sorted(rows, key=lambda key: (*key[0], list(CONTENDERS).index(key[1])))
    columns = ("ms per frame", "of the reference", "of ONNX Runtime", "share of the peak")
    lines = [
        "## Generator",
        "",
        (
            f"Speed as a multiple of that of the reference ({CONTENDERS[REFERENCE].label}), of ONNX Runtime on the same"
            " baked network, and as a share of the highest rate of matrix products that was measured."
        ),
        "",
        *_head(("network", "batch", "contender"), columns, machines),
    ]
    for (name, batch), contender in keys:
        cells = [name, str(batch), CONTENDERS[contender].label]
        for summary in summaries:
            found = summary.get((name, batch), {})
            cells += _generator_cells(found.get(contender), found.get(ONNX_RUNTIME))
        lines.append(_row(cells))
    return "\n".join(lines)


def _generator_cells(row: dict | None, onnx_runtime: dict | None) -> list[str]:
    if row is None:
        return [""] * 4
    ratio = "" if math.isnan(row["ratio"]) else f"{row['ratio']:.2f}"
    against = "" if onnx_runtime is None else f"{onnx_runtime['ms'] / row['ms']:.2f}"
    share = "" if math.isnan(row["share"]) else f"{row['share']:.0%}"
    return [f"{row['ms']:.1f}", ratio, against, share]


def _frames_table(machines: Sequence[Machine]) -> str:
    found = [
        {(row["preset"], row["faces"], row["contender"]): row for row in frame_rows(machine.record)}
        for machine in machines
    ]
    keys = list(dict.fromkeys(key for rows in found for key in rows))
    if not keys:
        return ""
    columns = ("ms per frame", "of which generator", "frames/s")
    lines = [
        "## 1080p frames from end to end",
        "",
        "Detection, crops, generator, pasting and masks, one after the other.",
        "",
        *_head(("network", "faces", "contender"), columns, machines),
    ]
    for name, faces, contender in keys:
        cells = [name, str(faces), CONTENDERS[contender].label]
        for rows in found:
            row = rows.get((name, faces, contender))
            whole = row["whole"]["in turn"] if row else 0.0
            cells += [f"{whole:.1f}", f"{row['split']['generator']:.1f}", f"{1e3 / whole:.1f}"] if row else [""] * 3
        lines.append(_row(cells))
    return "\n".join(lines)


def _guest_table(machines: Sequence[Machine]) -> str:
    found = [{(row["preset"], row["faces"]): row for row in guest_rows(machine.record)} for machine in machines]
    keys = list(dict.fromkeys(key for rows in found for key in rows))
    if not keys:
        return ""
    columns = ("plain loop", "this stream", "network alone", "times as fast", "without the network")
    lines = [
        "## 1080p frames against a plain loop",
        "",
        (
            "The same network in inswapper's form, run by ONNX Runtime with the same detector and threads: a loop as"
            " most face swap packs have it (insightface's detection in every frame at 640 x 640, one face at a time,"
            " crop, mask and result warped over the whole frame), and this project's stream. Milliseconds per frame;"
            " the last column leaves out the network, which both share."
        ),
        "",
        *_head(("network", "faces"), columns, machines),
    ]
    for name, faces in keys:
        cells = [name, str(faces)]
        for rows in found:
            row = rows.get((name, faces))
            if row is None:
                cells += [""] * len(columns)
                continue
            cells += [f"{row[way]:.1f}" for way in ("loop", "stream", "network")]
            cells += [f"{row['loop'] / row['stream']:.2f}", f"{row['ratio']:.2f}"]
        lines.append(_row(cells))
    return "\n".join(lines)


def _head(keys: Sequence[str], columns: Sequence[str], machines: Sequence[Machine]) -> list[str]:
    """Head of a table with the columns of each machine; its label is above its first one."""
    named = [
        f"**{machine.label}** {column}" if not number else column
        for machine in machines
        for number, column in enumerate(columns)
    ]
    return [_row([*keys, *named]), "|" + " --- |" * len(keys) + " ---: |" * len(named)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+", help="JSON files of the machines")
    parser.add_argument("--out", type=Path, required=True, help="page to write, such as docs/benchmarks/speed.md")
    args = parser.parse_args()
    text = page(read_machines(args.records), args.out.parent)
    args.out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
