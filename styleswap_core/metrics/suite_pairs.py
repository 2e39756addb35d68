"""The suite of picture pairs: a list of sources and targets, with the results of some program or to be swapped by this one.

The gallery is every source picture of the list; several pictures of one person stand together by the column `person`.
Figures and rules are those of trials.py.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ..errors import StyleSwapError
from ..io.images import load_image
from ..io.read_ahead import read_ahead
from .pair_files import PairRow
from .samples import Gallery, Judges, Outcome, Pictures, Trial, judge_all


@dataclass(frozen=True, eq=False)
class PairSuite:
    """rows and problems as `pair_files.read_pairs` gives them; folder: what their paths are relative to; sheet_rows: best,
    median and worst cases on the picture sheet, so many of each.
    """

    rows: Sequence[PairRow]
    problems: Sequence[str]
    folder: Path
    sheet_rows: int = 0


def evaluate_pairs(judges: Judges, suite: PairSuite, progress: bool = False) -> Outcome:
    """Run the suite. Deterministic on one machine.

    Raises:
        StyleSwapError: nothing in the list could be judged.
    """
    sources: dict[Path, str] = {}
    for row in suite.rows:
        sources.setdefault(suite.folder / row.source, row.person or row.source)
    with tqdm(total=len(sources) + len(suite.rows), unit="picture", disable=not progress, desc="evaluate") as bar:
        gallery, missing = Gallery(), {}
        for path, person in sources.items():
            try:
                gallery.add(judges, path, person, [load_image(path)])
            except StyleSwapError as error:
                missing[path] = str(error)
            bar.update()
        items = _items(suite, gallery, missing, bar)
        with read_ahead(items) as ready:
            return judge_all(judges, gallery, ready, warn, suite.sheet_rows)


def warn(problem: str) -> None:
    """Prints a problem on stderr, above a progress bar where there is one."""
    tqdm.write(f"styleswap: warning: {problem}", file=sys.stderr)


def _items(
    suite: PairSuite, gallery: Gallery, missing: dict[Path, str], bar: tqdm
) -> Iterator[tuple[Trial, Pictures] | str]:
    yield from suite.problems
    for row in suite.rows:
        label, source = f"row {row.number}", suite.folder / row.source
        try:
            if source not in gallery.sources:
                raise StyleSwapError(missing[source])
            record = {"row": row.number, "source": row.source, "target": row.target, "result": row.result or None}
            item: tuple[Trial, Pictures] | str = (
                Trial(label, source, record, _shower(suite.folder, row)),
                _load(suite.folder, row),
            )
        except StyleSwapError as error:
            item = f"{label}: {error}"
        yield item
        bar.update()


def _load(folder: Path, row: PairRow) -> Pictures:
    return load_image(folder / row.target), load_image(folder / row.result) if row.result else None


def _shower(folder: Path, row: PairRow) -> Callable:
    return lambda: (load_image(folder / row.source), *_load(folder, row))
