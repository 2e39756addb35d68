"""Training of the regressors that judge pose, expression and gaze: `styleswap train-regressors`."""

from .regressor_command import add_arguments, run

__all__ = ["add_arguments", "run"]
