"""A face detector for the face world, in the form insightface loads."""

from .detector_command import add_arguments, run
from .detector_config import DetectorConfig
from .detector_training import DetectorReport, export_detector, train_detector

__all__ = [
    "DetectorConfig",
    "DetectorReport",
    "add_arguments",
    "export_detector",
    "run",
    "train_detector",
]
