"""Report of a preparation: one HTML file with counts, sample pictures, and what was dropped and why."""

import base64
import html
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import printable
from ..io.files import atomic_write
from .journal import Journal
from .prepared_set import PreparedSet, ShardReader
from .teacher_set import TeacherSwaps

REPORT = "report.html"
# Maximum numbers of sample pictures, people, pictures per person, and lines per list; swaps; size of a picture.
_SAMPLES, _PEOPLE, _PICTURES_OF_PERSON, _LINES = 24, 8, 8, 20
_SWAPS = 12
_CELL = 96
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222;
       background: #fff }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums } img { border-radius: 4px; margin: 0 4px 4px 0 }
li { overflow-wrap: anywhere } .gray { color: #666 } h2 { margin-top: 2rem }
"""
EXPLANATIONS = {
    "unreadable": "neither a picture nor a video, damaged, empty, or not accessible",
    "training forbidden": "its metadata forbid training",
    "no face": "the detector found no face",
    "unsure": "the detector's score is too low, or the five points cannot be those of a face",
    "small": "too few pixels for the size of the crops",
    "cut off": "too much of the crop is outside the picture",
    "turned away": "turned too far away from the camera",
    "blurred": "out of focus, blurred by motion, or enlarged",
    "duplicate": "shows the same as another picture of the set",
}


def write_report(folder: Path, manifest: dict[str, Any], journal: Journal, prepared: PreparedSet | None) -> None:
    """Write report.html into the folder of the set; `prepared` is None if it has no pictures."""
    parts = [f"<h1>{manifest['pictures']} pictures of {manifest['people']} people</h1>", _facts(manifest)]
    parts += [f"<p><b>{line}</b></p>" for line in warnings(manifest)]
    if prepared is not None:
        parts += [_samples(prepared), _people(prepared, journal), _spread(prepared)]
        if "teacher" in manifest:
            parts.append(_teacher(TeacherSwaps.open(prepared)))
    parts.append(_dropped(manifest, journal))
    parts.append(_notes(journal))
    body = "\n".join(part for part in parts if part)
    title = html.escape(printable(folder.resolve().name))
    with atomic_write(folder / REPORT) as temporary:
        temporary.write_text(
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
            f"<style>{_STYLE}</style>{body}</html>\n",
            encoding="utf-8",
        )


def warnings(manifest: dict[str, Any]) -> list[str]:
    """Sentences about a set that is too small to train on."""
    if not manifest["pictures"]:
        return ["No picture is left; the report gives the reasons."]
    if manifest["pictures"] == 1:
        return ["There is only one picture, which is not enough to learn swapping from."]
    if manifest["people"] == 1:
        return ["All pictures were assigned to one person; training needs at least two people."]
    teacher = manifest.get("teacher")
    if teacher is not None and teacher["kept"] < sum(teacher["dropped"].values()):
        median, limit = teacher["likeness_quartiles"][1], teacher["likeness"]
        return [
            f"Most swaps of the teacher were dropped: their median likeness is {median:.2f}, the minimum {limit:g}."
        ]
    return []


def _facts(manifest: dict[str, Any]) -> str:
    files, settings = manifest["files"], manifest["settings"]
    people = (
        "by folder" if settings["people"] == "folders" else f"by cosine similarity of {settings['likeness']} or more"
    )
    videos = f"{files['videos']} {'video' if files['videos'] == 1 else 'videos'}"
    facts = {
        "examined": f"{files['pictures']} files, {videos} (one frame every {settings['frame_seconds']:g} s)",
        "crops": f"{manifest['size']} px, template {manifest['template']}, {manifest['image_format']}",
        "masks": f"from {manifest['masks']}",
        "recognizer": f"{manifest['recognizer']} ({manifest['recognizer_sha256'][:12]})",
        "people": people,
        "shards": f"{manifest['shards']}",
    }
    return "<table>" + "".join(f"<tr><th>{name}<td>{html.escape(value)}" for name, value in facts.items()) + "</table>"


def _samples(prepared: PreparedSet) -> str:
    reader = ShardReader(prepared)
    rows = np.unique(np.linspace(0, len(prepared) - 1, _SAMPLES).round().astype(int))
    pictures = [_outlined(reader, int(row)) for row in rows]
    return f"<h2>Pictures</h2><p class=gray>The white line is the outline of the mask.</p>{''.join(pictures)}"


def _people(prepared: PreparedSet, journal: Journal) -> str:
    reader, counts = ShardReader(prepared), np.bincount(prepared.people)
    named = prepared.manifest["settings"]["people"] == "folders"
    names = journal.person_names() if named else {}
    lines = []
    for person in np.argsort(-counts, kind="stable")[:_PEOPLE]:
        rows = np.flatnonzero(prepared.people == person)
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, _PICTURES_OF_PERSON).round().astype(int))]
        name = printable(os.fsdecode(names[int(prepared.rows["person"][rows[0]])])) if named else f"person {person}"
        lines.append(
            f"<p>{html.escape(name)}: {counts[person]} pictures<br>"
            + "".join(_img(_small(reader.image(int(row)))) for row in chosen)
        )
    several = int((counts > 1).sum())
    return (
        f"<h2>People</h2><p>{several} of {len(counts)} people have more than one picture; the median is "
        f"{np.median(counts):g}. Those with the most:</p>{''.join(lines)}"
    )


def _spread(prepared: PreparedSet) -> str:
    """Quartiles of the measurements that the filters use."""
    rows = prepared.rows[np.unique(np.linspace(0, len(prepared) - 1, 100_000).astype(int))]
    columns = {
        "side in the picture, px": rows["side"],
        "blur": rows["blur"],
        "detector score": rows["score"],
        "yaw, degrees": rows["pose"][:, 0],
        "pitch, degrees": rows["pose"][:, 1],
    }
    lines = []
    for name, values in columns.items():
        places = "".join(f"<td class=n>{value:.3g}" for value in np.percentile(values, (0, 25, 50, 75, 100)))
        lines.append(f"<tr><th>{name}{places}")
    return (
        "<h2>Quality</h2><table><tr><th><th>minimum<th>lower quartile<th>median<th>upper quartile<th>maximum"
        + "".join(lines)
        + "</table>"
    )


def _teacher(swaps: TeacherSwaps) -> str:
    """Examples of a teacher's swaps, most to least like their sources."""
    card, reader = swaps.card, ShardReader(swaps.prepared)
    kept = np.flatnonzero(swaps.rows["image_bytes"])
    ranked = kept[np.argsort(-swaps.rows["likeness"][kept], kind="stable")]
    chosen = ranked[np.unique(np.linspace(0, len(ranked) - 1, _SWAPS).round().astype(int))] if len(ranked) else ranked
    lines = []
    for number in chosen.tolist():
        row = swaps.rows[number]
        pictures = reader.image(int(row["source"])), reader.image(int(swaps.pictures(number))), swaps.image(number)
        shown = "".join(_img(_small(picture)) for picture in pictures)
        lines.append(f"<p>{shown}<br>likeness {row['likeness']:.2f}, to the target {row['own_likeness']:.2f}")
    dropped = ", ".join(f"{count} {reason}" for reason, count in card["dropped"].items())
    quartiles = ", ".join(f"{value:.2f}" for value in card["likeness_quartiles"])
    return (
        f"<h2>Teacher</h2><p>{html.escape(card['file'])} made {len(swaps.rows)} swaps. Kept: {card['kept']}; dropped: "
        f"{dropped}. Quartiles of the likeness to the source: {quartiles} (minimum {card['likeness']:g}).</p>"
        "<p class=gray>Source, picture, and the picture with the source's face; training learns to restore the "
        f"picture from it.</p>{''.join(lines)}"
    )


def _dropped(manifest: dict[str, Any], journal: Journal) -> str:
    counts = manifest["dropped"]
    if not counts:
        return "<h2>Dropped</h2><p>Nothing.</p>"
    table = "".join(
        f"<tr><td class=n>{count}<th>{reason}<td>{EXPLANATIONS[reason]}" for reason, count in counts.items()
    )
    parts = [f"<h2>Dropped</h2><table>{table}</table><p>The complete list is in dropped.tsv.</p>"]
    for reason, count in counts.items():
        pictures = "".join(_img(jpeg, sentence) for jpeg, sentence in journal.thumbnails(reason))
        lines = [
            f"{printable(os.fsdecode(row.path))}{f', frame {row.frame}' if row.frame >= 0 else ''}: {row.sentence}"
            for row in journal.drops(reason, _LINES)
        ]
        rest = f"<li class=gray>and {count - len(lines)} more" if count > len(lines) else ""
        listed = "".join(f"<li>{html.escape(line)}" for line in lines)
        parts.append(f"<h3>{reason}</h3>{pictures}<ul>{listed}{rest}</ul>")
    return "".join(parts)


def _notes(journal: Journal) -> str:
    lines = [
        f"<li>{html.escape(f'{printable(os.fsdecode(path))} {sentence}')}" for path, sentence in journal.notes(_LINES)
    ]
    return f"<h2>Used nonetheless</h2><ul>{''.join(lines)}</ul>" if lines else ""


def _outlined(reader: ShardReader, row: int) -> str:
    picture, mask = _small(reader.image(row), 2 * _CELL), cv2.resize(reader.mask(row), (2 * _CELL, 2 * _CELL))
    outlines, _ = cv2.findContours(np.uint8(mask > 127), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return _img(cv2.drawContours(picture, outlines, -1, (255, 255, 255), 1, cv2.LINE_AA))


def _small(picture: np.ndarray, side: int = _CELL) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _img(picture: np.ndarray | bytes, title: str = "") -> str:
    """An <img> element with a uint8 RGB picture or a JPEG."""
    if not isinstance(picture, bytes):
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        picture = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}" title="{html.escape(title)}">'
