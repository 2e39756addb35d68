"""Pictures per second of `styleswap prepare`, by how many processes work. Part of training.py."""

import json
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from commands import styleswap

# Different pictures, each taken many times: what they show decides the work, how many files there are does not.
PICTURES = 8
SIDE = 512
# Of each run, whose fastest counts: what disturbs only makes it slower.
REPEATS = 2


class Preparation(NamedTuple):
    """One line of the table."""

    workers: int
    pictures_per_second: float
    kept: int  # of `pictures`, the rest was left out by the filters
    pictures: int


def rendered_photos(folder: Path, side: int) -> list[Path]:
    """A few pictures of `side` px, rendered where they are not there yet."""
    place = folder / f"rendered-{side}"
    if not place.exists():
        styleswap(["render", "pictures", "--out", str(place), "--count", str(PICTURES), "--size", str(side)], threads=1)
    return [place / f"{number:05d}.png" for number in range(PICTURES)]


def measure_preparation(folder: Path, workers: int, pictures: int, crop: int, pack: str) -> Preparation:
    """Prepare few pictures and many; what the others took beyond the few is the work alone, without the start.

    Args:
        folder: for what is made on the way; the pictures stay there for the next call.
        pictures: how many more the second run has, for each worker.
        crop: side of the crops in the set.
        pack: of insightface, by name or folder; empty: the demo pack.
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
            f"{many} pictures took no longer than {few}; take more (--prepared), on a machine that does nothing else"
        )
    return Preparation(workers, (many - few) / (long - short), kept, many)


def _prepare(folder: Path, photos: list[Path], count: int, words: list[str]) -> tuple[float, int]:
    """Prepare `count` copies of the photos: seconds, and pictures in the set."""
    source, out = folder / "photos", folder / "set"
    source.mkdir(parents=True)
    for number in range(count):
        shutil.copy(photos[number % len(photos)], source / f"{number:05d}.png")
    begun = time.perf_counter()
    printed = styleswap(["prepare", str(source), str(out), "--duplicates", "-1", "--json", *words], threads=1)
    seconds = time.perf_counter() - begun
    shutil.rmtree(folder)
    return seconds, json.loads(printed)["pictures"]


def preparation_table(rows: list[Preparation]) -> str:
    """Markdown; scaling is against the first line."""
    lines = [
        "| processes | pictures/s | times the first | per process | of so many pictures, kept |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        rate = row.pictures_per_second
        lines.append(
            f"| {row.workers} | {rate:.3g} | {rate / rows[0].pictures_per_second:.2f} | {rate / row.workers:.3g} | "
            f"{row.pictures}, {row.kept} |"
        )
    return "\n".join(lines) + "\n"
