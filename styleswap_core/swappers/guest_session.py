"""Session of ONNX Runtime for a foreign swapping network: opened on use, closed on request, batched where possible."""

import hashlib
import mmap
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import StyleSwapError, one_line
from ..faces.execution_providers import COREML_PROVIDER, CPU_PROVIDER, adapt_options, fallback_of, providers_for
from ..faces.onnx_summary import GraphValue, OnnxSummary
from ..faces.packs import load_errors, session_options
from ..io.files import file_sha256

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Feeds = Mapping[str, np.ndarray]
"""Values of the inputs by name; the first dimension is the batch."""

# `dim_value: 1` of a dimension, and a name without letters, which leaves the dimension free and takes as many bytes.
_ONE, _FREE = b"\x08\x01", b"\x12\x00"
# Tag of GraphProto.value_info, and one that onnx.proto does not use and that readers skip.
_VALUE_INFO_TAG, _SKIPPED_TAG = 0x6A, 0x22
# Two crops run together may differ by this much from two that run alone: one level of 255.
_BATCH_TOLERANCE = 4e-3

SMALL_FILE = 1 << 26
"""Size in bytes up to which files get a free batch on the CPU too."""

# Levels of ONNX Runtime's log.
_ERRORS, _FATAL = 3, 4
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad.?alloc|AllocateRaw|ALLOC_FAILED|E_OUTOFMEMORY|8007000E", re.IGNORECASE
)


class OutOfMemoryError(Exception):
    """ONNX Runtime had not enough memory for a batch."""


