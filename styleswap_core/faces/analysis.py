"""Detection and recognition through insightface.

This module, recognition.py and landmarks.py alone follow insightface's conventions: BGR pictures, and pixels whose
centers are integers, where the rest of the package adds 0.5 (see alignment.py).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .arcface import TorchRecognizer
from .detected import NO_RECOGNIZER, DetectedFace, order_faces
from .insightface_types import DetectorNetwork, FaceAnalysis, RecognizerNetwork
from .packs import Roots, build_analysis, find_pack, stdout_to_stderr
from .recognition import check_picture, embed_points, reduced
from .recognizer_id import RecognizerId

# The smaller size finds large faces; detectors are trained on photographs with few faces that fill the frame.
DETECTION_SIZES = (640, 256)
# Coarsest stride of a detector; its input has sides of multiples.
_STRIDE = 32
_MIN_SIDE = 64
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
) -> "InsightFaceAnalyzer":
    """Load a face analysis pack.

    Args:
        pack: None for the demo pack of this package, a folder with .onnx files, or the name of a pack under
            insightface's root.
        root: insightface's root, or several; see `packs.find_pack`.
        providers: Execution providers of ONNX Runtime; by default CUDA if available, otherwise the CPU.
        det_size: Side in pixels to which a picture is scaled for detection; by default two passes at 640 and 256,
            which never enlarge.
        det_thresh: Minimum confidence of a detection, 0..1.
        allow_download: Let insightface download a missing pack by name. Its published packs are for non-commercial
            research only.
        threads: CPU threads of ONNX Runtime; 0 leaves the choice to it, the best for a single process.

    Raises:
        StyleSwapError: insightface or the pack is missing or damaged, or an argument is out of range.
    """
    if not 0.0 < det_thresh < 1.0:
        raise StyleSwapError(f"expected a detection threshold between 0 and 1, got {det_thresh}")
    if det_size is not None and (det_size < _MIN_SIDE or det_size % _STRIDE):
        raise StyleSwapError(f"expected a detection size of 64 or more and divisible by 32, got {det_size}")
    analysis = build_analysis(find_pack(pack, root, allow_download), providers, threads=threads)
    return InsightFaceAnalyzer(analysis, (det_size,) if det_size else DETECTION_SIZES, det_thresh, fit=not det_size)


def adopt_face_analysis(analysis: object) -> "InsightFaceAnalyzer":
    """Analyzer over a `FaceAnalysis` of another program, which keeps its settings if it is prepared already.

    Raises:
        StyleSwapError: Another type of object.
    """
    if not isinstance(analysis, FaceAnalysis) or analysis.det_model is None:
        raise StyleSwapError(
            f"expected insightface's FaceAnalysis, got {type(analysis).__name__}; use Load Face Analysis instead"
        )
    # `prepare` sets the detection size and threshold.
    return InsightFaceAnalyzer(analysis, fit=True, prepare=not hasattr(analysis, "det_size"))


class InsightFaceAnalyzer:
    """A FaceAnalyzer over insightface's `FaceAnalysis`.

    Attributes:
        recognizer: The pack's recognizer by name and file hash; falsy if it has none.
        recognizer_path: File of the recognizer, or None.
    """

    def __init__(
        self,
        analysis: FaceAnalysis,
        sizes: Sequence[int] = DETECTION_SIZES,
        det_thresh: float = 0.5,
        fit: bool = False,
        prepare: bool = True,
    ) -> None:
        """Wrap a `FaceAnalysis`.

        Args:
            analysis: insightface's object.
            sizes: Detection sizes in pixels, one pass for each.
            det_thresh: Minimum confidence of a detection.
            fit: Limit the sizes to that of the picture, which enlarging would not improve.
            prepare: Call `analysis.prepare`, with threshold and first size.
        """
        if prepare:
            with stdout_to_stderr():
                analysis.prepare(ctx_id=0, det_thresh=det_thresh, det_size=(sizes[0], sizes[0]))
        self._detector = analysis.det_model
        self._recognizer: RecognizerNetwork | None = analysis.models.get("recognition")
        self._square = not _takes_any_shape(self._detector)
        self._fit = fit
        self._sizes = tuple(sizes)
        self.recognizer_path = Path(self._recognizer.model_file) if self._recognizer else None
        self.recognizer = RecognizerId()
        if self.recognizer_path is not None:
            self.recognizer = RecognizerId(self.recognizer_path.stem, file_sha256(self.recognizer_path))

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
            found = [(box - np.tile(corner, 2), score, five - corner) for box, score, five in self._passes(padded)]
        faces = []
        for box, score, points in found:
            if not _is_visible(points, shown.shape):
                continue
            id_embedding = embed_points(self._recognizer, shown, points) if embed and self._recognizer else None
            box, points = (box + 0.5) * np.tile(scale, 2), (points + 0.5) * scale
            faces.append(DetectedFace(0, score, np.float32(box), np.float32(points), id_embedding))
        return order_faces(faces, order)

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Embedding of a face with known points.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (5, 2), continuous pixels.

        Returns:
            (512,) float32, L2-normalized.

        Raises:
            StyleSwapError: The pack has no recognizer.
        """
        check_picture(picture)
        if self._recognizer is None:
            raise StyleSwapError(NO_RECOGNIZER)
        shown, scale = reduced(picture)
        return embed_points(self._recognizer, shown, np.asarray(points, dtype=np.float32) / scale - 0.5)

    def torch_recognizer(self) -> TorchRecognizer:
        """The pack's recognizer as a torch module with gradients, on the CPU.

        Raises:
            StyleSwapError: The pack has no recognizer, or it has unsupported operators.
        """
        if self._recognizer is None:
            raise StyleSwapError(NO_RECOGNIZER)
        normalization = (float(self._recognizer.input_mean), float(self._recognizer.input_std))
        return TorchRecognizer(self._recognizer.model_file, normalization)

    def _passes(self, picture: np.ndarray) -> list[tuple[np.ndarray, float, np.ndarray]]:
        """(box, score, points) of each face in insightface's coordinates; passes at larger sizes take precedence."""
        kept: list[tuple[np.ndarray, float, np.ndarray]] = []
        for size in _fitting(self._sizes, max(picture.shape[:2])) if self._fit else self._sizes:
            # Not within `stdout_to_stderr`, which affects all threads: detection may run in parallel with others.
            canvas = (size, size) if self._square else _canvas(size, *picture.shape[1::-1])
            bgr, factor = _bgr_for(picture, canvas)
            boxes, points = self._detector.detect(bgr, input_size=canvas)
            if points is None:
                raise StyleSwapError("this pack's detector has no five points; use a pack with one such as det_10g")
            fresh = [
                (row[:4], float(row[4]), five)
                for row, five in zip(boxes[:, :5] * [*4 * [factor], 1.0], points * factor, strict=True)
                if _is_face(five) and all(_iou(row[:4], other) < _SAME_FACE_IOU for other, _, _ in kept)
            ]
            kept += fresh
        return kept


