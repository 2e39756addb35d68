"""The face world: procedural faces with exact ground truth, and with the exact swap."""
