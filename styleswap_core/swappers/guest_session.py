"""Session of ONNX Runtime for a foreign swapping network: opened on use, closed on request, batched where possible."""

import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import StyleSwapError, one_line
from ..faces.execution_providers import COREML_PROVIDER, CPU_PROVIDER, adapt_options, fallback_of, providers_for
from ..faces.onnx_summary import GraphValue, OnnxSummary
from ..faces.packs import load_errors, session_options

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
_ERRORS_ONLY = 3
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
            together, alone = self._run(pair), [self._run(first), self._run(second)]
        except (StyleSwapError, OutOfMemoryError):
            return False
        for both, *singles in zip(together, *alone, strict=True):
            expected = np.concatenate(singles)
            scale = max(1.0, float(np.abs(expected).max()))
            if both.shape != expected.shape or not np.abs(both - expected).max() <= _BATCH_TOLERANCE * scale:
                return False
        return True

    def _run(self, feeds: Feeds) -> list[np.ndarray]:
        assert self._session is not None
        try:
            return [np.asarray(output, dtype=np.float32) for output in self._session.run(None, dict(feeds))]
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
        providers, self.fallback = providers_for(self.device)
        data, session = self._read(), None
        free = self._with_free_batch(data) if self._batched is not False and not _needs_fixed_shapes(providers) else b""
        if free:
            try:
                session = self._create(free, providers)
            except StyleSwapError:
                # The graph does not allow another batch, or the file is at fault: then the second attempt says so.
                self._batched = False
        if session is None:
            session = self._create(data, providers)
        self.fallback = self.fallback or fallback_of(session, providers)
        self.provider = session.get_providers()[0]
        self._session = session

    def _read(self) -> bytes:
        """The file, which is hashed on the way."""
        path = self.summary.path
        external = self.summary.external_files()
        try:
            state = [(status.st_size, status.st_mtime_ns) for status in (file.stat() for file in (path, *external))]
            if self._state and state != self._state:
                raise StyleSwapError(f"{path} has changed since it was loaded; load it again")
            self._state = state
            data = path.read_bytes()
            if not self.sha256:
                digest = hashlib.sha256(data)
                for file in external:
                    with open(file, "rb") as stream:
                        for block in iter(lambda: stream.read(1 << 20), b""):
                            digest.update(block)
                self.sha256 = digest.hexdigest()
        except OSError as error:
            raise StyleSwapError(f"cannot read {path}: {error.strerror}; check the path") from error
        return data

    def _with_free_batch(self, data: bytes) -> bytes:
        """The file with a free batch dimension, if it is fixed to 1; otherwise nothing.

        The declared shapes of intermediate values, which hold the batch too, are hidden; ONNX Runtime infers its own.
        """
        values = (*_batched_inputs(self.summary), *self.summary.outputs)
        spans = [value.leading for value in values if value.shape]
        if any(data[slice(*span)] != _ONE for span in spans):
            return b""
        changed = bytearray(data)
        for span in spans:
            changed[slice(*span)] = _FREE
        for position in self.summary.value_infos:
            if changed[position] == _VALUE_INFO_TAG:
                changed[position] = _SKIPPED_TAG
        return bytes(changed)

    def _create(self, data: bytes, providers: list[object]) -> "InferenceSession":
        import onnxruntime

        options = session_options(self._threads)["sess_options"]
        options.log_severity_level = _ERRORS_ONLY
        adapt_options(options, providers)
        folder = str(self.summary.path.parent.resolve())
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        try:
            return onnxruntime.InferenceSession(data, options, providers=providers)
        except load_errors() as error:
            raise StyleSwapError(
                f"ONNX Runtime cannot load {self.summary.path.name} ({one_line(error)}); use another file, or update"
                " onnxruntime"
            ) from error


def _needs_fixed_shapes(providers: Sequence[object]) -> bool:
    return isinstance(providers[0], tuple) and providers[0][0] == COREML_PROVIDER


def _batched_inputs(summary: OnnxSummary) -> list[GraphValue]:
    """Inputs with a batch dimension; that of the morph value is none."""
    return [value for value in summary.inputs if len(value.shape) > 1]
