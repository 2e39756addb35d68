"""Turned heads, small heads in a large picture, false doubts, and processor time of the search for faces.

    python benchmarks/detection.py                                          # rendered faces, demo pack
    python benchmarks/detection.py --pack DIR --portraits DIR --drawn /tmp/detection

"Before" are the passes over the whole picture at 640 and 256 px, and with a border if these find nothing; "now" is
`load_face_analysis(...).detect`:

- turned: pictures of one head, turned about their middle. A face is right if its roll is within 20 degrees of the roll
  in the upright picture plus the turn, its center less than the distance between the eyes from where it was, and
  without a doubt. Beside it: other faces found, doubted ones, and the mean error of the points of right faces in
  distances between the eyes, against those of the upright picture.
- crowd: 60 pictures of a head, scattered over a picture of 3840 x 2160: heads found, once each, and false ones.
- time: processor milliseconds of one thread for one picture, without embeddings, beside those of the passes alone
  ("plain"), and the ratio to these; also for a stream of frames without a face, the mean of its frames.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from styleswap_core import load_face_analysis
from styleswap_core.faces.analysis import PackAnalyzer
from styleswap_core.faces.close_looks import angle_between, roll_of
from styleswap_core.faces.face_networks import Detection
from styleswap_core.faces.face_search import FaceSearch
from styleswap_core.faces.overlay import draw_faces
from styleswap_core.faces.recognition import reduced
from styleswap_core.io.images import load_image, save_image, to_uint8
from styleswap_core.pipeline.empty_frames import INTERVAL, EmptyFrames
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

TURNS = (0, 90, 180, 270, 15, 30, 45, 60, 120, 135, 225, 300, 315)
ALLOWED_DEGREES = 20.0
CROWD, CROWD_SIZE = 60, (3840, 2160)
RUNS = 9
# Frames of a stream: some thorough searches, and the quick ones between them.
FRAMES = 4 * INTERVAL


class Portrait(NamedTuple):
    """A picture with one upright head, and the head's five points (5, 2)."""

    picture: np.ndarray
    points: np.ndarray


class Found(NamedTuple):
    """A face as both searches give it."""

    points: np.ndarray
    angle: float
    doubtful: str


