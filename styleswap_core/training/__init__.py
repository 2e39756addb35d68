"""Training of the generator: configuration, data sources, losses, optimization, checkpoints."""
