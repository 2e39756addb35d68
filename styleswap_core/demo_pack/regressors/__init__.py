"""Training of the regressors that estimate pose, expression and gaze in evaluation."""

from .regressor_training import RegressorTraining, train_regressors

__all__ = ["RegressorTraining", "train_regressors"]
