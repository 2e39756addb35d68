"""Swapping of faces in video files, as a stream of any length."""
