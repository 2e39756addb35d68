"""Training of the demo pack's face detector, an ONNX file that insightface loads."""

from .detector_config import DetectorConfig
from .detector_training import DetectorReport, export_detector, train_detector

__all__ = ["DetectorConfig", "DetectorReport", "export_detector", "train_detector"]
