"""Memory that an inversion takes on its device, for callers that have to free memory before it starts."""

import torch

from ..faces.arcface import TorchRecognizer
from ..model import Generator, GeneratorConfig
from .inversion_settings import InversionSettings

# Temporary memory of the backward pass (gradients of a convolution's input and output, and their products), in units of
# the feature map that enters the last convolution. Measured per face: 1.5 to 1.9 with the demo model, 3.1 to 3.3 with
# the layers of released-256.
_BACKWARD_MAPS = 3.3
# For small tensors, and for memory that an allocator leaves unused between its blocks.
_MARGIN = 1.1


def bytes_needed(
    generator: Generator,
    recognizer: TorchRecognizer,
    settings: InversionSettings,
    sources: int,
    guides: int,
    device: torch.device,
) -> int:
    """Upper estimate of the peak memory of `invert` in bytes, in a guided step, without the two networks.

    Derived from what `Objective` and `FrozenSynthesis` keep; a test compares it with the allocator's record. It exceeds
    the peak by a factor of 1.25 with the demo model in float32, 1.18 in bfloat16, and 1.09 with the layers of
    released-256 in bfloat16. Savings by gradient checkpointing are not counted.

    Args:
        generator: The generator to invert for.
        recognizer: The recognizer that drives it.
        settings: How the inversion runs.
        sources: Number of source pictures.
        guides: Number of guide pictures that the caller gives.
        device: Where the inversion runs; it decides the precision.
    """
    config = generator.config
    element_bytes = 2 if settings.runs_bf16(device) else 4
    micro_batch = 1 if settings.low_memory else settings.guide_batch
    per_face = (
        _kept_elements(config)
        + _BACKWARD_MAPS * config.feature_channels(config.size, 0) * config.size**2
        + settings.views * recognizer.map_elements
    )
    # float32 per view: a copy of the picture, its sampling coordinates (2 channels), and three states of the crop.
    per_view = 3 * config.size**2 + (2 + 3 * 3) * recognizer.input_size**2
    # Each weight is kept once more, multiplied by its style, for all faces of a batch.
    weights = sum(parameter.numel() for parameter in generator.synthesis.parameters())
    needed = element_bytes * (micro_batch * per_face + weights) + 4 * micro_batch * settings.views * per_view
    if not settings.low_memory:
        faces = sources + settings.guides_wanted(guides)
        attributes = sum(config.channels_at(side) * side**2 for side in config.resolutions)
        # Per face, the aligned crop and the plain-W swap are float32.
        needed += faces * (element_bytes * attributes + 4 * 2 * 3 * config.size**2)
    return int(_MARGIN * needed)


def _kept_elements(config: GeneratorConfig) -> int:
    """Elements per face that `FrozenSynthesis` keeps for the backward pass.

    They are the output of each convolution and, where attributes are injected, its concatenation with them.
    """
    total = 0
    for side in config.resolutions:
        for conv in range(1 if side == 4 else 2):
            joined = config.feature_channels(side, conv) if config.injects(side, conv) else 0
            total += (config.channels_at(side) + joined) * side**2
    return total
