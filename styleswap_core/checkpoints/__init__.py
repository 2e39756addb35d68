"""Model files of this project, and importers of foreign checkpoints."""

from .native import DEMO_MODEL, load_generator, model_sha256, save_generator

__all__ = ["DEMO_MODEL", "load_generator", "model_sha256", "save_generator"]
