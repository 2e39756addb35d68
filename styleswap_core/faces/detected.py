"""Detected faces, their order, and the interface of a face analysis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import StyleSwapError
from .recognizer_id import RecognizerId

if TYPE_CHECKING:
    # The parser of the command imports this module, and torch takes seconds.
    from .arcface import TorchRecognizer
    from .landmarks import LandmarkModel

_SORT_KEYS: dict[str, Callable[["DetectedFace"], float]] = {
    "largest": lambda face: -face.area,
    "left-right": lambda face: float(face.box[0] + face.box[2]),
    "right-left": lambda face: -float(face.box[0] + face.box[2]),
    "top-bottom": lambda face: float(face.box[1] + face.box[3]),
    "bottom-top": lambda face: -float(face.box[1] + face.box[3]),
    "confidence": lambda face: -face.score,
    "smallest": lambda face: face.area,
}
FACE_ORDERS = tuple(_SORT_KEYS)
NO_RECOGNIZER = "this face analysis pack has no recognizer (such as w600k_r50.onnx); use another pack"


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """One face of a picture.

    Attributes:
        index: Position in the requested order, by which users choose faces.
        score: The detector's confidence, 0..1.
        box: (4,) float32, x0, y0, x1, y1 in continuous picture pixels.
        points: (5, 2) float32, continuous pixels: left eye, right eye, nose tip, left and right mouth corner.
        id_embedding: (D,) float32, L2-normalized, with the recognizer's D; None if it was not computed.
        embedding_norm: Norm of the embedding before its normalization; 0 if unknown.
        angle: Roll of the face in degrees, positive if it is turned clockwise as seen in the picture.
        doubtful: Why the five points are implausible; empty if they are plausible.
        gender: "female" or "male" as the pack estimates it; empty if it does not.
        age: In years as the pack estimates it; None if it does not.
    """

    index: int
    score: float
    box: np.ndarray
    points: np.ndarray
    id_embedding: np.ndarray | None = None
    embedding_norm: float = 0.0
    angle: float = 0.0
    doubtful: str = ""
    gender: str = ""
    age: int | None = None

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))

    def require_embedding(self) -> np.ndarray:
        """The embedding.

        Raises:
            StyleSwapError: There is none, because the pack has no recognizer.
        """
        if self.id_embedding is None:
            raise StyleSwapError(NO_RECOGNIZER)
        return self.id_embedding


class FaceAnalyzer(Protocol):
    """A face detector and a recognizer, such as `load_face_analysis` returns."""

    @property
    def recognizer(self) -> RecognizerId:
        """The recognizer that makes the embeddings; falsy if there is none."""
        ...

    @property
    def recognizer_path(self) -> Path | None:
        """File of the recognizer; None if there is none."""
        ...

    @property
    def license_note(self) -> str:
        """License of the pack, such as "MIT", with what users should know about it."""
        ...

    def detect(
        self, picture: np.ndarray, order: str = "largest", embed: bool = True, *, quick: bool = False
    ) -> list[DetectedFace]:
        """The faces of a picture, numbered in an order.

        Args:
            picture: (H, W, 3) uint8 RGB.
            order: One of FACE_ORDERS.
            embed: Compute the embeddings, at one run of the recognizer per face.
            quick: Look for small and turned heads only if a quicker search finds others.
        """
        ...

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """L2-normalized embedding (D,) of the face with the five points (5, 2)."""
        ...

    def embed_with_norm(self, picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float]:
        """The same, and the norm of the embedding before its normalization."""
        ...

    def with_gender_age(
        self, picture: np.ndarray, faces: Sequence[DetectedFace], required: bool = False
    ) -> list[DetectedFace]:
        """The faces of a picture with gender and age; unchanged if the pack does not estimate them.

        Args:
            picture: (H, W, 3) uint8 RGB.
            faces: Faces that were detected in it.
            required: Whether a pack that cannot is an error.
        """
        ...

    def torch_recognizer(self) -> "TorchRecognizer":
        """The recognizer as a torch module with gradients, on the CPU."""
        ...

    def landmark_model(self) -> "LandmarkModel | None":
        """The pack's model of dense landmarks, loaded on first use; None if it has none."""
        ...


def check_order(order: str) -> None:
    """Check the name of an order.

    Raises:
        StyleSwapError: It is none of FACE_ORDERS.
    """
    if order not in FACE_ORDERS:
        raise StyleSwapError(f"expected a face order out of {', '.join(FACE_ORDERS)}, got {order!r}")


def order_faces(faces: Sequence[DetectedFace], order: str = "largest") -> list[DetectedFace]:
    """Faces sorted and renumbered; independent of their initial order, even in case of ties.

    Args:
        faces: The faces of one picture.
        order: One of FACE_ORDERS; "largest" and "confidence" are descending, "smallest" is ascending.

    Raises:
        StyleSwapError: An unknown order.
    """
    check_order(order)
    first = _SORT_KEYS[order]

    def key(face: DetectedFace) -> tuple[float, ...]:
        return (first(face), *face.box.tolist(), -face.score, *face.points.ravel().tolist())

    return [replace(face, index=index) for index, face in enumerate(sorted(faces, key=key))]
