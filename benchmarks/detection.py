"""Heads that are turned, small or of mixed sizes, false doubts, and processor time of the search for faces.

    python benchmarks/detection.py                                          # rendered faces, demo pack
    python benchmarks/detection.py --pack DIR --portraits DIR --drawn /tmp/detection
    git worktree add ../before v0.2.0
    python benchmarks/detection.py --before ../before

"0.2" are the passes over the whole picture at 640 and 256 px, and with a border if these find nothing, as in version
0.2; "now" is `load_face_analysis(...).detect`, and "before" the same of an earlier revision, in the same process:

- turned: pictures of one head, turned about their middle. A face is right if its roll is within 20 degrees of the roll
  in the upright picture plus the turn, its center less than the distance between the eyes from where it was, and
  without a doubt. Beside it: other faces found, doubted ones, and the mean error of the points of right faces in
  distances between the eyes, against those of the upright picture.
- crowd: 60 pictures of a head, scattered over a picture of 3840 x 2160: heads found, once each, and false ones.
- mixed: frames of 1920 x 1080 with one large head and several small ones, on several backgrounds: heads found, false
  and doubted ones, the mean error of the points as above, and the mean cosine of embeddings to those of true points.
- time: processor milliseconds of one thread for one picture, without embeddings, beside those of the passes alone
  ("plain"), all in turn, and the ratio to these and to before; also for a stream of frames without a face, the mean of
  its frames.
- parts: where the time goes in frames of 1920 x 1080 with one face; see detection_parts.py.
"""

import argparse
import importlib.util
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from detection_parts import parts
from detection_scenes import (
    BACKDROPS,
    CROWD,
    FRAME_SIZE,
    Portrait,
    Scene,
    backdrop,
    eye_distance,
    load_portraits,
    mixed,
    one_face,
    rendered_portraits,
    scatter,
    turn_portrait,
)

from styleswap_core import load_face_analysis
from styleswap_core.faces.analysis import PackAnalyzer
from styleswap_core.faces.close_looks import angle_between, roll_of
from styleswap_core.faces.face_networks import Detection
from styleswap_core.faces.face_search import DETECTION_SIZES, FaceSearch
from styleswap_core.faces.overlay import draw_faces
from styleswap_core.faces.recognition import reduced
from styleswap_core.faces.tiles import without_doubles
from styleswap_core.io.images import save_image
from styleswap_core.pipeline.empty_frames import INTERVAL, EmptyFrames

TURNS = (0, 90, 180, 270, 15, 30, 45, 60, 120, 135, 225, 300, 315)
ALLOWED_DEGREES = 20.0
# Heads in frames of mixed sizes, and frames for each of these numbers on each background.
MIXED, MIXED_FRAMES = (1, 2, 5, 20), 8
TABLES = ("turned", "crowd", "mixed", "time", "parts")
RUNS = 9
# Frames of a stream: some thorough searches, and the quick ones between them.
FRAMES = 4 * INTERVAL


class Found(NamedTuple):
    """A face as all searches give it."""

    points: np.ndarray
    angle: float
    doubtful: str


Search = Callable[[np.ndarray], list[Found]]
# Imports a module of a revision by its name within the package.
Modules = Callable[[str], Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", metavar="NAME", help="face analysis pack (default: the demo pack)")
    parser.add_argument("--portraits", type=Path, metavar="DIR", help="pictures of heads (default: rendered ones)")
    parser.add_argument("--rendered", type=int, default=24, metavar="N", help="number of rendered pictures")
    parser.add_argument("--turns", type=int, nargs="+", default=list(TURNS), metavar="DEG")
    parser.add_argument("--before", type=Path, metavar="TREE", help="also search as in the source tree of a revision")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES, help="by default all")
    parser.add_argument("--drawn", type=Path, metavar="DIR", help="also write the crowd with numbered faces")
    args = parser.parse_args()
    analyzer = load_face_analysis(args.pack, threads=1)
    assert isinstance(analyzer, PackAnalyzer)
    cv2.setNumThreads(1)
    portraits = load_portraits(analyzer, args.portraits) if args.portraits else rendered_portraits(args.rendered)
    searches = {"0.2": _as_in_0_2(analyzer)}
    streams = {"plain": _plain(analyzer), **searches}
    revisions = {"now": (analyzer, _modules_of("styleswap_core"))}
    if args.before:
        before = _load_revision(args.before)
        earlier = before("faces.analysis").load_face_analysis(args.pack, threads=1)
        revisions = {"before": (earlier, before), **revisions}
        searches["before"] = _search(earlier)
        streams["before"] = _search_of_stream(earlier, before("pipeline.empty_frames").EmptyFrames())
    searches["now"], streams["now"] = _search(analyzer), _search_of_stream(analyzer, EmptyFrames())
    tables = {
        "turned": lambda: turned(portraits, searches, args.turns),
        "crowd": lambda: crowds(portraits, searches),
        "mixed": lambda: mixed_sizes(portraits, searches, analyzer),
        "time": lambda: times(portraits, {"plain": _plain(analyzer), **searches}, streams),
        "parts": lambda: parts_of_frames(portraits[0], revisions),
    }
    for name in args.tables:
        for line in tables[name]():
            print(line, flush=True)
        print()
    if args.drawn is not None:
        args.drawn.mkdir(parents=True, exist_ok=True)
        picture = scatter(portraits, 120).picture
        save_image(args.drawn / "crowd.png", draw_faces(picture, analyzer.detect(picture, embed=False)))


