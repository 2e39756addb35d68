"""Model files: this project's own format."""

from .native import DEMO_MODEL, load_generator, model_sha256, save_generator

__all__ = ["DEMO_MODEL", "load_generator", "model_sha256", "save_generator"]
