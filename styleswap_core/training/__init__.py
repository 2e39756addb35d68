"""Training: of the generator (`command`, `loop`), and of the small networks of the demo pack."""
