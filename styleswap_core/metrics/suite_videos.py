"""The suite of videos, by the protocol that papers use on FaceForensics++.

Either results that some program made, named `target_source.mp4`, beside a folder of the originals; or originals alone and a
list of pairs, which this program swaps. Of each video some frames are judged, evenly spaced over it. The gallery is the
frames of all originals that take part, targets among them: a result's frame is right where its nearest face is a frame of its
source's video. The identity that this program gives is the mean over the source's frames. Figures and rules are those of trials.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import StyleSwapError
from ..io.read_ahead import read_ahead
from .pair_files import PairRow
from .result_videos import read_frames, sample_frames
from .samples import Gallery, Judges, Outcome, Pictures, Trial, judge_all
from .suite_pairs import warn


@dataclass(frozen=True)
class VideoPair:
    """A target video, the source video, and the result's; None where this program swaps."""

    label: str
    target: Path
    source: Path
    result: Path | None = None


@dataclass(frozen=True, eq=False)
class VideoSuite:
    """pairs, and the problems met in finding them; frames: of each video; sheet_rows: as for `PairSuite`."""

    pairs: Sequence[VideoPair]
    problems: Sequence[str]
    frames: int = 10
    sheet_rows: int = 0


def pairs_of_results(results: Mapping[str, Path], originals: Mapping[str, Path]) -> tuple[list[VideoPair], list[str]]:
    """Pairs out of results by their names, `target_source`, and a sentence for each that names no two originals.

    Args:
        results, originals: videos by their names without suffix.
    """
    pairs, problems = [], []
    for name, path in results.items():
        parts = name.split("_")
        # Names of originals may have underscores themselves.
        splits = [("_".join(parts[:cut]), "_".join(parts[cut:])) for cut in range(1, len(parts))]
        known = [split for split in splits if split[0] in originals and split[1] in originals]
        if len(known) == 1:
            target, source = (originals[part] for part in known[0])
            pairs.append(VideoPair(path.name, target, source, path))
        else:
            problems.append(f"{path.name}: expected a name target_source of two originals, {len(known)} fit; rename it")
    return pairs, problems


def pairs_of_rows(rows: Sequence[PairRow], originals: Mapping[str, Path]) -> tuple[list[VideoPair], list[str]]:
    """Pairs out of a list that names originals, with or without suffix, and a sentence for each row that does not."""
    pairs, problems = [], []
    for row in rows:
        found = [originals.get(name) or originals.get(Path(name).stem) for name in (row.target, row.source)]
        if None in found:
            name = (row.target, row.source)[found.index(None)]
            problems.append(f"row {row.number}: there is no video {name} among the originals")
        else:
            pairs.append(VideoPair(f"row {row.number}, {found[0].stem}_{found[1].stem}", *found))
    return pairs, problems


def evaluate_videos(judges: Judges, suite: VideoSuite, progress: bool = False) -> Outcome:
    """Run the suite; each case is a frame. Deterministic on one machine.

    Raises:
        StyleSwapError: nothing could be judged.
    """
    originals = dict.fromkeys(path for pair in suite.pairs for path in (pair.source, pair.target))
    with tqdm(total=len(originals) + len(suite.pairs), unit="video", disable=not progress, desc="evaluate") as bar:
        gallery, missing = Gallery(), {}
        for path in originals:
            try:
                gallery.add(judges, path, path.stem, sample_frames([path], suite.frames)[1][0])
            except StyleSwapError as error:
                missing[path] = str(error)
            bar.update()
        with read_ahead(_items(suite, gallery, missing, bar)) as ready:
            return judge_all(judges, gallery, ready, warn, suite.sheet_rows)


def _items(
    suite: VideoSuite, gallery: Gallery, missing: dict[Path, str], bar: tqdm
) -> Iterator[tuple[Trial, Pictures] | str]:
    yield from suite.problems
    for pair in suite.pairs:
        try:
            if pair.source not in gallery.sources:
                raise StyleSwapError(missing[pair.source])
            numbers, pictures = sample_frames([pair.target, *([pair.result] if pair.result else [])], suite.frames)
        except StyleSwapError as error:
            yield f"{pair.label}: {error}"
            bar.update()
            continue
        results = pictures[1] if pair.result else [None] * len(numbers)
        for number, target, result in zip(numbers, pictures[0], results, strict=True):
            record = {
                "target": pair.target.name,
                "source": pair.source.name,
                "result": pair.result.name if pair.result else None,
                "frame": number,
            }
            yield Trial(f"{pair.label}, frame {number}", pair.source, record, _shower(pair, number)), (target, result)
        bar.update()


def _shower(pair: VideoPair, number: int) -> Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    def show() -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        result = read_frames(pair.result, [number])[0] if pair.result else None
        return sample_frames([pair.source], 1)[1][0][0], read_frames(pair.target, [number])[0], result

    return show
