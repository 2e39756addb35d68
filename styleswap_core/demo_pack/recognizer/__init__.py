"""Face recognizers for the face world: the demo pack's `arcface`, and the judge."""

from .recognizer_command import add_arguments, run
from .recognizer_config import RecognizerConfig, judge_config
from .recognizer_data import recognizer_window
from .recognizer_training import RecognizerReport, export_recognizer, train_recognizer

__all__ = [
    "RecognizerConfig",
    "RecognizerReport",
    "add_arguments",
    "export_recognizer",
    "judge_config",
    "recognizer_window",
    "run",
    "train_judge",
    "train_recognizer",
]


def train_judge(config: RecognizerConfig) -> RecognizerReport:
    """Train the judge; `config` comes from `judge_config`. The loop is the recognizer's own."""
    return train_recognizer(config)
