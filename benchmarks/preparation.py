"""Throughput of `styleswap prepare` by number of processes; part of training.py."""

import json
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from commands import styleswap

# Number of different pictures, each copied many times: the work depends on their content, not on the number of files.
PICTURES = 8
SIDE = 512
# Repetitions of each run, of which the fastest counts: disturbances only make a run slower.
REPEATS = 2


class Preparation(NamedTuple):
    """Row of the table; `kept` of the pictures passed the filters."""

    workers: int
    pictures_per_second: float
    kept: int
    pictures: int


def rendered_photos(folder: Path, side: int) -> list[Path]:
    """Pictures of `side` pixels, rendered on the first call."""
    place = folder / f"rendered-{side}"
    if not place.exists():
        styleswap(["render", "pictures", "--out", str(place), "--count", str(PICTURES), "--size", str(side)], threads=1)
    return [place / f"{number:05d}.png" for number in range(PICTURES)]


def measure_preparation(folder: Path, workers: int, pictures: int, crop: int, pack: str) -> Preparation:
    """Throughput from the difference between a run on few pictures and one on many, which excludes the start.

    Args:
        folder: Working folder; rendered pictures stay there for the next call.
        workers: Number of processes.
        pictures: Number of additional pictures per worker in the longer run.
        crop: Size of the crops.
        pack: insightface pack, by name or folder; empty for the demo pack.
    """
    photos = rendered_photos(folder, max(SIDE, 2 * crop))
    few, many = 2 * workers, (2 + pictures) * workers
    words = ["--size", str(crop), "--workers", str(workers), *(["--pack", pack] if pack else [])]
    (short, _), (long, kept) = (
        min(_prepare(folder / f"{workers}-{count}", photos, count, words) for _ in range(REPEATS))
        for count in (few, many)
    )
    if long <= short:
        raise SystemExit(
            f"expected {many} pictures to take longer than {few}, but they did not; increase --prepared, and run the "
            "benchmark on an idle machine"
        )
    return Preparation(workers, (many - few) / (long - short), kept, many)


def _prepare(folder: Path, photos: list[Path], count: int, words: list[str]) -> tuple[float, int]:
    """Prepare `count` copies of the photos; returns seconds, and pictures in the set."""
    source, out = folder / "photos", folder / "set"
    source.mkdir(parents=True)
    for number in range(count):
        shutil.copy(photos[number % len(photos)], source / f"{number:05d}.png")
    start = time.perf_counter()
    printed = styleswap(["prepare", str(source), str(out), "--duplicates", "-1", "--json", *words], threads=1)
    seconds = time.perf_counter() - start
    shutil.rmtree(folder)
    return seconds, json.loads(printed)["pictures"]


def preparation_table(rows: list[Preparation]) -> str:
    """Markdown table, with speed-ups over the first row."""
    lines = [
        "| processes | pictures/s | speed-up | per process | pictures, kept |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        rate = row.pictures_per_second
        lines.append(
            f"| {row.workers} | {rate:.3g} | {rate / rows[0].pictures_per_second:.2f} | {rate / row.workers:.3g} | "
            f"{row.pictures}, {row.kept} |"
        )
    return "\n".join(lines) + "\n"
