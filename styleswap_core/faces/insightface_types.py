"""Interfaces of insightface's objects, which come without type information, as far as this package uses them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np


class SessionInput(Protocol):
    """Input of an ONNX Runtime session; free dimensions are names or None."""

    shape: Sequence[int | str | None]
    type: str


class Session(Protocol):
    """ONNX Runtime's `InferenceSession`."""

    def get_inputs(self) -> Sequence[SessionInput]:
        """The inputs of the graph."""
        ...

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, np.ndarray]) -> Sequence[Any]:
        """The named outputs of a run."""
        ...

    def get_providers(self) -> list[str]:
        """Names of the execution providers in use."""
        ...


class DetectorNetwork(Protocol):
    """A face detector, such as SCRFD."""

    session: Session

    def detect(self, img: np.ndarray, input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Boxes with scores (N, 5) and points (N, 5, 2) of a BGR picture."""
        ...


class RecognizerNetwork(Protocol):
    """insightface's `ArcFaceONNX`."""

    model_file: str
    input_size: tuple[int, int]
    input_mean: float
    input_std: float
    output_shape: Sequence[int | str | None]

    def get_feat(self, imgs: np.ndarray) -> np.ndarray:
        """Embedding (1, D) of a BGR crop."""
        ...


class LandmarkNetwork(Protocol):
    """insightface's `Landmark`."""

    def get(self, img: np.ndarray, face: object) -> np.ndarray:
        """Landmarks of a `Face` in a BGR picture."""
        ...


@runtime_checkable
class FaceAnalysis(Protocol):
    """insightface's `FaceAnalysis`."""

    det_model: DetectorNetwork
    models: Mapping[str, Any]  # by task; classes without a common base

    def prepare(self, ctx_id: int, det_thresh: float = 0.5, det_size: tuple[int, int] = (640, 640)) -> None:
        """Set the device, the detection threshold and the detection size."""
        ...
