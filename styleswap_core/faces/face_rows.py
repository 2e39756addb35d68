"""Detected faces as plain JSON values, as the node Detect Faces and `styleswap detect` list them."""

from typing import TypedDict

import numpy as np

from .detected import DetectedFace

# Smaller angles are ordinary and not mentioned in texts.
_TURNED_DEGREES = 45


class _Detection(TypedDict):
    index: int
    score: float
    box: list[float]  # x0, y0, x1, y1 in pixels
    points: list[list[float]]  # five x, y in pixels
    angle: float  # degrees, clockwise
    doubtful: str  # why the points are implausible; empty if they are plausible


class FaceRow(_Detection, total=False):
    """A face; keys that the face analysis or the request does not provide are left out."""

    gender: str
    age: int
    likeness: float  # cosine similarity to the reference


def face_row(face: DetectedFace, likeness: float | None = None) -> FaceRow:
    """A face as plain values.

    Args:
        face: The face.
        likeness: Cosine similarity to a reference, if there is one.
    """
    row: FaceRow = {
        "index": face.index,
        "score": round(face.score, 4),
        "box": np.round(face.box.astype(float), 2).tolist(),
        "points": np.round(face.points.astype(float), 2).tolist(),
        "angle": round(face.angle, 1),
        "doubtful": face.doubtful,
    }
    if face.gender:
        row["gender"] = face.gender
    if face.age is not None:
        row["age"] = face.age
    if likeness is not None:
        row["likeness"] = round(likeness, 4)
    return row


def describe_row(row: FaceRow) -> str:
    """A face as a line of text, such as "face 0, 212 x 260 px at (40, 18), confidence 0.93"."""
    x0, y0, x1, y1 = (round(value) for value in row["box"])
    parts = [
        f"face {row['index']}",
        f"{x1 - x0} x {y1 - y0} px at ({x0}, {y0})",
        f"confidence {row['score']:.2f}",
    ]
    if abs(row["angle"]) >= _TURNED_DEGREES:
        parts.append(f"turned by {row['angle']:.0f} degrees")
    if "gender" in row:
        parts.append(row["gender"])
    if "age" in row:
        parts.append(f"about {row['age']} years")
    if "likeness" in row:
        parts.append(f"likeness {row['likeness']:.2f}")
    if row["doubtful"]:
        parts.append(f"doubtful: {row['doubtful']}")
    return ", ".join(parts)
