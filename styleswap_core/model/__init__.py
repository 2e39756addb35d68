"""The networks: generator, its parts, its discriminator and their configuration."""

from .baked import BakedGenerator
from .config import PRESETS, GeneratorConfig, preset
from .discriminator import Discriminator
from .frozen import FrozenSynthesis
from .generator import Generator, GeneratorOutput, GeneratorOutputWithLogits
from .growth import grow, unmatched

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
