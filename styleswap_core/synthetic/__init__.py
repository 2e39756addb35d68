"""The face world: a procedural renderer of faces with exact ground truth, including the exact swap."""
