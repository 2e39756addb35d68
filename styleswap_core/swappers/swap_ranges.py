"""Ranges of what users choose for a swap. Imports no torch, which takes seconds: the parsers of commands need them."""

MAX_STRENGTH = 1.5
"""Largest strength; values above 1 exaggerate what sets the source apart from the target."""

AUTOMATIC = 0
"""Resolution that is chosen from the size of the face in the picture."""

MAX_FACTOR = 8
"""Largest resolution, in multiples of the network's size."""
