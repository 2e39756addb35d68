"""Face analysis: a detector in several passes and a recognizer, from the packs that the package can load."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .arcface import TorchRecognizer
from .detected import NO_RECOGNIZER, DetectedFace, FaceAnalyzer, order_faces
from .face_networks import CropRecognizer, Detection, FaceDetector
from .gender_age import NO_GENDER_AGE, GenderAgeModel, adopt_gender_age, load_gender_age
from .insightface_networks import MIN_SIDE, STRIDE, InsightFaceDetector, InsightFaceRecognizer
from .insightface_types import FaceAnalysis
from .landmarks import LandmarkModel, adopt_landmark_model, load_landmark_model
from .opencv_networks import load_opencv_networks
from .opencv_zoo import zoo_files
from .pack_licenses import UNKNOWN, license_note
from .packs import Roots, build_analysis, find_pack, stdout_to_stderr
from .recognition import check_picture, raw_embedding, reduced, unit_and_norm
from .recognizer_id import RecognizerId

# The smaller size finds large faces; detectors are trained on photographs with few faces that fill the frame.
DETECTION_SIZES = (640, 256)
# Border, as a fraction of the sides, that is added to a picture without detections for a second attempt.
PADDING = 0.5
_SAME_FACE_IOU = 0.4
_MIN_POINT_SPREAD = 1.0
# Points that must lie in the picture.
_MIN_VISIBLE_POINTS = 3


def load_face_analysis(
    pack: str | Path | None = None,
    root: Roots = None,
    providers: Sequence[str] | None = None,
    det_size: int | None = None,
    det_thresh: float = 0.5,
    allow_download: bool = False,
    threads: int = 0,
) -> FaceAnalyzer:
    """Load a face analysis pack.

    Args:
        pack: None for the demo pack of this package, a folder with .onnx files, "opencv_zoo" (or "opencv") for the
            files of OpenCV Zoo, or the name of a pack under insightface's root.
        root: Where packs are looked for by name; see `packs.find_pack`.
        providers: Execution providers of ONNX Runtime; by default CUDA if available, otherwise the CPU. OpenCV Zoo's
            networks run in OpenCV, on the CPU.
        det_size: Side in pixels to which a picture is scaled for detection; by default two passes at 640 and 256,
            which never enlarge.
        det_thresh: Minimum confidence of a detection, 0..1.
        allow_download: Download a missing pack by name: from OpenCV Zoo (MIT, Apache-2.0) or through insightface, whose
            published packs are for non-commercial research only.
        threads: CPU threads of ONNX Runtime; 0 leaves the choice to it, the best for a single process.

    Raises:
        StyleSwapError: insightface or the pack is missing or damaged, or an argument is out of range.
    """
    if not 0.0 < det_thresh < 1.0:
        raise StyleSwapError(f"expected a detection threshold between 0 and 1, got {det_thresh}")
    if det_size is not None and (det_size < MIN_SIDE or det_size % STRIDE):
        raise StyleSwapError(f"expected a detection size of 64 or more and divisible by 32, got {det_size}")
    folder = find_pack(pack, root, allow_download)
    sizes = (det_size,) if det_size else DETECTION_SIZES
    detector: FaceDetector
    recognizer: CropRecognizer | None
    if (files := zoo_files(folder)) is not None:
        detector, recognizer = load_opencv_networks(files, det_thresh, providers)
    else:
        analysis = build_analysis(folder, providers, threads=threads)
        _prepare(analysis, sizes[0], det_thresh)
        detector, recognizer = _networks(analysis)
    return PackAnalyzer(
        detector,
        recognizer,
        license_note(folder),
        sizes,
        fit=not det_size,
        load_landmarks=partial(load_landmark_model, folder, threads=threads, providers=providers),
        load_gender_age=partial(load_gender_age, folder, threads=threads, providers=providers),
    )


def adopt_face_analysis(analysis: object) -> FaceAnalyzer:
    """Analyzer over a `FaceAnalysis` of another program, which keeps its settings if it is prepared already.

    Raises:
        StyleSwapError: Another type of object.
    """
    if not isinstance(analysis, FaceAnalysis) or analysis.det_model is None:
        raise StyleSwapError(
            f"expected insightface's FaceAnalysis, got {type(analysis).__name__}; use Load Face Analysis instead"
        )
    # `prepare` sets the detection size and threshold.
    if not hasattr(analysis, "det_size"):
        _prepare(analysis, DETECTION_SIZES[0], 0.5)
    detector, recognizer = _networks(analysis)
    note = license_note(recognizer.path.parent) if recognizer else UNKNOWN
    return PackAnalyzer(
        detector,
        recognizer,
        note,
        fit=True,
        load_landmarks=partial(adopt_landmark_model, analysis.models),
        load_gender_age=partial(adopt_gender_age, analysis.models),
    )


def _prepare(analysis: FaceAnalysis, size: int, det_thresh: float) -> None:
    with stdout_to_stderr():
        analysis.prepare(ctx_id=0, det_thresh=det_thresh, det_size=(size, size))


def _networks(analysis: FaceAnalysis) -> tuple[InsightFaceDetector, InsightFaceRecognizer | None]:
    recognizer = analysis.models.get("recognition")
    return InsightFaceDetector(analysis.det_model), InsightFaceRecognizer(recognizer) if recognizer else None


class PackAnalyzer:
    """A FaceAnalyzer over a detector and a recognizer of any library.

    Attributes:
        recognizer: The recognizer by name and file hash; falsy if there is none.
        recognizer_path: File of the recognizer, or None.
        license_note: License of the pack, see `FaceAnalyzer.license_note`.
    """

    def __init__(
        self,
        detector: FaceDetector,
        recognizer: CropRecognizer | None,
        license_note: str = "",
        sizes: Sequence[int] = DETECTION_SIZES,
        fit: bool = False,
        load_landmarks: Callable[[], LandmarkModel | None] | None = None,
        load_gender_age: Callable[[], GenderAgeModel | None] | None = None,
    ) -> None:
        """Combine two networks.

        Args:
            detector: The detector.
            recognizer: The recognizer; without one, faces are only detected.
            license_note: License of the pack.
            sizes: Detection sizes in pixels, one pass for each.
            fit: Limit the sizes to that of the picture, which enlarging would not improve.
            load_landmarks: Loads the model of dense landmarks, if the pack has one.
            load_gender_age: Loads the network for gender and age, if the pack has one.
        """
        self._detector = detector
        self._recognizer = recognizer
        self._fit = fit
        self._sizes = tuple(sizes)
        self._load_landmarks = load_landmarks
        self._landmarks: LandmarkModel | None = None
        self._load_gender_age = load_gender_age
        self._gender_age: GenderAgeModel | None = None
        self.license_note = license_note
        self.recognizer_path = recognizer.path if recognizer else None
        self.recognizer = RecognizerId()
        if recognizer is not None:
            self.recognizer = RecognizerId(recognizer.path.stem, file_sha256(recognizer.path), recognizer.dimension)

    def detect(self, picture: np.ndarray, order: str = "largest", embed: bool = True) -> list[DetectedFace]:
        """Detect the faces of a picture.

        Pictures with a side over `recognition.MAX_ANALYZED_SIDE` are analyzed at reduced size. If nothing is found, the
        picture is analyzed again with a border of half its size, for faces that fill the frame.

        Args:
            picture: (H, W, 3) uint8 RGB.
            order: One of detected.FACE_ORDERS.
            embed: Compute the embeddings as well, if the pack has a recognizer.

        Returns:
            The faces in the picture's coordinates, numbered in that order.

        Raises:
            StyleSwapError: Not a picture, or a detector without five points.
        """
        check_picture(picture)
        shown, scale = reduced(picture)
        found = self._passes(shown)
        if not found:
            pad_y, pad_x = (round(side * PADDING) for side in shown.shape[:2])
            padded = cv2.copyMakeBorder(shown, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT, value=(0, 0, 0))
            corner = np.array([pad_x, pad_y])
            found = [
                Detection(face.box - np.tile(corner, 2), face.score, face.points - corner)
                for face in self._passes(padded)
            ]
        faces = []
        for box, score, points in found:
            if not _is_visible(points, shown.shape):
                continue
            id_embedding, norm = None, 0.0
            if embed and self._recognizer is not None:
                id_embedding, norm = unit_and_norm(raw_embedding(self._recognizer, shown, points))
            box, points = np.float32(box * np.tile(scale, 2)), np.float32(points * scale)
            faces.append(DetectedFace(0, score, box, points, id_embedding, norm))
        return order_faces(faces, order)

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Embedding of a face with known points.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (5, 2), continuous pixels.

        Returns:
            (D,) float32, L2-normalized.

        Raises:
            StyleSwapError: The pack has no recognizer.
        """
        return self.embed_with_norm(picture, points)[0]

    def embed_with_norm(self, picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float]:
        """`embed`, and the norm of the embedding before its normalization.

        Raises:
            StyleSwapError: The pack has no recognizer.
        """
        check_picture(picture)
        if self._recognizer is None:
            raise StyleSwapError(NO_RECOGNIZER)
        shown, scale = reduced(picture)
        return unit_and_norm(raw_embedding(self._recognizer, shown, np.asarray(points, dtype=np.float32) / scale))

    def with_gender_age(
        self, picture: np.ndarray, faces: Sequence[DetectedFace], required: bool = False
    ) -> list[DetectedFace]:
        """The faces of a picture with gender and age; see `FaceAnalyzer.with_gender_age`.

        Raises:
            StyleSwapError: The pack cannot and `required` is set, or its file is damaged.
        """
        if self._gender_age is None and self._load_gender_age is not None:
            self._gender_age, self._load_gender_age = self._load_gender_age(), None
        if self._gender_age is not None:
            return self._gender_age.describe(picture, faces)
        if required:
            raise StyleSwapError(NO_GENDER_AGE)
        return list(faces)

    def torch_recognizer(self) -> TorchRecognizer:
        """The pack's recognizer as a torch module with gradients, on the CPU.

        Raises:
            StyleSwapError: The pack has no recognizer, or it has unsupported operators.
        """
        if self._recognizer is None:
            raise StyleSwapError(NO_RECOGNIZER)
        return self._recognizer.torch_recognizer()

    def landmark_model(self) -> LandmarkModel | None:
        """The pack's model of dense landmarks, loaded on first use; None if it has none.

        Raises:
            StyleSwapError: The model is damaged.
        """
        if self._load_landmarks is not None:
            self._landmarks, self._load_landmarks = self._load_landmarks(), None
        return self._landmarks

    def _passes(self, picture: np.ndarray) -> list[Detection]:
        """The faces of a picture; passes at larger sizes take precedence."""
        kept: list[Detection] = []
        for size in _fitting(self._sizes, max(picture.shape[:2])) if self._fit else self._sizes:
            kept += [
                face
                for face in self._detector.detect(picture, size)
                if _is_face(face.points) and all(_iou(face.box, other.box) < _SAME_FACE_IOU for other in kept)
            ]
        return kept


def _fitting(sizes: Sequence[int], side: int) -> list[int]:
    """Detection sizes limited to a picture's longer side, without repeats: enlarging adds no detail."""
    least = max(MIN_SIDE, -(-side // STRIDE) * STRIDE)
    return list(dict.fromkeys(min(size, least) for size in sizes))


def _is_face(points: np.ndarray) -> bool:
    # The points of a false detection can coincide, and then define no crop.
    return bool(np.isfinite(points).all()) and float(np.ptp(points, axis=0).max()) > _MIN_POINT_SPREAD


def _is_visible(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether most of the five points lie in the picture.

    A face mostly beyond the picture's edge is unusable, and false detections are often much larger than the picture.
    """
    inside = (points > -0.5).all(1) & (points < [shape[1] + 0.5, shape[0] + 0.5]).all(1)
    return int(inside.sum()) >= _MIN_VISIBLE_POINTS


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = float(np.prod(np.clip(sides, 0, None)))
    areas = [float(np.prod(np.clip(box[2:] - box[:2], 0, None))) for box in (a, b)]
    return overlap / max(sum(areas) - overlap, 1e-9)
