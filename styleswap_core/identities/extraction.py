"""Extraction of identities from picture files and from pictures in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import StyleSwapError, counted
from ..faces.alignment import crop_box, estimate_similarity, recognizer_crop, recognizer_points
from ..faces.choice import FaceChoice, Faces, select_faces
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..io.files import file_sha256
from ..io.images import from_uint8
from ..io.picture_file import read_picture
from .averaging import average_faces
from .identity import Identity
from .portraits import Portrait, cut_portrait

CROP_SIZE = 224
"""Side in pixels of the crops that are shown to the user, twice that of the recognizer's."""

# Pixels beyond the crop that its interpolation needs.
_CROP_MARGIN = 2

AVERAGE, ONE_PER_FACE = "average", "one per face"
COMBINATIONS = (AVERAGE, ONE_PER_FACE)
"""What the faces are combined to: one identity, or one for each face."""

KEEP, LEAVE_OUT = "keep", "leave out"
OUTLIER_CHOICES = (KEEP, LEAVE_OUT)
"""What happens to faces in an average that look like another person than the others."""


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
        left_out: Whether it was left out of the average as an outlier.
    """

    path: str
    similarity: float
    outlier: bool
    faces_found: int
    doubtful: str = ""
    frames: int = 1
    left_out: bool = False


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """A picture that identities are made from.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        sha256: SHA-256 of its file, or of its pixels if there is none.
        path: The file; empty for a picture in memory.
        frames: Number of frames of an animation, of which this is the first; 1 for single pictures.
    """

    pixels: np.ndarray
    sha256: str
    path: str = ""
    frames: int = 1

    @classmethod
    def read(cls, path: str | Path) -> "SourcePicture":
        """The picture in a file.

        Raises:
            StyleSwapError: It cannot be read.
        """
        file = read_picture(path)
        return cls(file.seen, file_sha256(path), str(path), file.frames)

    @classmethod
    def of_pixels(cls, pixels: np.ndarray) -> "SourcePicture":
        """A picture in memory, (H, W, 3) uint8 RGB."""
        return cls(pixels, hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest())


@dataclass(frozen=True, eq=False)
class SourceFace:
    """A face from which an identity can be made, alone or averaged with others.

    Attributes:
        picture: Index of its picture.
        face: The detection, with its embedding.
        sha256: SHA-256 of the picture's file, or of its pixels if there is none.
        crop: (3, CROP_SIZE, CROP_SIZE), -1..1, the recognizer's crop at a larger size.
        portrait: Portrait for networks whose source is a picture; None if there is none.
        faces_found: Number of faces in the picture.
        path: File of the picture; empty for a picture in memory.
    """

    picture: int
    face: DetectedFace
    sha256: str
    crop: torch.Tensor
    portrait: Portrait | None = None
    faces_found: int = 1
    path: str = ""

    @property
    def picture_name(self) -> str:
        """What reports call the picture."""
        return self.path or f"image {self.picture}"


@dataclass(frozen=True, eq=False)
class Extraction:
    """Identities that were made from the faces of pictures.

    Attributes:
        identities: The average of the faces, or one identity for each of them, in order.
        faces: All faces that were found, outliers included.
        similarities: Of faces that were averaged: cosine similarity of each to the mean of the others.
        outliers: Of faces that were averaged: whether each looks like another person than the others.
        outliers_left_out: Whether outliers were left out of the average.
        problems: One sentence for each face that is missing from a picture.
    """

    identities: list[Identity]
    faces: list[SourceFace]
    similarities: list[float]
    outliers: list[bool]
    outliers_left_out: bool
    problems: list[str]

    @property
    def averaged(self) -> bool:
        """Whether the identity is the average of the faces."""
        return bool(self.similarities)

    def summary(self, names: Sequence[str] = ()) -> list[str]:
        """Lines that state which faces were used, how well they agree, and which are missing.

        Args:
            names: Of one identity per face: what the identities are called; by default "identity 0" and so on.
        """
        used = len(self.faces) - (sum(self.outliers) if self.outliers_left_out else 0)
        first = f"1 identity from {counted(used, 'face')}" if self.averaged else _counted_identities(used)
        faces = self._averaged_lines() if self.averaged else self._separate_lines(names)
        return [first, *faces, *(f"{problem}, skipped" for problem in self.problems)]

    def _averaged_lines(self) -> Iterator[str]:
        for source, similarity, outlier in zip(self.faces, self.similarities, self.outliers, strict=True):
            line = f"{source.picture_name}: face {_numbered(source)}"
            if len(self.faces) > 1:
                line += f", likeness to the others {similarity:.2f}"
            line += _doubt(source)
            if outlier:
                line += ", outlier (possibly another person)" + (", left out" if self.outliers_left_out else "")
            yield line

    def _separate_lines(self, names: Sequence[str]) -> Iterator[str]:
        for number, source in enumerate(self.faces):
            name = names[number] if names else f"identity {number}"
            yield f"{name}: {source.picture_name}, face {_numbered(source)}{_doubt(source)}"


def _counted_identities(number: int) -> str:
    return "1 identity" if number == 1 else f"{number} identities"


def _numbered(source: SourceFace) -> str:
    """Number of a face, and of how many."""
    return str(source.face.index) + (f" of {source.faces_found}" if source.faces_found > 1 else "")


def _doubt(source: SourceFace) -> str:
    return f", doubtful: {source.face.doubtful}" if source.face.doubtful else ""


def extract_identity(
    paths: Sequence[str | Path],
    analyzer: FaceAnalyzer,
    face: Faces = "largest",
    drop_outliers: bool = False,
) -> tuple[Identity, list[SourceReport]]:
    """Identity from one or more pictures of a person: the normalized mean of their embeddings.

    Args:
        paths: Picture files.
        analyzer: A face analysis with a recognizer.
        face: Which face of each picture: "largest", one index, or a choice of one face.
        drop_outliers: Leave out pictures that may show another person; by default they are only reported.

    Returns:
        The identity, and one report per picture.

    Raises:
        StyleSwapError: No pictures, a picture that cannot be read or shows no such face (named), no recognizer, or no
            estimate of the gender or age that is chosen.
    """
    if not paths:
        raise StyleSwapError("expected at least one source picture, got none")
    choice = _as_choice(face)
    chosen_faces, hashes, counts, frames, portraits = [], [], [], [], []
    for path in paths:
        picture = SourcePicture.read(path)
        faces = _detect(picture.pixels, analyzer, choice)
        try:
            chosen = select_faces(faces, choice)
        except StyleSwapError as error:
            raise StyleSwapError(f"{path}: {error}") from error
        if len(chosen) != 1:
            raise StyleSwapError(f"{path}: expected one source face, got {len(chosen)}; choose largest or one index")
        chosen[0].require_embedding()
        chosen_faces.append(chosen[0])
        hashes.append(picture.sha256)
        counts.append(len(faces))
        frames.append(picture.frames)
        portraits.append(cut_portrait(picture.pixels, chosen[0].points))
    identity, similarities, outliers = average_faces(
        [one.require_embedding() for one in chosen_faces],
        hashes,
        analyzer.recognizer,
        drop_outliers,
        norms=[one.embedding_norm for one in chosen_faces],
        portraits=portraits,
    )
    doubts = [one.doubtful for one in chosen_faces]
    left_out = [outlier and drop_outliers for outlier in outliers]
    rows = zip(map(str, paths), similarities, outliers, counts, doubts, frames, left_out, strict=True)
    return identity, [SourceReport(*row) for row in rows]


def extract_identities(
    pictures: Iterable[np.ndarray | str | Path | SourcePicture],
    analyzer: FaceAnalyzer,
    faces: Faces = "largest",
    combine: str = AVERAGE,
    outliers: str = KEEP,
    on_picture: Callable[[int], None] = lambda picture: None,
) -> Extraction:
    """Identities from the chosen faces of pictures: one from all of them, or one for each.

    Pictures without such a face are skipped and reported.

    Args:
        pictures: Files, or (H, W, 3) uint8 RGB; taken one after the other.
        analyzer: A face analysis with a recognizer.
        faces: Which faces of each picture.
        combine: One of COMBINATIONS.
        outliers: One of OUTLIER_CHOICES, for an average.
        on_picture: Called with each picture's number before it is analyzed; an exception ends the search.

    Raises:
        StyleSwapError: A file cannot be read, no picture shows such a face, an unknown choice, no recognizer, or no
            estimate of the gender or age that is chosen.
    """
    for name, value, choices in (("combine", combine, COMBINATIONS), ("outliers", outliers, OUTLIER_CHOICES)):
        if value not in choices:
            raise StyleSwapError(f"expected {name} out of {', '.join(choices)}, got {value!r}")
    found, problems = find_source_faces(pictures, analyzer, _as_choice(faces), on_picture)
    if combine == ONE_PER_FACE:
        return Extraction(separate_sources(found, analyzer), found, [], [], False, problems)
    left_out = outliers == LEAVE_OUT
    identity, similarities, outlying = average_sources(found, analyzer, left_out)
    return Extraction([identity], found, similarities, outlying, left_out, problems)


def find_source_faces(
    pictures: Iterable[np.ndarray | str | Path | SourcePicture],
    analyzer: FaceAnalyzer,
    choice: FaceChoice,
    on_picture: Callable[[int], None] = lambda picture: None,
) -> tuple[list[SourceFace], list[str]]:
    """The chosen faces of all pictures in order, and one sentence per missing face.

    Args:
        pictures: Files, or (H, W, 3) uint8 RGB; taken one after the other.
        analyzer: A face analysis with a recognizer.
        choice: Which faces of each picture.
        on_picture: Called with each picture's number before it is analyzed; an exception ends the search.

    Raises:
        StyleSwapError: A file cannot be read, no picture shows a requested face, or there is no recognizer.
    """
    faces: list[SourceFace] = []
    problems: list[str] = []
    seen = False
    for number, given in enumerate(pictures):
        on_picture(number)
        picture = _as_source(given)
        pixels = picture.pixels
        found = _detect(pixels, analyzer, choice)
        seen |= bool(found)
        picked, missing = choice.pick_sources(found)
        problems += [f"{picture.path or f'image {number}'}: {problem}" for problem in missing]
        for _, face in picked:
            face.require_embedding()
            crop, portrait = _cut_crop(pixels, face.points), cut_portrait(pixels, face.points)
            faces.append(SourceFace(number, face, picture.sha256, crop, portrait, len(found), picture.path))
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


def _as_choice(faces: Faces) -> FaceChoice:
    return faces if isinstance(faces, FaceChoice) else FaceChoice.parse(faces)


def _cut_crop(pixels: np.ndarray, points: np.ndarray) -> torch.Tensor:
    """Recognizer's crop of a face, (3, CROP_SIZE, CROP_SIZE); only its surroundings are converted, not the picture."""
    five = torch.from_numpy(points)[None]
    matrix = estimate_similarity(five, recognizer_points(CROP_SIZE) + 0.5)
    x0, y0, x1, y1 = crop_box(matrix, CROP_SIZE, pixels.shape[:2], _CROP_MARGIN)[0].tolist()
    return recognizer_crop(from_uint8(pixels[y0:y1, x0:x1]), five - torch.tensor([x0, y0]), CROP_SIZE)[0]


def _as_source(picture: np.ndarray | str | Path | SourcePicture) -> SourcePicture:
    if isinstance(picture, SourcePicture):
        return picture
    return SourcePicture.read(picture) if isinstance(picture, str | Path) else SourcePicture.of_pixels(picture)


def _detect(pixels: np.ndarray, analyzer: FaceAnalyzer, choice: FaceChoice) -> list[DetectedFace]:
    """All faces of a picture, with gender and age if the choice needs them."""
    found = analyzer.detect(pixels, choice.order)
    return analyzer.with_gender_age(pixels, found, required=True) if choice.needs_gender_age else found
