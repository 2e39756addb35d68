"""The results of a run on a GPU as a Markdown page."""

from bars import table


def page(record: dict) -> str:
    """The page of a record, however far the run came."""
    title = f"# {record['machine']}"
    facts = f"PyTorch {record['torch']}, CUDA {record['cuda'] or '-'}, limit {record['minutes']:g} min."
    if record["quick"]:
        facts += " Tiny settings: the figures mean nothing."
    sections = [title, facts]
    writers = {"right": _right, "fast": _fast, "model": _model}
    for name, part in record["parts"].items():
        sections.append(writers[name](part))
        if "failed" in part:
            sections.append(f"This part failed: {part['failed']}")
    return "\n\n".join(section for section in sections if section)


def _right(part: dict) -> str:
    rows = [row for row in part.get("bars", []) if "skipped" not in row]
    skipped = [row["name"] for row in part.get("bars", []) if "skipped" in row]
    note = f"\n\nNo time was left for: {', '.join(skipped)}." if skipped else ""
    return f"## Right\n\n{table(rows)}{note}"


def _fast(part: dict) -> str:
    lines = ["## Fast", ""]
    if part.get("bars"):
        lines += [table(part["bars"]), ""]
    if part.get("generator"):
        lines += ["| network | batch | form | frames/s | times reference | share of the floor |"]
        lines += ["| --- | ---: | --- | ---: | ---: | ---: |", *map(_form, part["generator"]), ""]
        lines += [f"Worth taking into the product: {', '.join(part.get('worth', [])) or 'none'}.", ""]
    if part.get("frames"):
        lines += ["| 1080p frames | faces | ms a frame | pasting | cutting |", "| --- | ---: | ---: | ---: | ---: |"]
        lines += [*map(_frame, part["frames"]), ""]
    for row in part.get("training", []):
        lines.append(
            f"Training at {row['size']} px in batches of {row['batch']}: {row['pictures_per_second']:,.0f} pictures/s, "
            f"without rendering {row['pictures_per_second_without_rendering']:,.0f}; each picture is used "
            f"{row['reuse']:g} times."
        )
    return "\n".join(lines).rstrip()


def _form(row: dict) -> str:
    start = f"| {row['preset']} | {row['batch']} | {row['form']} |"
    if "failed" in row:
        return f"{start} failed: {row['failed'].splitlines()[0][:80].replace('|', '/')} | | |"
    ratio = row["times_reference"]
    shown = "-" if ratio is None else f"{ratio:.2f}"
    return f"{start} {row['frames_per_second']:,.1f} | {shown} | {row['share_of_floor']:.0%} |"


def _frame(row: dict) -> str:
    split, whole = row["ms_per_frame"], min(row["whole_ms_per_frame"].values())
    name = f"{row['preset']}, {row['contender']}"
    return f"| {name} | {row['faces']} | {whole:.1f} | {split['pasting back']:.1f} | {split['cutting crops']:.1f} |"


def _model(part: dict) -> str:
    lines = ["## A better demo model", ""]
    lines += [
        f"- {stage['size']} px: {stage['steps']} steps, {stage['pictures']:,} pictures at "
        f"{stage['pictures_per_second']:,.0f} a second, {stage['rendered']:,} rendered, loss {stage['loss']:.3f}"
        for stage in part.get("stages", [])
    ]
    if "bars" in part:
        verdict = "It ships." if part["ships"] else "It does not ship."
        if not part["official"]:
            verdict += " Judged with fewer people than the suite has."
        lines += ["", table(part["bars"]), "", verdict]
    return "\n".join(lines)