class GuestSession:
    """A session for one file.

    Attributes:
        summary: The file.
        device: The device.
        sha256: Hash of the file and of the files that hold its weights.
        provider: Execution provider in use.
        fallback: Why it is not the one of the device, or not for all of the network; empty otherwise.
        before_run: Called before each run of the network, so that a host can cancel between faces that run one by one.
    """

    def __init__(self, summary: OnnxSummary, device: torch.device, threads: int = 0) -> None:
        """Open a session.

        Args:
            summary: The file.
            device: Where to run it.
            threads: CPU threads; 0 leaves the choice to ONNX Runtime.

        Raises:
            StyleSwapError: ONNX Runtime cannot load the file, for example because of operators that it lacks.
        """
        self.summary, self.device, self._threads = summary, device, threads
        self.sha256, self.provider, self.fallback = "", CPU_PROVIDER, ""
        self.before_run: Callable[[], None] = lambda: None
        self._session: InferenceSession | None = None
        self._state: list[tuple[int, int]] = []
        self._lock = threading.RLock()
        # None until it is known, with the first batch.
        self._batched: bool | None = None
        self._open()

    @property
    def is_open(self) -> bool:
        """Whether the network is in memory."""
        return self._session is not None

    def close(self) -> None:
        """Free the memory; the next run opens the file again."""
        with self._lock:
            self._session = None

    def memory_bytes(self) -> int:
        """Estimate of the memory that the weights take."""
        return self.summary.stored_bytes()

    def run(self, feeds: Feeds) -> list[np.ndarray]:
        """Outputs for a batch; together if the network can do it, otherwise one by one.

        Raises:
            OutOfMemoryError: There is not enough memory.
            StyleSwapError: ONNX Runtime cannot run the network.
        """
        with self._lock:
            if self._session is None:
                self._open()
            rows = max(len(feeds[value.name]) for value in _batched_inputs(self.summary))
            if rows > 1 and self._batched is None:
                self._batched = self._runs_batches(feeds)
            if rows == 1 or self._batched:
                return self._run(feeds)
            return [np.concatenate(parts) for parts in zip(*map(self._run, self._rows(feeds, rows)), strict=True)]

    def _rows(self, feeds: Feeds, rows: int) -> list[Feeds]:
        """Feeds of one row each; inputs without a batch are the same for all."""
        batched = {value.name for value in _batched_inputs(self.summary)}
        return [
            {name: value[row : row + 1] if name in batched else value for name, value in feeds.items()}
            for row in range(rows)
        ]

    def _runs_batches(self, feeds: Feeds) -> bool:
        """Whether two very different rows give together what each gives alone."""
        first, second = self._rows(feeds, 2)
        batched = {value.name for value in _batched_inputs(self.summary)}
        second = {name: value[..., ::-1].copy() * 0.5 if name in batched else value for name, value in second.items()}
        pair = {
            name: np.concatenate([value, second[name]]) if name in batched else value for name, value in first.items()
        }
        try:
            together, alone = self._run(pair, quiet=True), [self._run(first), self._run(second)]
        except (StyleSwapError, OutOfMemoryError):
            return False
        for both, *singles in zip(together, *alone, strict=True):
            expected = np.concatenate(singles)
            scale = max(1.0, float(np.abs(expected).max()))
            if both.shape != expected.shape or not np.abs(both - expected).max() <= _BATCH_TOLERANCE * scale:
                return False
        return True

    def _run(self, feeds: Feeds, quiet: bool = False) -> list[np.ndarray]:
        """Outputs of the open session, as float32; `quiet` keeps errors out of ONNX Runtime's log."""
        import onnxruntime

        self.before_run()
        assert self._session is not None
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL if quiet else _ERRORS
        try:
            return [np.asarray(output, dtype=np.float32) for output in self._session.run(None, dict(feeds), options)]
        except MemoryError as error:
            raise OutOfMemoryError from error
        except load_errors() as error:
            if _OUT_OF_MEMORY.search(str(error)):
                raise OutOfMemoryError from error
            raise StyleSwapError(
                f"ONNX Runtime could not run {self.summary.path.name} on {self.device} ({one_line(error)}); use another"
                " device, or another file"
            ) from error

    def _open(self) -> None:
        self._check_unchanged()
        providers, self.fallback = providers_for(self.device)
        with ThreadPoolExecutor(1) as pool:
            hashing = pool.submit(self._hash)
            session = self._with_free_batch(providers) or self._create(str(self.summary.path), providers)
            self.sha256 = hashing.result()
        self.fallback = self.fallback or fallback_of(session, providers)
        self.provider = session.get_providers()[0]
        self._session = session

    def _check_unchanged(self) -> None:
        try:
            files = [file.stat() for file in (self.summary.path, *self.summary.external_files())]
        except OSError as error:
            raise StyleSwapError(f"cannot read {self.summary.path}: {error.strerror}; check the path") from error
        state = [(file.st_size, file.st_mtime_ns) for file in files]
        if self._state and state != self._state:
            raise StyleSwapError(f"{self.summary.path} has changed since it was loaded; load it again")
        self._state = state

    def _hash(self) -> str:
        """SHA-256 of the file, and of those that hold its weights in their order."""
        if self.sha256:
            return self.sha256
        hashes = [file_sha256(file) for file in (self.summary.path, *self.summary.external_files())]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

    def _with_free_batch(self, providers: Sequence[object]) -> "InferenceSession | None":
        """Session with a free batch, if the file fixes it to 1 and allows another; None otherwise.

        It takes twice the size of the file in memory while it is opened, which pays off on a fast device only. The
        declared shapes of intermediate values, which hold the batch too, are hidden; ONNX Runtime infers its own.
        """
        values = (*_batched_inputs(self.summary), *self.summary.outputs)
        spans = [value.leading for value in values if value.shape]
        if self._batched is False or any(value.shape[:1] != (1,) for value in values):
            return None
        if _needs_fixed_shapes(providers) or (providers == [CPU_PROVIDER] and self._state[0][0] > SMALL_FILE):
            self._batched = False
            return None
        with (
            open(self.summary.path, "rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as data,
        ):
            if any(data[slice(*span)] != _ONE for span in spans):
                return None
            for span in spans:
                data[slice(*span)] = _FREE
            for position in self.summary.value_infos:
                if data[position] == _VALUE_INFO_TAG:
                    data[position] = _SKIPPED_TAG
            changed = data[:]
        try:
            return self._create(changed, providers)
        except StyleSwapError:
            # The graph does not allow another batch, or the file is at fault: then the second attempt says so.
            self._batched = False
            return None

    def _create(self, model: str | bytes, providers: Sequence[object]) -> "InferenceSession":
        import onnxruntime

        options = session_options(self._threads)["sess_options"]
        options.log_severity_level = _ERRORS
        adapt_options(options, providers)
        folder = str(self.summary.path.parent.resolve())
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        try:
            session = onnxruntime.InferenceSession(model, options, providers=list(providers))
        except load_errors() as error:
            path = self.summary.path
            # Without the path, which can be longer than the message.
            reason = one_line(StyleSwapError(str(error).replace(str(path), path.name)))
            raise StyleSwapError(
                f"ONNX Runtime cannot load {path.name} ({reason}); use another file, or update onnxruntime"
            ) from error
        # ONNX Runtime keeps the bytes only to start over with other providers.
        session._model_bytes = None
        return session


def _needs_fixed_shapes(providers: Sequence[object]) -> bool:
    return isinstance(providers[0], tuple) and providers[0][0] == COREML_PROVIDER


def _batched_inputs(summary: OnnxSummary) -> list[GraphValue]:
    """Inputs with a batch dimension; that of the morph value is none."""
    return [value for value in summary.inputs if len(value.shape) > 1]
