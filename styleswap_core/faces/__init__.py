"""Faces in pictures: detection, alignment to a generator's template, recognition."""
