"""A face detector for the face world, in the form insightface loads."""

from .command import add_arguments, run
from .config import DetectorConfig
from .loop import DetectorReport, export_detector, train_detector

__all__ = [
    "DetectorConfig",
    "DetectorReport",
    "add_arguments",
    "export_detector",
    "run",
    "train_detector",
]
