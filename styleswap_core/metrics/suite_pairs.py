"""Suite of picture pairs: sources and targets, with results of any program or to be swapped by this one.

The gallery holds every source picture of the list. The column `person` joins several pictures of one person. Figures
and rules are those of samples.py.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import StyleSwapError, printable
from ..io.images import load_image
from ..io.read_ahead import read_ahead
from .pair_files import PairRow
from .samples import Pictures, Sample, SampleEvaluation, evaluate_samples
from .source_gallery import Evaluators, Gallery


@dataclass(frozen=True, eq=False)
class PairSuite:
    """Pairs to evaluate.

    Attributes:
        rows: Rows from `pair_files.read_pairs`.
        problems: Messages about invalid rows, from the same function.
        folder: Folder that relative paths in the rows refer to.
        sheet_rows: Number of best, of median and of worst cases on the contact sheet.
    """

    rows: Sequence[PairRow]
    problems: Sequence[str]
    folder: Path
    sheet_rows: int = 0


def evaluate_pairs(evaluators: Evaluators, suite: PairSuite, progress: bool = False) -> SampleEvaluation:
    """Run the suite, which is deterministic on one machine.

    Raises:
        StyleSwapError: No pair could be evaluated.
    """
    sources: dict[Path, str] = {}
    for row in suite.rows:
        sources.setdefault(suite.folder / row.source, row.person or row.source)
    with tqdm(total=len(sources) + len(suite.rows), unit="picture", disable=not progress, desc="evaluate") as bar:
        gallery = Gallery()
        errors: dict[Path, str] = {}
        for path, person in sources.items():
            try:
                gallery.add(evaluators, path, person, [load_image(path)])
            except StyleSwapError as error:
                errors[path] = str(error)
            bar.update()
        with read_ahead(_samples(suite, gallery, errors, bar)) as samples:
            return evaluate_samples(evaluators, gallery, samples, warn, suite.sheet_rows)


def warn(problem: str) -> None:
    """Print a warning on stderr, above the progress bar if there is one."""
    tqdm.write(f"styleswap: warning: {printable(problem)}", file=sys.stderr)


def _samples(
    suite: PairSuite, gallery: Gallery, errors: Mapping[Path, str], bar: tqdm
) -> Iterator[tuple[Sample, Pictures] | str]:
    """Samples with their pictures, or a message for each that cannot be loaded."""
    yield from suite.problems
    for row in suite.rows:
        label, source = f"row {row.number}", suite.folder / row.source
        item: tuple[Sample, Pictures] | str
        try:
            if source not in gallery.sources:
                raise StyleSwapError(errors[source])
            record = {"row": row.number, "source": row.source, "target": row.target, "result": row.result or None}
            item = (Sample(label, source, record, _reload(suite.folder, row)), _load(suite.folder, row))
        except StyleSwapError as error:
            item = f"{label}: {error}"
        yield item
        bar.update()


def _load(folder: Path, row: PairRow) -> Pictures:
    return load_image(folder / row.target), load_image(folder / row.result) if row.result else None


def _reload(folder: Path, row: PairRow) -> Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    return lambda: (load_image(folder / row.source), *_load(folder, row))