def _load_revision(tree: Path) -> Modules:
    """Imports modules of `styleswap_core` in another source tree, under a name of their own."""
    name, root = "styleswap_before", tree / "styleswap_core"
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    assert spec is not None and spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return _modules_of(name)


def _modules_of(package: str) -> Modules:
    return lambda name: importlib.import_module(f"{package}.{name}")


def _plain(analyzer: PackAnalyzer) -> Search:
    def find(picture: np.ndarray) -> list[Found]:
        return [Found(face.points, roll_of(face.points), "") for face in _passes(analyzer._search, reduced(picture)[0])]

    return find


def _passes(search: FaceSearch, picture: np.ndarray) -> list[Detection]:
    """Over the whole picture, without a look at what it holds."""
    faces = [face for size in DETECTION_SIZES for face in search.detector.detect(picture, size)]
    return without_doubles(faces)


def _as_in_0_2(analyzer: PackAnalyzer) -> Search:
    search = analyzer._search

    def find(picture: np.ndarray) -> list[Found]:
        small, factors = reduced(picture)
        faces = _passes(search, small) or _bordered(search, small)
        return [Found(face.points * factors, roll_of(face.points), "") for face in faces]

    return find


def _bordered(search: FaceSearch, picture: np.ndarray) -> list[Detection]:
    y, x = (side // 2 for side in picture.shape[:2])
    padded = cv2.copyMakeBorder(picture, y, y, x, x, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return [face._replace(points=face.points - [x, y]) for face in _passes(search, padded)]


def _search(analyzer: Any) -> Search:
    def find(picture: np.ndarray) -> list[Found]:
        return [Found(face.points, face.angle, face.doubtful) for face in analyzer.detect(picture, embed=False)]

    return find


def _search_of_stream(analyzer: Any, empty: Any) -> Search:
    """As the frames of one stream, which are numbered by the calls."""
    numbers = itertools.count()

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
                errors += [np.abs(face.points - points).mean() / eye_distance(points) for face in hits[:1]]
            error = f"{np.mean(errors):.3f}" if errors else "-"
            cells.append(f"{right} of {len(portraits)} | {others} | {doubted} | {error}")
        yield f"| {turn} | {' | '.join(cells)} |"


def is_right(face: Found, points: np.ndarray) -> bool:
    """Whether a face is the one with these points, in its turn, and not doubted."""
    near = np.linalg.norm(face.points.mean(0) - points.mean(0)) < eye_distance(points)
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
        apart = [eye_distance(points) for points in heads]
        yield f"| {side} px, {min(apart):.0f} to {max(apart):.0f} px | {' | '.join(cells)} |"


def mixed_sizes(portraits: Sequence[Portrait], searches: dict[str, Search], analyzer: PackAnalyzer) -> Iterator[str]:
    """Table of heads that are found in frames with a large one and small ones."""
    columns = " | ".join(f"{name}: large | small | false | doubted | point error | cosine" for name in searches)
    yield f"| background, heads in a frame | {columns} |"
    yield f"| --- | {' | '.join('---:' for _ in range(6 * len(searches)))} |"
    for kind, count in itertools.product(BACKDROPS, MIXED):
        scenes = [mixed(portraits, count, kind, seed) for seed in range(MIXED_FRAMES)]
        cells = [_mixed_cells(scenes, search, analyzer) for search in searches.values()]
        yield f"| {kind}, {count} | {' | '.join(cells)} |"


def _mixed_cells(scenes: Sequence[Scene], search: Search, analyzer: PackAnalyzer) -> str:
    large = small = false = doubted = 0
    errors, cosines = [], []
    for picture, heads in scenes:
        found = search(picture)
        sure = [face for face in found if not face.doubtful]
        doubted += len(found) - len(sure)
        hits = [next((face for face in sure if is_right(face, points)), None) for points in heads]
        false += len(sure) - sum(hit is not None for hit in hits)
        large += hits[0] is not None
        small += sum(hit is not None for hit in hits[1:])
        for hit, points in zip(hits, heads, strict=True):
            if hit is not None:
                errors.append(np.abs(hit.points - points).mean() / eye_distance(points))
                cosines.append(float(analyzer.embed(picture, hit.points) @ analyzer.embed(picture, points)))
    heads_of = sum(len(scene.heads) - 1 for scene in scenes)
    means = f"{np.mean(errors):.4f} | {np.mean(cosines):.4f}" if errors else "- | -"
    return f"{large} of {len(scenes)} | {small} of {heads_of} | {false} | {doubted} | {means}"


def times(portraits: Sequence[Portrait], searches: dict[str, Search], streams: dict[str, Search]) -> Iterator[str]:
    """Table of processor times."""
    names = list(searches)
    ratios = ["now / plain", *(["now / before"] if "before" in names else [])]
    yield f"| picture | {' | '.join(f'{name}, ms' for name in names)} | {' | '.join(ratios)} |"
    yield f"| --- | {' | '.join('---:' for _ in [*names, *ratios])} |"
    scenes = {
        "1280 x 720, one face": one_face(portraits[0], 1280, 720),
        **{f"1920 x 1080, one face, {kind}": one_face(portraits[0], 1920, 1080, kind) for kind in BACKDROPS},
        "3840 x 2160, one face": one_face(portraits[0], 3840, 2160),
        "1920 x 1080, 5 faces, detailed": mixed(portraits, 5, "detailed", 0).picture,
        "1920 x 1080, no face": backdrop(1920, 1080),
        "1920 x 1080, face on its side": np.ascontiguousarray(np.rot90(one_face(portraits[0], 1080, 1920))),
        f"3840 x 2160, {CROWD} heads": scatter(portraits, 120).picture,
    }
    for name, picture in scenes.items():
        yield _row_of_times(name, _in_turn(searches, [picture] * RUNS))
    frames = _noisy(scenes["1920 x 1080, no face"], FRAMES)
    yield _row_of_times("1920 x 1080, stream without a face", _in_turn(streams, frames, statistics.mean))


def _row_of_times(name: str, taken: dict[str, float]) -> str:
    ratios = [taken["now"] / taken[other] for other in ("plain", "before") if other in taken]
    cells = [*(f"{one:.1f}" for one in taken.values()), *(f"{ratio:.2f}" for ratio in ratios)]
    return f"| {name} | {' | '.join(cells)} |"


def _in_turn(
    searches: dict[str, Search],
    pictures: Sequence[np.ndarray],
    average: Callable[[Sequence[float]], float] = statistics.median,
) -> dict[str, float]:
    """Processor milliseconds per picture; each picture is searched by all, so that a drift of the speed cancels out."""
    taken: dict[str, list[float]] = {name: [] for name in searches}
    for search in searches.values() if average is statistics.median else ():
        search(pictures[0])
    for picture in pictures:
        for name, search in searches.items():
            start = time.thread_time()
            search(picture)
            taken[name].append(1000 * (time.thread_time() - start))
    return {name: average(some) for name, some in taken.items()}


def parts_of_frames(portrait: Portrait, revisions: dict[str, tuple[PackAnalyzer, Modules]]) -> Iterator[str]:
    """Tables of where the time goes in frames with one face."""
    for kind, (name, (analyzer, modules)) in itertools.product(BACKDROPS, revisions.items()):
        yield f"1920 x 1080, one face, {kind}, {name}:\n"
        yield from parts(analyzer, modules, one_face(portrait, *FRAME_SIZE, kind))
        yield ""


def _noisy(picture: np.ndarray, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [picture + rng.integers(0, 3, picture.shape, dtype=np.uint8) for _ in range(count)]


if __name__ == "__main__":
    main()
