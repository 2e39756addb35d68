"""The process that imports one needed package, uses it, and tells on the last line of stdout how that went."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType

from ..errors import counted
from .import_failures import examine_failure, load


def main(words: Sequence[str]) -> None:
    """Try the module that is named; print a JSON object with `facts` about it, or with `failure`, as a list."""
    name = words[0]
    log = io.StringIO()

    def report_failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _answer(failure=examine_failure(error, name, log.getvalue()))
        sys.stdout.flush()
        # Broken packages may fail again when Python ends.
        os._exit(0)

    # Instead of an `except`: modules that are broken may raise anything.
    sys.excepthook = report_failure
    with contextlib.redirect_stdout(sys.stderr), contextlib.redirect_stderr(log):
        module = load(name)
        facts = _USES.get(name, _nothing)(module)
    _answer(facts=facts)


def _answer(**values: object) -> None:
    print(json.dumps(values))


def _nothing(module: ModuleType) -> None:
    """A package that shows by its import that it works."""


def _use_torch(torch: ModuleType) -> str:
    import numpy

    torch.from_numpy(numpy.zeros(1))
    if torch.cuda.is_available():
        gib = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"cuda: {torch.cuda.get_device_name(0)}, {gib:.0f} GiB"
    if torch.backends.mps.is_available():
        return "mps"
    return f"cpu, {counted(torch.get_num_threads(), 'thread')}"


def _use_opencv(cv2: ModuleType) -> None:
    import numpy

    cv2.resize(numpy.zeros((2, 2), numpy.uint8), (4, 4))


def _use_onnxruntime(onnxruntime: ModuleType) -> list[str]:
    return list(onnxruntime.get_available_providers())


# Uses of what is compiled apart from the rest.
_USES: dict[str, Callable[[ModuleType], object]] = {
    "torch": _use_torch,
    "cv2": _use_opencv,
    "onnxruntime": _use_onnxruntime,
}
