"""The networks: generator, its parts, its discriminator and their configuration."""

from .inference.baked_generator import BakedGenerator
from .generator_config import PRESETS, GeneratorConfig, preset
from .discriminator import Discriminator
from .inference.frozen import FrozenSynthesis
from .generator import Generator, GeneratorOutput, GeneratorOutputWithLogits
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
