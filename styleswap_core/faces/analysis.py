"""Detection and recognition through insightface.

With recognition.py and landmarks.py the only file that knows insightface's ways: BGR pictures, and pixel centers at 0
where the rest of the package has them at 0.5 (see alignment.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .arcface import TorchRecognizer
from .detected import NO_RECOGNIZER, DetectedFace, order_faces
from .packs import Roots, build_analysis, find_pack, stdout_to_stderr
from .recognition import check_picture, embed_points, reduced
from .recognizer_id import RecognizerId

# Large faces are found in the small pass: a detector trained on photographs sees too few frame-filling faces.
DETECTION_SIZES = (640, 256)
_STRIDE = 32  # a detector's coarsest; its input must be a multiple
_LEAST_SIDE = 64
# What a retry adds around a picture in which nothing was found, as a fraction of its sides.
PADDING = 0.5
_SAME_FACE_IOU = 0.4
_MIN_POINT_SPREAD = 1.0
_LEAST_POINTS = 3


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
        providers: ONNX Runtime's execution providers; by default CUDA where it is installed, else the CPU.
        det_size: side in pixels at which the detector looks; by default twice, at 640 and 256, and never enlarging.
        det_thresh: confidence from which a detection counts, 0..1.
        allow_download: let insightface download a named pack that is absent. Its published packs are for
            non-commercial research only.
        threads: of ONNX Runtime on the CPU; 0: its own choice, which is best for a process that is alone.

    Raises:
        StyleSwapError: insightface or the pack is missing or damaged, or an argument is out of range.
    """
    if not 0.0 < det_thresh < 1.0:
        raise StyleSwapError(f"expected a detection threshold between 0 and 1, got {det_thresh}")
    if det_size is not None and (det_size < _LEAST_SIDE or det_size % _STRIDE):
        raise StyleSwapError(f"expected a detection size of 64 or more and divisible by 32, got {det_size}")
    analysis = build_analysis(find_pack(pack, root, allow_download), providers, threads=threads)
    return InsightFaceAnalyzer(analysis, (det_size,) if det_size else DETECTION_SIZES, det_thresh, fit=not det_size)


def adopt_face_analysis(analysis: Any) -> "InsightFaceAnalyzer":
    """Use a `FaceAnalysis` that another program made and prepared; its threshold stays, and nothing in it is changed.

    Raises:
        StyleSwapError: another kind of object.
    """
    models = getattr(analysis, "models", None)
    if not isinstance(models, dict) or getattr(analysis, "det_model", None) is None:
        raise StyleSwapError(
            f"expected insightface's FaceAnalysis, got {type(analysis).__name__}; use Load Face Analysis instead"
        )
    # `prepare` is what gives the detector its threshold.
    return InsightFaceAnalyzer(analysis, fit=True, prepare=not hasattr(analysis, "det_size"))


class InsightFaceAnalyzer:
    """A FaceAnalyzer over insightface's `FaceAnalysis`.

    Attributes:
        recognizer: The pack's recognizer by name and hash of its file; falsy if it has none.
        recognizer_path: That file, or None.
    """

    def __init__(
        self,
        analysis: Any,
        sizes: Sequence[int] = DETECTION_SIZES,
        det_thresh: float = 0.5,
        fit: bool = False,
        prepare: bool = True,
    ) -> None:
        if prepare:
            with stdout_to_stderr():
                analysis.prepare(ctx_id=0, det_thresh=det_thresh, det_size=(sizes[0], sizes[0]))
        self._detector = analysis.det_model
        self._recognizer = analysis.models.get("recognition")
        self._square = not _takes_any_shape(self._detector)
        self._fit = fit
        self._sizes = tuple(sizes)
        self.recognizer_path = Path(self._recognizer.model_file) if self._recognizer else None
        self.recognizer = RecognizerId()
        if self.recognizer_path is not None:
            self.recognizer = RecognizerId(self.recognizer_path.stem, file_sha256(self.recognizer_path))

    def detect(self, picture: np.ndarray, order: str = "largest", embed: bool = True) -> list[DetectedFace]:
        """Find the faces of a picture.

        Pictures with a side over `recognition.MAX_ANALYZED_SIDE` are analyzed on a reduced copy; positions are always those of
        the picture given. If nothing is found, the picture is tried again with a border of half its size around
        it, for faces that fill the frame.

        Args:
            picture: (H, W, 3) uint8 RGB.
            order: one of detected.FACE_ORDERS.
            embed: also compute the embeddings (needs a recognizer in the pack).

        Returns:
            the faces, numbered in that order; empty if there is none.
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
            if not _is_seen(points, shown.shape):
                continue
            id_embedding = self._embed(shown, points) if embed and self._recognizer else None
            box, points = (box + 0.5) * np.tile(scale, 2), (points + 0.5) * scale
            faces.append(DetectedFace(0, score, np.float32(box), np.float32(points), id_embedding))
        return order_faces(faces, order)

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Embedding of a face whose place is known.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (5, 2), continuous pixels.

        Returns:
            (512,) float32, L2-normalized.

        Raises:
            StyleSwapError: the pack has no recognizer.
        """
        check_picture(picture)
        if self._recognizer is None:
            raise StyleSwapError(NO_RECOGNIZER)
        shown, scale = reduced(picture)
        return self._embed(shown, np.asarray(points, dtype=np.float32) / scale - 0.5)

    def torch_recognizer(self) -> TorchRecognizer:
        """The pack's recognizer as a torch module with gradients, on the CPU.

        Raises:
            StyleSwapError: the pack has no recognizer, or it has operators that are not known.
        """
        if self._recognizer is None:
            raise StyleSwapError(NO_RECOGNIZER)
        normalization = (float(self._recognizer.input_mean), float(self._recognizer.input_std))
        return TorchRecognizer(self.recognizer_path, normalization)

    def _passes(self, picture: np.ndarray) -> list[tuple[np.ndarray, float, np.ndarray]]:
        """(box, score, points) of each face, in insightface's coordinates; a finer pass goes before a coarser one."""
        kept: list[tuple[np.ndarray, float, np.ndarray]] = []
        for size in _fitting(self._sizes, max(picture.shape[:2])) if self._fit else self._sizes:
            # Without `stdout_to_stderr`: it acts on the whole process, and detection may run beside other threads.
            canvas = (size, size) if self._square else _canvas(size, *picture.shape[1::-1])
            bgr, factor = _bgr_for(picture, canvas)
            boxes, points = self._detector.detect(bgr, input_size=canvas)
            if points is None:
                raise StyleSwapError("this pack's detector gives no five points; use one that does, such as det_10g")
            fresh = [
                (row[:4], float(row[4]), five)
                for row, five in zip(boxes[:, :5] * [*4 * [factor], 1.0], points * factor, strict=True)
                if _is_face(five) and all(_iou(row[:4], other) < _SAME_FACE_IOU for other, _, _ in kept)
            ]
            kept += fresh
        return kept

    def _embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        return embed_points(self._recognizer, picture, points)


