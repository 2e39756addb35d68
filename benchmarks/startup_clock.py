"""A run of `styleswap` that notes where its time goes; `startup.py` starts it in fresh processes.

    python benchmarks/startup_clock.py RECORD.json BEGAN swap --source a.png --target b.png --out c.png

BEGAN is the time of the start by `time.time()` of the process that started this one, or "processor" to measure the time
of the processor. RECORD.json receives seconds by step. Time belongs to the innermost step; what a package imports while
it is imported itself belongs to that package.
"""

import time

STARTED, STARTED_BY_PROCESSOR = time.time(), time.process_time()

import importlib.machinery  # noqa: E402 - the time until here is that of the interpreter
import json  # noqa: E402
import sys  # noqa: E402
from collections import defaultdict  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402

PACKAGE = "styleswap_core"
OWN_MODULES = "import: this package and the standard library"
OTHER = "arguments, report and everything else"
SOURCE, SWAP = "source: reading, detection, identity", "target: masks and copies"


class Clock:
    """Seconds by step, for the thread that makes it.

    Args:
        now: Clock that is read.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._steps = [OTHER]
        self._now = now
        self._since = now()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Context whose time belongs to a step, without that of the steps within it."""
        self._change()
        self._steps.append(name)
        try:
            yield
        finally:
            self._change()
            self._steps.pop()

    def is_in(self, name: str) -> bool:
        """Whether a step is in progress."""
        return name in self._steps

    def stop(self) -> dict[str, float]:
        """The seconds so far."""
        self._change()
        return dict(self.seconds)

    def watch_imports(self) -> None:
        """Give every import a step: the outermost package that is being imported."""
        for loader, methods in (
            (importlib.machinery.SourceFileLoader, ("exec_module",)),
            (importlib.machinery.ExtensionFileLoader, ("create_module", "exec_module")),
        ):
            for method in methods:
                setattr(loader, method, self._importing(getattr(loader, method)))

    def watch(self, owner: object, name: str, step: str, within: str = "") -> None:
        """Give the calls of a function or method a step, or only those within another step."""
        original = getattr(owner, name)

        def run(*arguments: object, **options: object) -> object:
            if within and not self.is_in(within):
                return original(*arguments, **options)
            with self.step(step):
                return original(*arguments, **options)

        setattr(owner, name, run)

    def _importing(self, load: Callable) -> Callable:
        def run(loader: object, subject: object) -> object:
            spec = getattr(subject, "__spec__", None) or subject
            top = str(getattr(spec, "name", "")).split(".")[0]
            foreign = top not in sys.stdlib_module_names and top not in (PACKAGE, "__main__")
            running = self._steps[-1]
            name = running if _is_foreign(running) else f"import: {top}" if foreign else OWN_MODULES
            with self.step(name):
                return load(loader, subject)

        return run

    def _change(self) -> None:
        now = self._now()
        self.seconds[self._steps[-1]] += now - self._since
        self._since = now


def _is_foreign(step: str) -> bool:
    return step.startswith("import: ") and step != OWN_MODULES


def watch_swap(clock: Clock) -> None:
    """Give the parts of `styleswap swap` their steps."""
    from styleswap_core.commands import file_swapper
    from styleswap_core.compositing.canvas import Canvas
    from styleswap_core.faces.analysis import PackAnalyzer
    from styleswap_core.swappers.styleswap_network import StyleSwapNetwork

    clock.watch(file_swapper, "load_network", "model: checkpoint and network")
    clock.watch(file_swapper, "load_analysis", "face analysis: sessions of ONNX Runtime")
    clock.watch(file_swapper, "extract_identity", SOURCE)
    clock.watch(file_swapper, "read_picture", "target: reading")
    clock.watch(file_swapper.Swapper, "swap", SWAP)
    clock.watch(PackAnalyzer, "detect", "target: detection", within=SWAP)
    clock.watch(PackAnalyzer, "embed", "target: likeness before and after", within=SWAP)
    clock.watch(Canvas, "read_crops", "target: cutting", within=SWAP)
    clock.watch(StyleSwapNetwork, "swap_crops", "target: generator", within=SWAP)
    clock.watch(Canvas, "paste", "target: pasting back", within=SWAP)
    clock.watch(file_swapper, "write_picture", "target: writing")


def main() -> int:
    """Run the command and write the record."""
    record, began, *words = sys.argv[1:]
    processor = began == "processor"
    clock = Clock(time.process_time if processor else time.perf_counter)
    clock.watch_imports()
    with clock.step(OWN_MODULES):
        from styleswap_core.cli import main as run
    if words[0] == "swap":
        watch_swap(clock)
    code = run(words)
    seconds = {"Python: start": STARTED_BY_PROCESSOR if processor else STARTED - float(began), **clock.stop()}
    ended = time.process_time() if processor else time.time()
    Path(record).write_text(json.dumps({"seconds": seconds, "ended": ended}), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
