"""Suite of videos, with the protocol that is common on FaceForensics++.

Input is either a folder of results of any program, named `target_source.mp4`, with a folder of the original videos; or
a folder of originals with a list of pairs, which this program swaps. Evenly spaced frames of each video are evaluated.
The gallery holds the frames of all originals involved, including targets: a result is retrieved correctly if its
nearest face is a frame of the source video. For swaps by this program, the identity is averaged over the frames of the
source. Figures and rules are those of samples.py.
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
from .samples import Pictures, Sample, SampleEvaluation, evaluate_samples
from .source_gallery import Evaluators, Gallery
from .suite_pairs import warn


@dataclass(frozen=True, eq=False)
class VideoPair:
    """Target, source and result videos; the result is None if this program is to swap the pair."""

    label: str
    target: Path
    source: Path
    result: Path | None = None


@dataclass(frozen=True, eq=False)
class VideoSuite:
    """Videos to evaluate.

    Attributes:
        pairs: Pairs of videos.
        problems: Messages about files or rows from which no pair could be made.
        frames: Number of frames of each video.
        sheet_rows: Number of best, of median and of worst cases on the contact sheet.
    """

    pairs: Sequence[VideoPair]
    problems: Sequence[str]
    frames: int = 10
    sheet_rows: int = 0


def pairs_of_results(results: Mapping[str, Path], originals: Mapping[str, Path]) -> tuple[list[VideoPair], list[str]]:
    """Pairs from the names of results, `target_source`, and a message for each name that does not fit two originals.

    Args:
        results: Result videos by name without suffix.
        originals: Original videos by name without suffix.
    """
    pairs, problems = [], []
    for name, path in results.items():
        parts = name.split("_")
        # Names of originals may contain underscores themselves.
        splits = [("_".join(parts[:cut]), "_".join(parts[cut:])) for cut in range(1, len(parts))]
        known = [split for split in splits if split[0] in originals and split[1] in originals]
        if len(known) == 1:
            target, source = (originals[part] for part in known[0])
            pairs.append(VideoPair(path.name, target, source, path))
        else:
            problems.append(
                f"{path.name}: expected a name target_source that fits two originals, found {len(known)} ways to split "
                "it; rename the file"
            )
    return pairs, problems


def pairs_of_rows(rows: Sequence[PairRow], originals: Mapping[str, Path]) -> tuple[list[VideoPair], list[str]]:
    """Pairs from a list that names originals, with or without suffix, and a message for each row that does not."""
    pairs, problems = [], []
    for row in rows:
        target, source = (originals.get(name) or originals.get(Path(name).stem) for name in (row.target, row.source))
        if target is None or source is None:
            name = row.target if target is None else row.source
            problems.append(f"row {row.number}: there is no video {name} among the originals")
        else:
            pairs.append(VideoPair(f"row {row.number}, {target.stem}_{source.stem}", target, source))
    return pairs, problems


def evaluate_videos(evaluators: Evaluators, suite: VideoSuite, progress: bool = False) -> SampleEvaluation:
    """Run the suite, which is deterministic on one machine. Each frame is a case.

    Raises:
        StyleSwapError: No frame could be evaluated.
    """
    originals = dict.fromkeys(path for pair in suite.pairs for path in (pair.source, pair.target))
    with tqdm(total=len(originals) + len(suite.pairs), unit="video", disable=not progress, desc="evaluate") as bar:
        gallery = Gallery()
        errors: dict[Path, str] = {}
        for path in originals:
            try:
                gallery.add(evaluators, path, path.stem, sample_frames([path], suite.frames)[1][0])
            except StyleSwapError as error:
                errors[path] = str(error)
            bar.update()
        with read_ahead(_samples(suite, gallery, errors, bar)) as samples:
            return evaluate_samples(evaluators, gallery, samples, warn, suite.sheet_rows)


def _samples(
    suite: VideoSuite, gallery: Gallery, errors: Mapping[Path, str], bar: tqdm
) -> Iterator[tuple[Sample, Pictures] | str]:
    """Frames as samples with their pictures, or a message for each pair that cannot be loaded."""
    yield from suite.problems
    for pair in suite.pairs:
        try:
            if pair.source not in gallery.sources:
                raise StyleSwapError(errors[pair.source])
            numbers, videos = sample_frames([pair.target, *([pair.result] if pair.result else [])], suite.frames)
        except StyleSwapError as error:
            yield f"{pair.label}: {error}"
            bar.update()
            continue
        results: Sequence[np.ndarray | None] = videos[1] if pair.result else [None] * len(numbers)
        for number, target, result in zip(numbers, videos[0], results, strict=True):
            record = {
                "target": pair.target.name,
                "source": pair.source.name,
                "result": pair.result.name if pair.result else None,
                "frame": number,
            }
            sample = Sample(f"{pair.label}, frame {number}", pair.source, record, _reload(pair, number))
            yield sample, (target, result)
        bar.update()


def _reload(pair: VideoPair, number: int) -> Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    def load() -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        result = read_frames(pair.result, [number])[0] if pair.result else None
        return sample_frames([pair.source], 1)[1][0][0], read_frames(pair.target, [number])[0], result

    return load