def _fitting(sizes: Sequence[int], side: int) -> list[int]:
    """Detection sizes for a picture of that longer side, without repeats: enlarging shows a detector nothing new."""
    least = max(_LEAST_SIDE, -(-side // _STRIDE) * _STRIDE)
    return list(dict.fromkeys(min(size, least) for size in sizes))


def _canvas(size: int, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the detector's input for a picture whose longer side is shown at `size`.

    insightface fills a square up with black, which costs a detector as much as picture does: 9/16 of a square are enough for
    a frame of 16:9. The picture is shown as large as in the square, pixel for pixel.
    """
    longer = max(width, height)
    # Whole steps of the coarsest stride; in integers, so that no side comes out one step short.
    across, down = (max(_LEAST_SIDE, -(-side * size // (longer * _STRIDE)) * _STRIDE) for side in (width, height))
    return across, down


def _bgr_for(picture: np.ndarray, canvas: tuple[int, int]) -> tuple[np.ndarray, float]:
    """A picture in insightface's order of channels, and the factor from its pixels back to the picture's.

    Reordering every pixel of a large frame takes as long as a small detector. So what the detector would shrink is shrunk
    before, exactly as it would; it finds its own size then and leaves the picture as it is.
    """
    height, width = picture.shape[:2]
    size = _size_on(canvas, width, height)
    if min(size) < 1 or size[0] >= width or size[1] >= height or _size_on(canvas, *size) != size:
        return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), 1.0
    return cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_RGB2BGR), height / size[1]


def _size_on(canvas: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    # As insightface's detectors fit a picture into their input, to the last bit: a size that is one off is resampled again.
    ratio = height / width
    if ratio > canvas[1] / canvas[0]:
        return int(canvas[1] / ratio), canvas[1]
    return canvas[0], int(canvas[0] * ratio)


def _takes_any_shape(detector: Any) -> bool:
    """Whether one session of the detector runs on pictures of all shapes, none of which needs to be built first."""
    fixed = any(isinstance(side, int) for side in detector.session.get_inputs()[0].shape[2:4])
    return not fixed and not getattr(detector, "static_shape_sessions", False)


def _is_face(points: np.ndarray) -> bool:
    # A false detection can collapse its points, and no crop follows from those.
    return bool(np.isfinite(points).all()) and float(np.ptp(points, axis=0).max()) > _MIN_POINT_SPREAD


def _is_seen(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether most of the five points lie in the picture: of a face that is mostly beyond its edge nothing can be made,
    and false detections are often many times larger than the picture.
    """
    inside = (points > -1).all(1) & (points < [shape[1], shape[0]]).all(1)
    return int(inside.sum()) >= _LEAST_POINTS


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = float(np.prod(np.clip(sides, 0, None)))
    areas = [float(np.prod(np.clip(box[2:] - box[:2], 0, None))) for box in (a, b)]
    return overlap / max(sum(areas) - overlap, 1e-9)
