"""The networks: generator, discriminator, their configuration, and the inference forms of the generator."""

from .discriminator import Discriminator
from .generator import Generator
from .generator_config import PRESETS, GeneratorConfig, preset
from .generator_output import GeneratorOutput
from .inference.baked_generator import BakedGenerator, bake
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
    "bake",
    "grow",
    "preset",
    "unmatched",
]
