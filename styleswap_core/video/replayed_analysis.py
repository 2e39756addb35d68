"""Detections that are written down, so that interrupted work need not repeat them."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..errors import StyleSwapError
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..io.json_text import parse_json


class ReplayedAnalysis:
    """A face analysis whose results are stored in the order of the calls.

    The first calls return what the file holds, which must come from the same calls; further ones are appended to it.
    """

    def __init__(self, analysis: FaceAnalyzer, file: IO[bytes]) -> None:
        """Start at the beginning of a file.

        Calls raise a StyleSwapError if it cannot be written.

        Args:
            analysis: Answers the calls that the file does not.
            file: Open to be read and appended to, with one JSON value in each line.
        """
        self._analysis, self._file = analysis, file
        self._file.seek(0)
        self._replaying = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._analysis, name)

    def detect(
        self, picture: np.ndarray, order: str = "largest", embed: bool = True, *, quick: bool = False
    ) -> list[DetectedFace]:
        """See `FaceAnalyzer`."""
        return self._answer(lambda: self._analysis.detect(picture, order, embed, quick=quick))

    def with_gender_age(
        self, picture: np.ndarray, faces: Sequence[DetectedFace], required: bool = False
    ) -> list[DetectedFace]:
        """See `FaceAnalyzer`."""
        return self._answer(lambda: self._analysis.with_gender_age(picture, faces, required))

    def _answer(self, call: Callable[[], list[DetectedFace]]) -> list[DetectedFace]:
        if self._replaying:
            start = self._file.tell()
            line = self._file.readline()
            if (written := _faces(line)) is not None:
                return written
            # What follows was not finished, or is damaged.
            self._replaying = False
            self._file.truncate(start)
        faces = call()
        try:
            self._file.write(json.dumps([_values(face) for face in faces]).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise StyleSwapError(
                f"cannot write {self._file.name}: {error.strerror}; make room on the disk, and go on with --resume"
            ) from error
        return faces


@contextmanager
def replayed(analysis: FaceAnalyzer, path: Path) -> Iterator[FaceAnalyzer]:
    """A face analysis that is replayed from a file, and continued in it."""
    file = open(path, "a+b")  # noqa: SIM115 - closed below
    try:
        yield cast(FaceAnalyzer, ReplayedAnalysis(analysis, file))
    finally:
        # After a full disk there is something left to write.
        with suppress(OSError):
            file.close()


def _values(face: DetectedFace) -> dict[str, Any]:
    arrays = {
        name: base64.b64encode(np.asarray(array, np.float32).tobytes()).decode()
        for name, array in (("box", face.box), ("points", face.points), ("id_embedding", face.id_embedding))
        if array is not None
    }
    plain = ("index", "embedding_norm", "angle", "doubtful", "gender", "age")
    return {**arrays, "score": float(face.score), **{name: getattr(face, name) for name in plain}}


def _faces(line: bytes) -> list[DetectedFace] | None:
    """Faces of a line; None if it was not finished, or is damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        values = parse_json(line.decode(), "the line is damaged", "detect again")
        return [_face(face) for face in values] if isinstance(values, list) else None
    except (StyleSwapError, ValueError, TypeError, KeyError):
        return None


def _face(values: dict[str, Any]) -> DetectedFace:
    arrays: dict[str, Any] = {
        name: np.frombuffer(base64.b64decode(values[name]), np.float32)
        for name in ("box", "points", "id_embedding")
        if name in values
    }
    restored: dict[str, Any] = {**values, **arrays}
    restored["points"] = arrays["points"].reshape(5, 2)
    return DetectedFace(**restored)
