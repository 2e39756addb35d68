"""Faces in pictures: detection, choice, alignment to a crop template, recognition."""
