"""Extraction of identities from picture files and from pictures in memory."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.alignment import recognizer_crop
from ..faces.choice import FaceChoice, select_faces
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..io.files import file_sha256
from ..io.images import from_uint8
from ..io.picture_file import read_picture
from .averaging import average_faces
from .identity import Identity
from .portraits import Portrait, cut_portrait

CROP_SIZE = 224
"""Side in pixels of the crops that are shown to the user, twice that of the recognizer's."""


@dataclass(frozen=True)
class SourceReport:
    """Report on one source picture of an identity.

    Attributes:
        path: The file.
        similarity: Cosine similarity of its embedding to the mean of the others; 1 for a single picture.
        outlier: Whether it differs so much that it may show another person.
        faces_found: Number of faces in the picture.
        doubtful: Why its five points are implausible; empty if they are plausible.
        frames: Number of frames of an animation, of which the first was used; 1 for single pictures.
    """

    path: str
    similarity: float
    outlier: bool
    faces_found: int
    doubtful: str = ""
    frames: int = 1


@dataclass(frozen=True, eq=False)
class SourceFace:
    """A face from which an identity can be made, alone or averaged with others.

    Attributes:
        picture: Index of its picture.
        face: The detection, with its embedding.
        sha256: SHA-256 of the picture's pixels.
        crop: (3, CROP_SIZE, CROP_SIZE), -1..1, the recognizer's crop at a larger size.
        portrait: Portrait for networks whose source is a picture; None if there is none.
        faces_found: Number of faces in the picture.
    """

    picture: int
    face: DetectedFace
    sha256: str
    crop: torch.Tensor
    portrait: Portrait | None = None
    faces_found: int = 1


def extract_identity(
    paths: Sequence[str | Path],
    analyzer: FaceAnalyzer,
    face: str | Sequence[int] = "largest",
    drop_outliers: bool = False,
) -> tuple[Identity, list[SourceReport]]:
    """Identity from one or more pictures of a person: the normalized mean of their embeddings.

    Args:
        paths: Picture files.
        analyzer: A face analysis with a recognizer.
        face: Which face of each picture: "largest" or one index, as for `select_faces`.
        drop_outliers: Leave out pictures that may show another person; by default they are only reported.

    Returns:
        The identity, and one report per picture.

    Raises:
        StyleSwapError: No pictures, a picture that cannot be read or shows no face (named), or no recognizer.
    """
    if not paths:
        raise StyleSwapError("expected at least one source picture, got none")
    chosen_faces, hashes, counts, frames, portraits = [], [], [], [], []
    for path in paths:
        file = read_picture(path)
        picture = file.seen
        faces = analyzer.detect(picture)
        try:
            chosen = select_faces(faces, face)
        except StyleSwapError as error:
            raise StyleSwapError(f"{path}: {error}") from error
        if len(chosen) != 1:
            raise StyleSwapError(f"{path}: expected one source face, got {len(chosen)}; choose largest or one index")
        chosen[0].require_embedding()
        chosen_faces.append(chosen[0])
        hashes.append(file_sha256(path))
        counts.append(len(faces))
        frames.append(file.frames)
        portraits.append(cut_portrait(picture, chosen[0].points))
    identity, similarities, outliers = average_faces(
        [one.require_embedding() for one in chosen_faces],
        hashes,
        analyzer.recognizer,
        drop_outliers,
        norms=[one.embedding_norm for one in chosen_faces],
        portraits=portraits,
    )
    doubts = [one.doubtful for one in chosen_faces]
    rows = zip(map(str, paths), similarities, outliers, counts, doubts, frames, strict=True)
    return identity, [SourceReport(*row) for row in rows]


def find_source_faces(
    pictures: Iterable[np.ndarray],
    analyzer: FaceAnalyzer,
    choice: FaceChoice,
    on_picture: Callable[[int], None] = lambda picture: None,
) -> tuple[list[SourceFace], list[str]]:
    """The chosen faces of all pictures in order, and one sentence per missing face.

    Args:
        pictures: (H, W, 3) uint8 RGB each.
        analyzer: A face analysis with a recognizer.
        choice: Which faces of each picture.
        on_picture: Called with each picture's number before it is analyzed; an exception ends the search.

    Raises:
        StyleSwapError: No picture shows a requested face, or there is no recognizer.
    """
    faces: list[SourceFace] = []
    problems: list[str] = []
    seen = False
    for number, picture in enumerate(pictures):
        on_picture(number)
        found = analyzer.detect(picture, choice.order)
        seen |= bool(found)
        if choice.needs_gender_age:
            found = analyzer.with_gender_age(picture, found, required=True)
        # A doubtful face is better than none.
        certain = [face for face in found if not face.doubtful] or found
        picked, missing = choice.pick(found if choice.rule == "by index" else certain)
        problems += [f"image {number}: {problem}" for problem in missing]
        digest = hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()
        for _, face in picked:
            face.require_embedding()
            crop = recognizer_crop(from_uint8(picture), torch.from_numpy(face.points)[None], CROP_SIZE)[0]
            faces.append(SourceFace(number, face, digest, crop, cut_portrait(picture, face.points), len(found)))
    if not faces:
        reason = problems[0] if problems else "there are no pictures"
        remedy = "choose other faces" if seen else "use a picture with a visible face, or lower the detection threshold"
        raise StyleSwapError(f"expected a face in at least one picture, but {reason}; {remedy}")
    return faces, problems


def average_sources(
    faces: Sequence[SourceFace], analyzer: FaceAnalyzer, drop_outliers: bool = False
) -> tuple[Identity, list[float], list[bool]]:
    """One identity from all faces; see `averaging.average_faces`."""
    portraits = [source.portrait for source in faces if source.portrait is not None]
    return average_faces(
        [source.face.require_embedding() for source in faces],
        [source.sha256 for source in faces],
        analyzer.recognizer,
        drop_outliers,
        norms=[source.face.embedding_norm for source in faces],
        portraits=portraits if len(portraits) == len(faces) else (),
    )


def separate_sources(faces: Sequence[SourceFace], analyzer: FaceAnalyzer) -> list[Identity]:
    """One identity per face, in order."""
    return [average_sources([source], analyzer)[0] for source in faces]
