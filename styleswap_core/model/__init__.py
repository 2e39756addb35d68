"""The networks: generator, its parts, its discriminator and their configuration."""

from .discriminator import Discriminator
from .generator import Generator, GeneratorOutput, GeneratorOutputWithLogits
from .generator_config import PRESETS, GeneratorConfig, preset
from .inference.baked_generator import BakedGenerator
from .inference.frozen import FrozenSynthesis
from .progressive_growing import grow, unmatched

__all__ = [
    "PRESETS",
    "BakedGenerator",
    "Discriminator",
    "FrozenSynthesis",
    "Generator",
    "GeneratorConfig",
    "GeneratorOutput",
    "GeneratorOutputWithLogits",
    "grow",
    "preset",
    "unmatched",
]