Search = Callable[[np.ndarray], list[Found]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", metavar="NAME", help="face analysis pack (default: the demo pack)")
    parser.add_argument("--portraits", type=Path, metavar="DIR", help="pictures of heads (default: rendered ones)")
    parser.add_argument("--rendered", type=int, default=24, metavar="N", help="number of rendered pictures")
    parser.add_argument("--turns", type=int, nargs="+", default=list(TURNS), metavar="DEG")
    parser.add_argument("--drawn", type=Path, metavar="DIR", help="also write the crowd with numbered faces")
    args = parser.parse_args()
    analyzer = load_face_analysis(args.pack, threads=1)
    assert isinstance(analyzer, PackAnalyzer)
    cv2.setNumThreads(1)
    portraits = _portraits(analyzer, args.portraits) if args.portraits else _rendered(args.rendered)
    searches = {"before": _before(analyzer), "now": _now(analyzer)}
    for lines in (
        turned(portraits, searches, args.turns),
        crowds(portraits, searches),
        times(
            portraits,
            {"plain": _plain(analyzer), **searches},
            {"plain": _plain(analyzer), **searches, "now": _now_in_stream(analyzer)},
        ),
    ):
        for line in lines:
            print(line, flush=True)
        print()
    if args.drawn is not None:
        args.drawn.mkdir(parents=True, exist_ok=True)
        picture, _ = scatter(portraits, 120)
        save_image(args.drawn / "crowd.png", draw_faces(picture, analyzer.detect(picture, embed=False)))


def _portraits(analyzer: PackAnalyzer, folder: Path) -> list[Portrait]:
    """The pictures of a folder, with the points that the detector finds upright."""
    pictures = [load_image(path) for path in sorted(folder.iterdir())]
    return [Portrait(picture, analyzer.detect(picture, embed=False)[0].points) for picture in pictures]


def _rendered(count: int) -> list[Portrait]:
    """Pictures of the face world with their exact points."""
    faces = render(Identities.from_seeds(range(500, 500 + count)), Attributes.from_seeds(range(900, 900 + count)), 384)
    return [
        Portrait(picture, points.numpy()) for picture, points in zip(to_uint8(faces.image), faces.points, strict=True)
    ]


def _plain(analyzer: PackAnalyzer) -> Search:
    def find(picture: np.ndarray) -> list[Found]:
        faces = analyzer._search._passes(reduced(picture)[0])
        return [Found(face.points, roll_of(face.points), "") for face in faces]

    return find


def _before(analyzer: PackAnalyzer) -> Search:
    search = analyzer._search

    def find(picture: np.ndarray) -> list[Found]:
        small, factors = reduced(picture)
        faces = search._passes(small) or _bordered(search, small)
        return [Found(face.points * factors, roll_of(face.points), "") for face in faces]

    return find


def _bordered(search: FaceSearch, picture: np.ndarray) -> list[Detection]:
    y, x = (side // 2 for side in picture.shape[:2])
    padded = cv2.copyMakeBorder(picture, y, y, x, x, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return [face._replace(points=face.points - [x, y]) for face in search._passes(padded)]


def _now(analyzer: PackAnalyzer) -> Search:
    def find(picture: np.ndarray) -> list[Found]:
        return [Found(face.points, face.angle, face.doubtful) for face in analyzer.detect(picture, embed=False)]

    return find


def _now_in_stream(analyzer: PackAnalyzer) -> Search:
    """As the frames of one stream, which are numbered by the calls."""
    empty, numbers = EmptyFrames(), itertools.count()

    def find(picture: np.ndarray) -> list[Found]:
        faces = empty.search(next(numbers), picture, lambda quick: analyzer.detect(picture, embed=False, quick=quick))
        return [Found(face.points, face.angle, face.doubtful) for face in faces]

    return find


def turned(portraits: Sequence[Portrait], searches: dict[str, Search], turns: Sequence[int]) -> Iterator[str]:
    """Table of right faces by turn."""
    yield f"| turn | {' | '.join(f'{name}: right | others | doubted | point error' for name in searches)} |"
    yield f"| ---: | {' | '.join('---:' for _ in range(4 * len(searches)))} |"
    for turn in turns:
        cells = []
        for search in searches.values():
            right = others = doubted = 0
            errors = []
            for portrait in portraits:
                picture, points = turn_portrait(portrait, turn)
                found = search(picture)
                hits = [face for face in found if is_right(face, points)]
                right += bool(hits)
                others += len(found) - bool(hits)
                doubted += sum(bool(face.doubtful) for face in found)
                errors += [np.abs(face.points - points).mean() / _eye_distance(points) for face in hits[:1]]
            error = f"{np.mean(errors):.3f}" if errors else "-"
            cells.append(f"{right} of {len(portraits)} | {others} | {doubted} | {error}")
        yield f"| {turn} | {' | '.join(cells)} |"


def turn_portrait(portrait: Portrait, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """A portrait turned clockwise about its middle, its border repeated, and its points."""
    height, width = portrait.picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -turn, 1.0)
    picture = cv2.warpAffine(portrait.picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return picture, (portrait.points - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


def is_right(face: Found, points: np.ndarray) -> bool:
    """Whether a face is the one with these points, in its turn, and not doubted."""
    near = np.linalg.norm(face.points.mean(0) - points.mean(0)) < _eye_distance(points)
    return bool(near) and angle_between(face.angle, roll_of(points)) <= ALLOWED_DEGREES and not face.doubtful


def crowds(portraits: Sequence[Portrait], searches: dict[str, Search]) -> Iterator[str]:
    """Table of heads that are found in large pictures."""
    yield f"| side of {CROWD} pictures, eyes apart | {' | '.join(f'{name}: heads | false' for name in searches)} |"
    yield f"| ---: | {' | '.join('---:' for _ in range(2 * len(searches)))} |"
    for side in (90, 120, 200, 300):
        picture, heads = scatter(portraits, side)
        cells = []
        for search in searches.values():
            found = [face for face in search(picture) if not face.doubtful]
            hits = [number for number, points in enumerate(heads) if any(is_right(face, points) for face in found)]
            cells.append(f"{len(hits)} | {len(found) - len(hits)}")
        apart = [_eye_distance(points) for points in heads]
        yield f"| {side} px, {min(apart):.0f} to {max(apart):.0f} px | {' | '.join(cells)} |"


def scatter(portraits: Sequence[Portrait], side: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A picture with CROWD portraits of `side` pixels at random places, and the points of each."""
    rng = np.random.default_rng(0)
    width, height = CROWD_SIZE
    picture = cv2.resize(rng.integers(60, 200, (9, 16, 3), dtype=np.uint8), CROWD_SIZE, interpolation=cv2.INTER_CUBIC)
    columns = 10
    cell = np.array([width // columns, height * columns // CROWD])
    heads = []
    for number in range(CROWD):
        portrait = portraits[number % len(portraits)]
        row, column = divmod(number, columns)
        x, y = cell * [column, row] + [int(rng.integers(0, room)) for room in cell - side]
        picture[y : y + side, x : x + side] = cv2.resize(portrait.picture, (side, side), interpolation=cv2.INTER_AREA)
        heads.append(portrait.points * side / portrait.picture.shape[0] + [x, y])
    return picture, heads


def times(portraits: Sequence[Portrait], searches: dict[str, Search], streams: dict[str, Search]) -> Iterator[str]:
    """Table of processor times."""
    yield f"| picture | {' | '.join(f'{name}, ms' for name in searches)} | now / plain |"
    yield "| --- | ---: | ---: | ---: |"
    scenes = {
        "1280 x 720, one face": one_face(portraits[0], 1280, 720),
        "1920 x 1080, one face": one_face(portraits[0], 1920, 1080),
        "3840 x 2160, one face": one_face(portraits[0], 3840, 2160),
        "1920 x 1080, no face": _backdrop(1920, 1080),
        "1920 x 1080, face on its side": np.ascontiguousarray(np.rot90(one_face(portraits[0], 1080, 1920))),
        f"3840 x 2160, {CROWD} heads": scatter(portraits, 120)[0],
    }
    for name, picture in scenes.items():
        taken = [_milliseconds(search, picture) for search in searches.values()]
        yield _row_of_times(name, taken)
    frames = _noisy(scenes["1920 x 1080, no face"], FRAMES)
    taken = [_milliseconds_of_stream(find, frames) for find in streams.values()]
    yield _row_of_times("1920 x 1080, stream without a face", taken)


def _row_of_times(name: str, taken: Sequence[float]) -> str:
    return f"| {name} | {' | '.join(f'{one:.0f}' for one in taken)} | {taken[-1] / taken[0]:.2f} |"


def one_face(portrait: Portrait, width: int, height: int) -> np.ndarray:
    """A picture in which a portrait takes 70 % of the shorter side."""
    picture, side = _backdrop(width, height), round(0.7 * min(width, height))
    x, y = (width - side) // 3, (height - side) // 2
    picture[y : y + side, x : x + side] = cv2.resize(portrait.picture, (side, side), interpolation=cv2.INTER_AREA)
    return picture


def _backdrop(width: int, height: int) -> np.ndarray:
    coarse = np.random.default_rng(1).integers(60, 200, (9, 16, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _milliseconds(search: Search, picture: np.ndarray) -> float:
    search(picture)
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        search(picture)
        taken.append(1000 * (time.process_time() - start))
    return statistics.median(taken)


def _noisy(picture: np.ndarray, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [picture + rng.integers(0, 3, picture.shape, dtype=np.uint8) for _ in range(count)]


def _milliseconds_of_stream(find: Search, frames: Sequence[np.ndarray]) -> float:
    start = time.process_time()
    for frame in frames:
        find(frame)
    return 1000 * (time.process_time() - start) / len(frames)


def _eye_distance(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[1] - points[0]))


if __name__ == "__main__":
    main()
