"""Training of the demo pack's face recognizer and of the judge, ONNX files that insightface loads."""

from .recognizer_config import RecognizerConfig, judge_config
from .recognizer_data import recognizer_window
from .recognizer_training import RecognizerReport, export_recognizer, train_recognizer

__all__ = [
    "RecognizerConfig",
    "RecognizerReport",
    "export_recognizer",
    "judge_config",
    "recognizer_window",
    "train_recognizer",
]
