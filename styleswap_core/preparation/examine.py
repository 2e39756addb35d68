"""Examination of one picture: its usable faces, and why the others are not. Runs in worker processes, without state."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from ..credentials.training_consent import training_ban
from ..errors import StyleSwapError
from ..faces.alignment import (
    crop_box,
    estimate_similarity,
    matrix_scale,
    shift_origin,
    template_points,
    transform_points,
    warp,
)
from ..faces.analysis import load_face_analysis
from ..faces.choice import select_faces
from ..faces.detected import NO_RECOGNIZER, DetectedFace
from ..io.images import from_uint8, to_uint8
from ..io.picture_file import read_picture
from ..masking.face_parsing import FaceParser
from ..masking.head import fit_head
from ..masking.outlines import outline_mask
from .face_quality import Quality, blur, outside_share, quality_problem
from .hashing import perceptual_hash
from .preparation_settings import PreparationSettings

_DETECTOR_THRESHOLD = 0.5
_THUMBNAIL_SIDE = 96
FORBIDDEN = "training forbidden"
"""Reason for leaving out what its owner does not want to be trained on."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A face to train on.

    Attributes:
        face: Index of the face in its picture.
        image: The encoded crop.
        mask: The face mask, encoded as PNG.
        id_embedding: (D,) float32.
        hash: Perceptual hash of the crop, 64 bits.
        points: (5, 2), pixels of the crop.
        box: (4,), pixels of the picture.
        quality: What the filters judged.
        thumbnail: A small JPEG of the crop.
    """

    face: int
    image: bytes
    mask: bytes
    id_embedding: np.ndarray
    hash: int
    points: np.ndarray
    box: np.ndarray
    quality: Quality
    thumbnail: bytes


@dataclass(frozen=True)
class Drop:
    """A picture or face that is left out.

    Attributes:
        reason: Short name of the reason, a key of `preparation_report.EXPLANATIONS`.
        sentence: The reason in this case; continues a sentence that begins with the file's name.
        face: Index of the face; -1 for a whole picture.
        thumbnail: A small JPEG, if there is something to see.
    """

    reason: str
    sentence: str
    face: int = -1
    thumbnail: bytes | None = None


@dataclass
class Findings:
    """Result of examining one picture; `notes` are remarks about a picture that is used nonetheless."""

    samples: list[Sample] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Examiner:
    """The models of a worker, loaded once.

    Raises:
        StyleSwapError: A model is missing or damaged, or the pack has no recognizer.
    """

    def __init__(self, settings: PreparationSettings, threads: int = 1, allow_download: bool = False) -> None:
        self.settings = settings
        threshold = min(_DETECTOR_THRESHOLD, settings.min_score)
        pack = settings.pack or None
        self.analyzer = load_face_analysis(
            pack,
            det_size=settings.detection_size or None,
            det_thresh=threshold,
            allow_download=allow_download,
            threads=threads,
        )
        if not self.analyzer.recognizer:
            raise StyleSwapError(NO_RECOGNIZER)
        self._parser = (
            FaceParser(settings.parsing, settings.parsing_classes, threads=threads) if settings.parsing else None
        )
        self._landmarks = None if self._parser else self.analyzer.landmark_model()
        self._template = template_points(settings.template, settings.size)

    @property
    def mask_origin(self) -> str:
        """What masks are made from, as the journal and the manifest state it."""
        if self._parser is not None:
            return f"parsing model {self._parser.path.name}"
        return f"landmarks of {self._landmarks.name}" if self._landmarks else "five points and colors"

    def examine_file(self, path: Path) -> Findings:
        """Read a picture file and examine it."""
        forbidden = forbidding(path, self.settings)
        if forbidden is not None:
            return Findings(drops=[forbidden])
        findings = Findings()
        try:
            if path.stat().st_size == 0:
                raise StyleSwapError("is empty (0 bytes)")
            picture = read_picture(path)
        except StyleSwapError as error:
            # The sentence follows the file's name, which read_picture's messages begin with or contain.
            sentence = str(error).replace(f"{path} ", "", 1).replace(str(path), "it")
            findings.drops.append(Drop("unreadable", sentence))
            return findings
        except OSError as error:
            findings.drops.append(Drop("unreadable", f"cannot be read ({error.strerror})"))
            return findings
        if picture.frames > 1:
            findings.notes.append(f"is an animation of {picture.frames} frames; only the first is used")
        self._examine(picture.seen, findings)
        return findings

    def examine_picture(self, picture: np.ndarray) -> Findings:
        """Examine a picture (H, W, 3) uint8 RGB."""
        findings = Findings()
        self._examine(picture, findings)
        return findings

    def _examine(self, picture: np.ndarray, findings: Findings) -> None:
        # Without embeddings, which faces that the filters drop do not need.
        faces = self.analyzer.detect(picture, "left-right", embed=False)
        if not faces:
            findings.drops.append(Drop("no face", "no face was found", thumbnail=_thumbnail(picture)))
            return
        # The pictures in a person's folder may show others in the background.
        for face in select_faces(faces, "largest" if self.settings.people == "folders" else "all"):
            self._examine_face(picture, face, findings)

    def _examine_face(self, picture: np.ndarray, face: DetectedFace, findings: Findings) -> None:
        settings, size = self.settings, self.settings.size
        points = torch.from_numpy(face.points)[None]
        matrix = estimate_similarity(points, self._template)
        crop = _cut(picture, matrix, size)
        if face.doubtful:
            sentence = f"the detection is doubtful ({face.doubtful})"
            findings.drops.append(Drop("unsure", sentence, face=face.index, thumbnail=_thumbnail(crop)))
            return
        crop_points = transform_points(matrix, points)[0].numpy()
        head = fit_head(crop_points.astype(np.float64))
        mask = self._mask(picture, face, matrix, crop, crop_points)
        in_picture = fit_head(face.points.astype(np.float64))
        height, width = picture.shape[:2]
        quality = Quality(
            score=float(face.score),
            side=size / float(matrix_scale(matrix)[0]),
            outside=outside_share(matrix, size, width, height),
            yaw=head.yaw,
            pitch=head.pitch,
            roll=in_picture.roll,
            blur=blur(crop, mask),
        )
        problem = quality_problem(quality, settings)
        if problem:
            findings.drops.append(Drop(*problem, face=face.index, thumbnail=_thumbnail(crop)))
            return
        findings.samples.append(
            Sample(
                face=face.index,
                image=encode_crop(crop, settings.image_format),
                mask=encode_mask(mask),
                id_embedding=self.analyzer.embed(picture, face.points),
                hash=perceptual_hash(crop),
                points=crop_points,
                box=face.box,
                quality=quality,
                thumbnail=_thumbnail(crop),
            )
        )

    def _mask(
        self,
        picture: np.ndarray,
        face: DetectedFace,
        matrix: torch.Tensor,
        crop: np.ndarray,
        points: np.ndarray,
    ) -> np.ndarray:
        if self._parser is not None:
            return self._parser.mask(crop)
        landmarks = None
        if self._landmarks is not None:
            dense = torch.from_numpy(self._landmarks.read(picture, face.box).points[None, :, :2])
            landmarks = transform_points(matrix, dense)[0].numpy()
        return outline_mask(crop, points, landmarks)


def forbidding(path: Path, settings: PreparationSettings) -> Drop | None:
    """Why a file is left out at the request of its owner; None if it is not, or if the settings ignore that."""
    ban = "" if settings.ignore_training_opt_outs else training_ban(path)
    return Drop(FORBIDDEN, f"is not for training: {ban}") if ban else None


def _cut(picture: np.ndarray, matrix: torch.Tensor, size: int) -> np.ndarray:
    """The crop (size, size, 3) uint8; only the part of the picture that it needs is converted."""
    margin = 2 + int(2 / float(matrix_scale(matrix)[0]))
    box = crop_box(matrix, size, picture.shape[:2], margin)
    x0, y0, x1, y1 = box[0].tolist()
    part = from_uint8(np.array(picture[y0:y1, x0:x1]))  # a copy, since pictures from files are read-only
    return to_uint8(warp(part, shift_origin(matrix, box[:, :2]), size))[0]


def encode_crop(crop: np.ndarray, image_format: str) -> bytes:
    """A crop (S, S, 3) uint8 RGB as the content of a file, "jpg" or "png"."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(f".{image_format}", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), options if image_format == "jpg" else [])


def encode_mask(mask: np.ndarray) -> bytes:
    """A mask (S, S) uint8 as the content of a PNG file."""
    return _encode(".png", mask, [])


def _thumbnail(picture: np.ndarray) -> bytes:
    scale = _THUMBNAIL_SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return _encode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _encode(suffix: str, picture: np.ndarray, options: list[int]) -> bytes:
    return cv2.imencode(suffix, picture, options)[1].tobytes()
