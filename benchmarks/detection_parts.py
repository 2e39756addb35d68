"""Where the time of a search for faces goes: its passes, and the steps of each of them."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

from styleswap_core.faces.face_search import DETECTION_SIZES

PASSES = ("fine pass", "coarse pass", "close looks", "elsewhere")
STEPS = {
    "scaling and cutting": "scale",
    "which parts have detail": "detail",
    "normalized input": "input",
    "network": "network",
    "boxes, points, the rest": "rest",
}
RUNS = 30


class Stopwatch:
    """Processor seconds of one thread by pass and step, each without the steps within it."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._open = [("elsewhere", "rest")]
        self.start()

    def start(self) -> None:
        """Forget what was counted."""
        self.seconds.clear()
        self._since = time.thread_time()

    def timed(self, function: Callable[..., Any], step: str = "", name: str = "") -> Callable[..., Any]:
        """The function, whose time counts for a step of the running pass, or for the rest of a pass of this name."""

        def run(*args: Any, **kwargs: Any) -> Any:
            outer = self._open[-1][0]
            # Runs of the detector within a pass belong to it.
            self._enter((name or outer if outer == "elsewhere" else outer, step or "rest"))
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return run

    def _count(self) -> None:
        now = time.thread_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _enter(self, place: tuple[str, str]) -> None:
        self._count()
        self._open.append(place)

    def _leave(self) -> None:
        self._count()
        self._open.pop()


class _Session:
    """A session of ONNX Runtime whose runs are timed."""

    def __init__(self, session: Any, watch: Stopwatch) -> None:
        self._session = session
        self.run = watch.timed(session.run, "network")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def parts(analyzer: Any, modules: Callable[[str], Any], picture: np.ndarray) -> Iterator[str]:
    """Table of milliseconds for one picture.

    Args:
        analyzer: A `PackAnalyzer` of any revision over a pack of insightface's form.
        modules: Imports a module of the same revision by its name within `styleswap_core`.
        picture: (H, W, 3) uint8 RGB.
    """
    watch, search = Stopwatch(), analyzer._search
    detector, faces = search.detector, modules("faces.face_search")
    for _ in range(3):
        analyzer.detect(picture, embed=False)
    with ExitStack() as stack:

        def replace(owner: Any, name: str, step: str = "", label: str = "") -> None:
            stack.enter_context(patch.object(owner, name, watch.timed(getattr(owner, name), step, label)))

        for name in ("resize", "warpAffine", "cvtColor"):
            replace(cv2, name, "scale")
        replace(cv2.dnn, "blobFromImage", "input")
        replace(faces, "settle_turns", label="close looks")
        if hasattr(faces, "search_details"):
            replace(faces, "search_details", label="fine pass")
            replace(modules("faces.anchor_network"), "_input", "input")
            replace(modules("faces.detailed_parts"), "_detailed_cells", "detail")
        fine, coarse = (watch.timed(detector.detect, name=name) for name in PASSES[:2])
        by_size = lambda pixels, size: (coarse if size == DETECTION_SIZES[1] else fine)(pixels, size)  # noqa: E731
        stack.enter_context(patch.object(detector, "detect", by_size))
        stack.enter_context(patch.object(detector._network, "session", _Session(detector._network.session, watch)))
        watch.start()
        for _ in range(RUNS):
            analyzer.detect(picture, embed=False)
    yield f"| step, ms | {' | '.join(PASSES)} | all |"
    yield f"| --- | {' | '.join('---:' for _ in range(len(PASSES) + 1))} |"
    table = {name: [1000 * watch.seconds[place, step] / RUNS for place in PASSES] for name, step in STEPS.items()}
    table["all"] = [sum(column) for column in zip(*table.values(), strict=True)]
    for name, row in table.items():
        yield f"| {name} | {' | '.join(f'{one:.1f}' if one >= 0.05 else '' for one in row)} | {sum(row):.1f} |"
