"""One picture -> its usable faces, and why the others are not. Runs in worker processes; holds no state."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

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
from ..faces.landmarks import load_landmark_model
from ..faces.packs import find_pack
from ..io.images import from_uint8, load_image, to_uint8
from .face_masks import mask_from_landmarks, mask_from_points
from .face_parsing import FaceParser
from .face_quality import Quality, blur, fault, outside_share
from .hashing import perceptual_hash
from .head import fit_head
from .preparation_settings import Settings

_DETECTOR_THRESHOLD = 0.5
_THUMBNAIL_SIDE = 96


@dataclass(frozen=True, eq=False)
class Sample:
    """A face to train on: encoded crop and mask, embedding (512,) float32, and what is known about it."""

    face: int
    image: bytes
    mask: bytes
    id_embedding: np.ndarray
    hash: int
    points: np.ndarray  # (5, 2) crop px
    box: np.ndarray  # (4,) px of the picture
    quality: Quality
    thumbnail: bytes


@dataclass(frozen=True)
class Drop:
    """What is left out: the reason's name, a sentence, and a small JPEG where there is something to see."""

    reason: str
    sentence: str
    face: int = -1
    thumbnail: bytes | None = None


@dataclass
class Outcome:
    """What came of one picture; `notes` are sentences about a picture that is used all the same."""

    samples: list[Sample] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Examiner:
    """The models that a worker needs, loaded once.

    Raises:
        StyleSwapError: a model is missing or damaged, or the pack has no recognizer.
    """

    def __init__(self, settings: Settings, threads: int = 1, allow_download: bool = False) -> None:
        self.settings = settings
        threshold = min(_DETECTOR_THRESHOLD, settings.min_score)
        pack = settings.pack or None
        self.analyzer = load_face_analysis(pack, det_thresh=threshold, allow_download=allow_download, threads=threads)
        if not self.analyzer.recognizer:
            raise StyleSwapError(NO_RECOGNIZER)
        self._parser = FaceParser(settings.parsing, settings.parsing_classes, threads) if settings.parsing else None
        self._landmarks = None if self._parser else load_landmark_model(find_pack(pack), threads=threads)
        self._template = template_points(settings.template, settings.size)

    @property
    def mask_origin(self) -> str:
        """What masks are made from."""
        if self._parser is not None:
            return f"parsing model {self._parser.path.name}"
        return f"landmarks of {self._landmarks.name}" if self._landmarks else "five points and colors"

    def file(self, path: Path) -> Outcome:
        """Read a picture file and examine it."""
        outcome = Outcome()
        try:
            if path.stat().st_size == 0:
                raise StyleSwapError("is empty (0 bytes)")
            picture = load_image(path)
        except StyleSwapError as error:
            # Sentences go behind the file's name, which load_image's begin with or hold.
            sentence = str(error).replace(f"{path} ", "", 1).replace(str(path), "it")
            outcome.drops.append(Drop("unreadable", sentence))
            return outcome
        except OSError as error:
            outcome.drops.append(Drop("unreadable", f"cannot be read ({error.strerror})"))
            return outcome
        count = _animation_frames(path)
        if count > 1:
            outcome.notes.append(f"is an animation of {count} frames; the first is used")
        return self.picture(picture, outcome)

    def picture(self, picture: np.ndarray, outcome: Outcome | None = None) -> Outcome:
        """Examine (H, W, 3) uint8 RGB, adding to `outcome`."""
        outcome = outcome or Outcome()
        # Without embeddings: faces that the filters drop need none.
        faces = self.analyzer.detect(picture, "left-right", embed=False)
        if not faces:
            outcome.drops.append(Drop("no face", "no face was found", thumbnail=_thumbnail(picture)))
            return outcome
        # A person's folder may show others behind them.
        chosen = select_faces(faces, "largest" if self.settings.people == "folders" else "all")
        for face in chosen:
            self._examine_face(picture, face, outcome)
        return outcome

    def _examine_face(self, picture: np.ndarray, face: DetectedFace, outcome: Outcome) -> None:
        settings, size = self.settings, self.settings.size
        points = torch.from_numpy(face.points)[None]
        matrix = estimate_similarity(points, self._template)
        crop = _cut(picture, matrix, size)
        crop_points = transform_points(matrix, points)[0].numpy()
        head = fit_head(crop_points.astype(np.float64))
        mask = self._mask(picture, face, matrix, crop, crop_points, head)
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
        problem = fault(quality, settings)
        if problem:
            outcome.drops.append(Drop(*problem, face=face.index, thumbnail=_thumbnail(crop)))
            return
        outcome.samples.append(
            Sample(
                face.index,
                _encode_crop(crop, settings.image_format),
                _encode(".png", mask, []),
                self.analyzer.embed(picture, face.points),
                perceptual_hash(crop),
                crop_points,
                face.box,
                quality,
                _thumbnail(crop),
            )
        )

    def _mask(
        self, picture: np.ndarray, face: DetectedFace, matrix: torch.Tensor, crop: np.ndarray, points: np.ndarray, head
    ) -> np.ndarray:
        if self._parser is not None:
            return self._parser.mask(crop)
        if self._landmarks is not None:
            landmarks = torch.from_numpy(self._landmarks.read(picture, face.box).points[None, :, :2])
            return mask_from_landmarks(transform_points(matrix, landmarks)[0].numpy(), points, self.settings.size)
        return mask_from_points(crop, head)


def _cut(picture: np.ndarray, matrix: torch.Tensor, size: int) -> np.ndarray:
    """The crop (size, size, 3) uint8, from the part of the picture that it needs alone."""
    margin = 2 + int(2 / float(matrix_scale(matrix)[0]))
    box = crop_box(matrix, size, picture.shape[:2], margin)
    x0, y0, x1, y1 = box[0].tolist()
    part = from_uint8(np.array(picture[y0:y1, x0:x1]))  # a copy: pictures from files are read-only
    return to_uint8(warp(part, shift_origin(matrix, box[:, :2]), size))[0]


def _encode_crop(crop: np.ndarray, image_format: str) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(f".{image_format}", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), options if image_format == "jpg" else [])


def _thumbnail(picture: np.ndarray) -> bytes:
    scale = _THUMBNAIL_SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return _encode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _encode(suffix: str, picture: np.ndarray, options: list[int]) -> bytes:
    return cv2.imencode(suffix, picture, options)[1].tobytes()


def _animation_frames(path: Path) -> int:
    """Frames of an animated GIF, PNG or WebP; 1 for anything else (other formats keep previews there)."""
    with Image.open(path) as opened:
        return getattr(opened, "n_frames", 1) if opened.format in ("GIF", "PNG", "WEBP") else 1
