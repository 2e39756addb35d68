"""How much memory an inversion takes on its device, for who has to make room before it begins."""

import torch

from ..faces.arcface import TorchRecognizer
from ..model import Generator, GeneratorConfig
from .inversion_settings import InversionSettings

# What the way back holds for a moment beside the maps that are kept, in maps that enter the last convolution: gradients of
# its input and output, and their products. Measured per face, with the demo model 1.5 to 1.9, with the layers of
# released-256 3.1 to 3.3.
_PASSING_MAPS = 3.3
# What is small, and what an allocator leaves unused between its blocks.
_MARGIN = 1.1


def bytes_needed(
    generator: Generator,
    recognizer: TorchRecognizer,
    settings: InversionSettings,
    sources: int,
    guides: int,
    device: torch.device,
) -> int:
    """Bytes on top of both networks that `invert` takes at its peak on a device, in a guided step; rather too many.

    Counted from what objective.py and model/frozen.py keep, and held against the allocator's record by a test: 1.25 times
    the peak with the demo model in float32, 1.18 in bfloat16, 1.09 with the layers of released-256 in bfloat16. That
    gradient checkpointing keeps less is not taken into account.

    Args:
        sources, guides: how many pictures are given.
    """
    config = generator.config
    width = 2 if settings.runs_bf16(device) else 4
    at_once = 1 if settings.low_memory else settings.guide_batch
    per_face = (
        kept_elements(config)
        + _PASSING_MAPS * config.feature_channels(config.size, 0) * config.size**2
        + settings.views * recognizer.map_elements
    )
    # Of each view, float32: the picture again, where its pixels come from (2), and three states of the crop.
    per_view = 3 * config.size**2 + (2 + 3 * 3) * recognizer.input_size**2
    # A weight is kept folded with its style, once for all faces.
    weights = sum(parameter.numel() for parameter in generator.synthesis.parameters())
    needed = width * (at_once * per_face + weights) + 4 * at_once * settings.views * per_view
    if not settings.low_memory:
        faces = sources + settings.guides_wanted(guides)
        attributes = sum(config.channels_at(side) * side**2 for side in config.resolutions)
        # Pictures are float32: the aligned crop of each, and the plain swap onto it.
        needed += faces * (width * attributes + 4 * 2 * 3 * config.size**2)
    return int(_MARGIN * needed)


def kept_elements(config: GeneratorConfig) -> int:
    """Elements per face that `FrozenSynthesis` keeps for the way back: each convolution's output, and it joined by attributes
    where they are (which the next convolution takes in).
    """
    total = 0
    for side in config.resolutions:
        for conv in range(1 if side == 4 else 2):
            joined = config.feature_channels(side, conv) if config.injects(side, conv) else 0
            total += (config.channels_at(side) + joined) * side**2
    return total