def _fitting(sizes: Sequence[int], side: int) -> list[int]:
    """Detection sizes limited to a picture's longer side, without repeats: enlarging adds no detail."""
    least = max(_MIN_SIDE, -(-side // _STRIDE) * _STRIDE)
    return list(dict.fromkeys(min(size, least) for size in sizes))


def _canvas(size: int, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the detector's input for a picture whose longer side is scaled to `size`.

    insightface pads to a square; without the padding, a 16:9 frame takes 9/16 of the time. The picture has the same
    scale as in the square.
    """
    longer = max(width, height)
    # Rounded up to multiples of the stride in integers, without floating-point errors.
    across, down = (max(_MIN_SIDE, -(-side * size // (longer * _STRIDE)) * _STRIDE) for side in (width, height))
    return across, down


def _bgr_for(picture: np.ndarray, canvas: tuple[int, int]) -> tuple[np.ndarray, float]:
    """A picture as BGR, and the factor from its pixels to those of the original.

    Reordering the channels of a large frame takes as long as running a small detector. A picture that the detector
    would reduce is therefore reduced first, exactly as the detector does it, which then leaves it unchanged.
    """
    height, width = picture.shape[:2]
    size = _size_on(canvas, width, height)
    if min(size) < 1 or size[0] >= width or size[1] >= height or _size_on(canvas, *size) != size:
        return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), 1.0
    return cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_RGB2BGR), height / size[1]


def _size_on(canvas: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    # Exactly insightface's rule for fitting a picture into its input; a size that is off by one is resampled again.
    ratio = height / width
    if ratio > canvas[1] / canvas[0]:
        return int(canvas[1] / ratio), canvas[1]
    return canvas[0], int(canvas[0] * ratio)


def _takes_any_shape(detector: DetectorNetwork) -> bool:
    """Whether a single session of the detector runs on inputs of all shapes."""
    fixed = any(isinstance(side, int) for side in detector.session.get_inputs()[0].shape[2:4])
    return not fixed and not getattr(detector, "static_shape_sessions", False)


def _is_face(points: np.ndarray) -> bool:
    # The points of a false detection can coincide, and then define no crop.
    return bool(np.isfinite(points).all()) and float(np.ptp(points, axis=0).max()) > _MIN_POINT_SPREAD


def _is_visible(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether most of the five points lie in the picture.

    A face mostly beyond the picture's edge is unusable, and false detections are often much larger than the picture.
    """
    inside = (points > -1).all(1) & (points < [shape[1], shape[0]]).all(1)
    return int(inside.sum()) >= _MIN_VISIBLE_POINTS


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = float(np.prod(np.clip(sides, 0, None)))
    areas = [float(np.prod(np.clip(box[2:] - box[:2], 0, None))) for box in (a, b)]
    return overlap / max(sum(areas) - overlap, 1e-9)
