"""Masks of faces in aligned crops, for networks that have none and for training sets."""
