"""Face analysis: a detector and a recognizer, from the packs that the package can load."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .arcface import TorchRecognizer
from .detected import NO_RECOGNIZER, DetectedFace, FaceAnalyzer, order_faces
from .face_networks import CropRecognizer, FaceDetector
from .face_search import DETECTION_SIZES, FaceSearch
from .gender_age import NO_GENDER_AGE, GenderAgeModel, adopt_gender_age, load_gender_age
from .insightface_networks import MIN_SIDE, STRIDE, InsightFaceDetector, InsightFaceRecognizer
from .insightface_types import FaceAnalysis
from .landmarks import LandmarkModel, adopt_landmark_model, load_landmark_model
from .opencv_networks import load_opencv_networks
from .opencv_zoo import zoo_files
from .pack_licenses import UNKNOWN, license_note
from .packs import Roots, build_analysis, find_pack, stdout_to_stderr
from .recognition import PictureEmbedder, check_picture, reduced
from .recognizer_id import RecognizerId


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
        det_size: Side in pixels to which a picture is scaled for detection; by default 640 and 256, and finer where it
            pays, which never enlarges; see face_search.py.
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
    detector: FaceDetector
    recognizer: CropRecognizer | None
    if (files := zoo_files(folder)) is not None:
        detector, recognizer = load_opencv_networks(files, det_thresh, providers)
    else:
        analysis = build_analysis(folder, providers, threads=threads)
        _prepare(analysis, det_size or DETECTION_SIZES[0], det_thresh)
        detector, recognizer = _networks(analysis)
    analyzer = PackAnalyzer(
        detector,
        recognizer,
        license_note(folder),
        det_size,
        load_landmarks=partial(load_landmark_model, folder, threads=threads, providers=providers),
        load_gender_age=partial(load_gender_age, folder, threads=threads, providers=providers),
    )
    analyzer.reload = partial(load_face_analysis, folder, None, providers, det_size, det_thresh, False, threads)
    analyzer.settings = f"{folder} {det_size} {det_thresh}"
    return analyzer


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
        settings: Text that tells its detections from those of others.
        reload: Loads the same analysis again, in another process; None if nobody knows how.
    """

    def __init__(
        self,
        detector: FaceDetector,
        recognizer: CropRecognizer | None,
        license_note: str = "",
        size: int | None = None,
        load_landmarks: Callable[[], LandmarkModel | None] | None = None,
        load_gender_age: Callable[[], GenderAgeModel | None] | None = None,
    ) -> None:
        """Combine two networks.

        Args:
            detector: The detector.
            recognizer: The recognizer; without one, faces are only detected.
            license_note: License of the pack.
            size: Detection size in pixels; None for automatic, see `FaceSearch`.
            load_landmarks: Loads the model of dense landmarks, if the pack has one.
            load_gender_age: Loads the network for gender and age, if the pack has one.
        """
        self._search = FaceSearch(detector, size)
        self._recognizer = recognizer
        self._load_landmarks = load_landmarks
        self._landmarks: LandmarkModel | None = None
        self._load_gender_age = load_gender_age
        self._gender_age: GenderAgeModel | None = None
        # An analysis may be used by several threads at once.
        self._loading = Lock()
        self.license_note = license_note
        self.settings = ""
        self.reload: Callable[[], FaceAnalyzer] | None = None
        self.recognizer_path = recognizer.path if recognizer else None
        self.recognizer = RecognizerId()
        if recognizer is not None:
            self.recognizer = RecognizerId(recognizer.path.stem, file_sha256(recognizer.path), recognizer.dimension)

    def __reduce__(self) -> tuple[Callable[[], FaceAnalyzer], tuple[()]]:
        """Other processes load the files again, since sessions of ONNX Runtime cannot be sent."""
        if self.reload is None:
            raise StyleSwapError(
                "this face analysis comes from another program and cannot be sent to workers; load it by its pack, or"
                " use one worker"
            )
        return self.reload, ()

    def detect(
        self, picture: np.ndarray, order: str = "largest", embed: bool = True, *, quick: bool = False
    ) -> list[DetectedFace]:
        """Detect the faces of a picture.

        See face_search.py for how they are searched, and `recognition.PictureEmbedder` for their embeddings.

        Args:
            picture: (H, W, 3) uint8 RGB.
            order: One of detected.FACE_ORDERS.
            embed: Compute the embeddings as well, if the pack has a recognizer.
            quick: See `FaceSearch.find`.

        Returns:
            The faces in the picture's coordinates, numbered in that order.

        Raises:
            StyleSwapError: Not a picture, or a detector without five points.
        """
        check_picture(picture)
        small = reduced(picture)
        embedder = PictureEmbedder(self._recognizer, picture, small) if embed and self._recognizer is not None else None
        faces = []
        for (box, score, points), angle, doubtful in self._search.find(picture, quick, small):
            id_embedding, norm = embedder.embed(points) if embedder is not None else (None, 0.0)
            faces.append(
                DetectedFace(0, score, np.float32(box), np.float32(points), id_embedding, norm, angle, doubtful)
            )
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
        return PictureEmbedder(self._recognizer, picture).embed(points)

    def with_gender_age(
        self, picture: np.ndarray, faces: Sequence[DetectedFace], required: bool = False
    ) -> list[DetectedFace]:
        """The faces of a picture with gender and age; see `FaceAnalyzer.with_gender_age`.

        Raises:
            StyleSwapError: The pack cannot and `required` is set, or its file is damaged.
        """
        with self._loading:
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
        with self._loading:
            if self._load_landmarks is not None:
                self._landmarks, self._load_landmarks = self._load_landmarks(), None
        return self._landmarks
