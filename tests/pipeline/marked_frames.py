"""Frames in which faces are marked by single pixels, and a face analysis that finds them."""

import numpy as np
import torch

from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId

SIDE = 40.0
"""Side of the boxes of these faces in pixels."""


class MarkDetector:
    """Face analysis for frames in which a face is a red pixel; a blue one makes it doubtful."""

    recognizer = RecognizerId("known")

    def detect(self, picture, order="largest", embed=True, quick=False):
        found = []
        for y, x in np.argwhere((picture[..., 0] == 255) & (picture[..., 1] == 0)):
            points = template_points("ffhq", 1).numpy() * SIDE + [x - SIDE / 2, y - SIDE / 2]
            box = np.float32([x - SIDE / 2, y - SIDE / 2, x + SIDE / 2, y + SIDE / 2])
            doubt = "points in the wrong order" if picture[y, x, 2] == 255 else ""
            found.append(DetectedFace(0, 0.9, box, points.astype(np.float32), doubtful=doubt))
        return order_faces(found, order)

    def embed(self, picture, points):
        return np.full(512, 512**-0.5, np.float32)

    def landmark_model(self):
        return None


def frames_with(*marks, count=3):
    """Gray noisy frames (count, 80, 120, 3) with faces at (frame, x, y)."""
    generator = torch.Generator().manual_seed(3)
    frames = 0.3 + 0.3 * torch.rand(count, 80, 120, 3, generator=generator)
    for number, x, y, *doubtful in marks:
        frames[number, y, x] = torch.tensor([1.0, 0.0, 1.0 if doubtful else 0.0])
    return (frames * 255).round() / 255
