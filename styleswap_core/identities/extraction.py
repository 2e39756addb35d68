"""From pictures to identities: which faces were found in them, and what they are put together to."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.alignment import recognizer_crop
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..io.images import from_uint8
from .identity import Identity, average_faces

CROP_SIZE = 224
"""Side in pixels of the crops that are shown to the user: twice the recognizer's."""


@dataclass(frozen=True, eq=False)
class SourceFace:
    """A face that can become an identity, or a part of one.

    Attributes:
        picture: number of its picture.
        face: the detection, with its embedding.
        sha256: of the picture's pixels.
        crop: (3, CROP_SIZE, CROP_SIZE) -1..1, what the recognizer sees.
    """

    picture: int
    face: DetectedFace
    sha256: str
    crop: torch.Tensor


def find_source_faces(
    pictures: Iterable[np.ndarray],
    analyzer: FaceAnalyzer,
    choice: FaceChoice,
    on_picture: Callable[[int], None] = lambda picture: None,
) -> tuple[list[SourceFace], list[str]]:
    """The chosen faces of all pictures in order, and a sentence for each picture that lacks one.

    Args:
        pictures: (H, W, 3) uint8 RGB each.
        on_picture: called before each picture; what it raises ends the search.

    Raises:
        StyleSwapError: no picture shows a face that was asked for, or the pack has no recognizer.
    """
    faces, problems = [], []
    for number, picture in enumerate(pictures):
        on_picture(number)
        picked, missing = choice.pick(analyzer.detect(picture, choice.order))
        problems += [f"picture {number}: {problem}" for problem in missing]
        digest = hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()
        for _, face in picked:
            if face.id_embedding is None:
                raise StyleSwapError(
                    "this face analysis pack has no recognizer (such as w600k_r50.onnx); use another pack"
                )
            points = torch.from_numpy(face.points)[None]
            faces.append(SourceFace(number, face, digest, recognizer_crop(from_uint8(picture), points, CROP_SIZE)[0]))
    if not faces:
        reason = problems[0] if problems else "there is no picture"
        raise StyleSwapError(
            f"expected a face in at least one picture, but {reason}; use a picture with a visible face, or lower the"
            " detection threshold"
        )
    return faces, problems


def average_sources(
    faces: Sequence[SourceFace], analyzer: FaceAnalyzer, drop_outliers: bool = False
) -> tuple[Identity, list[float], list[bool]]:
    """One identity out of all faces; see `identity.average_faces`."""
    embeddings, hashes = [source.face.id_embedding for source in faces], [source.sha256 for source in faces]
    return average_faces(embeddings, hashes, analyzer, drop_outliers)


def separate_sources(faces: Sequence[SourceFace], analyzer: FaceAnalyzer) -> list[Identity]:
    """One identity for each face, in order."""
    return [average_sources([source], analyzer)[0] for source in faces]
