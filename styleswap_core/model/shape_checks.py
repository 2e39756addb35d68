"""Checks of the tensors that callers pass to a generator."""

from torch import Tensor

from ..errors import StyleSwapError
from .generator_config import GeneratorConfig


def check_aligned_crop(config: GeneratorConfig, aligned_crop: Tensor) -> None:
    """Check that aligned_crop is (B, 3, S, S).

    Raises:
        StyleSwapError: It has another shape.
    """
    size = config.size
    if aligned_crop.ndim != 4 or tuple(aligned_crop.shape[1:]) != (3, size, size):
        raise StyleSwapError(
            f"aligned_crop must have shape (batch, 3, {size}, {size}); got {tuple(aligned_crop.shape)}; "
            f"crop the face with the {config.template!r} template at {size} px"
        )
