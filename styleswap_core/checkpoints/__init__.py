"""Model files: the project's own format."""

from .native import load_generator, model_sha256, save_generator

__all__ = ["load_generator", "model_sha256", "save_generator"]
