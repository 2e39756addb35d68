"""One trial: a corrupted file is read, and what happened is judged."""

import contextlib
import faulthandler
import hashlib
import io
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzzed_kinds import KINDS

from styleswap_core.errors import StyleSwapError

MAX_SECONDS = 10
MAX_BYTES = 1 << 30

CLEAN, RIGHT, FAULT = "clean error", "right result", "fault"


class Outcome(NamedTuple):
    """What happened: CLEAN, RIGHT or FAULT, and the error or what was wrong."""

    verdict: str
    detail: str = ""


class TooLongError(BaseException):
    """Reading took more than MAX_SECONDS; no `Exception`, which readers may catch."""


def run_trial(name: str, seed: int) -> Outcome:
    """Bend an example of a kind, as the seed says, and read it."""
    kind = KINDS[name]
    random = Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for inner, data in _example(name).items():
            (folder / inner).parent.mkdir(parents=True, exist_ok=True)
            (folder / inner).write_bytes(data)
        path = folder / kind.file
        data = random.choice(kind.mutations)(path.read_bytes(), random)
        path.write_bytes(data)
        before = _content(folder)
        peak = _peak()
        verdict = _read(name, path)
        after = {file: digest for file, digest in _content(folder).items() if not file.startswith("out.")}
        if before != after:
            return Outcome(FAULT, f"files before and after: {sorted(before)}, {sorted(after)}")
        if verdict.verdict == CLEAN and any((folder / f"out{path.suffix}").exists() for _ in (1,)):
            return Outcome(FAULT, "a result in spite of an error")
        if _peak() - peak > MAX_BYTES:
            return Outcome(FAULT, f"{(_peak() - peak) / 2**30:.1f} GiB of memory")
        return verdict


def _read(name: str, path: Path) -> Outcome:
    try:
        with _limited(), warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            KINDS[name].read(path)
    except StyleSwapError as error:
        text = str(error)
        if "\n" in text or not text.isprintable():
            return Outcome(FAULT, f"message that is not one printable line: {text!r}")
        return Outcome(CLEAN, text)
    except TooLongError:
        return Outcome(FAULT, f"more than {MAX_SECONDS} s")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in where if "styleswap_core" in frame.filename]
        line = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return Outcome(FAULT, f"{line} {type(error).__name__}: {str(error)[:120]}")
    return Outcome(RIGHT)


@cache
def _example(name: str) -> dict[str, bytes]:
    """Files of the valid example of a kind, which must be readable."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        KINDS[name].write(folder)
        files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        KINDS[name].read(folder / KINDS[name].file)
    return files


def _content(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _peak() -> int:
    """Largest memory that the process has used so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TooLongError

    # Of computing time, which does not depend on what else the machine does.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_SECONDS)
    # Code in C that does not end cannot be interrupted.
    faulthandler.dump_traceback_later(60 * MAX_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
