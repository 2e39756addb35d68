"""What a face analysis finds, in which order, and how users pick from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..errors import StyleSwapError

FACE_ORDERS = ("largest", "left-right", "right-left", "top-bottom", "bottom-top", "confidence")


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """One face of a picture.

    Attributes:
        index: its place in the order in which the faces were asked for; `select_faces` counts by it.
        score: the detector's confidence, 0..1.
        box: (4,) float32 x0, y0, x1, y1 in continuous picture pixels.
        points: (5, 2) float32, left eye, right eye, nose tip, left and right mouth corner, continuous pixels.
        id_embedding: (512,) float32, L2-normalized; None if the pack has no recognizer.
    """

    index: int
    score: float
    box: np.ndarray
    points: np.ndarray
    id_embedding: np.ndarray | None = None

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class FaceAnalyzer(Protocol):
    """What the pipeline needs of a face analysis; `load_face_analysis` gives insightface's."""

    recognizer_name: str
    recognizer_sha256: str

    def detect(self, picture: np.ndarray, order: str = "largest", embed: bool = True) -> list[DetectedFace]:
        """Find the faces of a (H, W, 3) uint8 RGB picture; an empty list if there are none.

        Without `embed` they may come without `id_embedding`, which saves a run of the recognizer for each.
        """
        ...

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """L2-normalized embedding (512,) of the face whose five points (5, 2) are known."""
        ...


def order_faces(faces: Sequence[DetectedFace], order: str = "largest") -> list[DetectedFace]:
    """Sort faces and number them anew; ties fall the same way whatever order they came in.

    Args:
        order: one of FACE_ORDERS; "largest" and "confidence" start with the highest.

    Raises:
        StyleSwapError: an unknown order.
    """
    keys = {
        "largest": lambda face: -face.area,
        "left-right": lambda face: float(face.box[0] + face.box[2]),
        "right-left": lambda face: -float(face.box[0] + face.box[2]),
        "top-bottom": lambda face: float(face.box[1] + face.box[3]),
        "bottom-top": lambda face: -float(face.box[1] + face.box[3]),
        "confidence": lambda face: -face.score,
    }
    if order not in keys:
        raise StyleSwapError(f"expected a face order out of {', '.join(FACE_ORDERS)}, got {order!r}")

    def key(face: DetectedFace) -> tuple:
        return (keys[order](face), *face.box.tolist(), -face.score, *face.points.ravel().tolist())

    return [replace(face, index=index) for index, face in enumerate(sorted(faces, key=key))]


def select_faces(faces: Sequence[DetectedFace], choice: str | Sequence[int] = "largest") -> list[DetectedFace]:
    """Pick faces by what the user wrote.

    Args:
        faces: as `FaceAnalyzer.detect` returns them.
        choice: "largest", "all", or indices as "0,2" or [0, 2].

    Raises:
        StyleSwapError: no faces at all, a choice that is none of these, or an index beyond the faces found.
    """
    if not faces:
        raise StyleSwapError("no face found; use a picture with a visible face, or lower the detection threshold")
    if isinstance(choice, str):
        if choice == "all":
            return list(faces)
        if choice == "largest":
            return [min(faces, key=lambda face: (-face.area, face.index))]
        indices = parse_indices(choice)
    else:
        indices = list(choice)
    if not indices or not all(isinstance(index, int) and not isinstance(index, bool) for index in indices):
        raise StyleSwapError(f"expected faces as largest, all, or indices such as 0,2; got {choice!r}")
    by_index = {face.index: face for face in faces}
    if missing := [index for index in indices if index not in by_index]:
        raise StyleSwapError(
            f"face {missing[0]} was asked for, but {_count(len(faces))} found; use indices 0..{len(faces) - 1}"
        )
    return [by_index[index] for index in dict.fromkeys(indices)]


def parse_indices(text: str) -> list[int]:
    """Face numbers as users write them: "0" or "0, 2".

    Raises:
        StyleSwapError: anything else.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        raise StyleSwapError(f"expected faces as largest, all, or indices such as 0,2; got {text!r}")
    return [int(part) for part in parts]


def _count(number: int) -> str:
    return "only 1 face was" if number == 1 else f"only {number} faces were"
