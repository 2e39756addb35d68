"""Faces followed through the frames of a video: tracks, their steady points, and who each one becomes."""
