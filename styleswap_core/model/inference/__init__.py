"""Inference forms of the generator: baked for one identity, or frozen for inversion."""
