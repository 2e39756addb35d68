"""Training of the small networks that ship with the demo model: detector, recognizer, judges."""
