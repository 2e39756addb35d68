"""Frames in which textured patches move: faces for a tracker without a detector."""

import cv2
import numpy as np

from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.tracking.face_tracker import Frame

SIZE = (240, 320)


def texture(seed, side=160, blur=2.0):
    random = np.random.default_rng(seed).integers(0, 256, (side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(random, (0, 0), blur)
    return cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def vector(seed):
    values = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    return values / np.linalg.norm(values)


class Actor:
    """A face at `place(frame)` = (x, y, side, degrees), or None where it is not seen."""

    def __init__(self, person, place):
        self.person, self.place, self.patch = person, place, texture(person)

    def matrix(self, frame):
        x, y, side, angle = self.place(frame)
        turn = cv2.getRotationMatrix2D((80, 80), angle, side / 160)
        turn[:, 2] += [x - 80, y - 80]
        return turn

    def points(self, frame):
        turn = self.matrix(frame)
        return (template_points("ffhq", 160).numpy() * 0.7 + 24) @ turn[:, :2].T + turn[:, 2]

    def face(self, frame, noise, embed):
        x, y, side, _ = self.place(frame)
        box = np.float32([x - side * 0.35, y - side * 0.35, x + side * 0.35, y + side * 0.35])
        points = (self.points(frame) + noise).astype(np.float32)
        return DetectedFace(0, 0.9, box, points, vector(self.person) if embed else None)


class Scene:
    """Frames with actors before a background; counts the detections."""

    def __init__(self, actors, noise=0.0, background=lambda frame: 1000, hidden=lambda person, frame: False):
        self.actors, self.noise, self.background, self.hidden = actors, noise, background, hidden
        self.random = np.random.default_rng(0)
        self.detected = []

    def seen(self, frame):
        return [one for one in self.actors if one.place(frame) is not None]

    def gray(self, frame):
        picture = texture(self.background(frame), SIZE[1], 12.0)[: SIZE[0]].copy()
        for actor in self.seen(frame):
            turn = actor.matrix(frame)
            patch = cv2.warpAffine(actor.patch, turn, SIZE[::-1], flags=cv2.INTER_LINEAR)
            mask = cv2.warpAffine(np.full_like(actor.patch, 255), turn, SIZE[::-1], flags=cv2.INTER_NEAREST)
            picture[mask > 0] = patch[mask > 0]
        return picture

    def frame(self, number):
        def detect(embed):
            self.detected.append(number)
            faces = [
                one.face(number, self.random.normal(0, self.noise, (5, 2)), embed)
                for one in self.seen(number)
                if not self.hidden(one.person, number)
            ]
            return order_faces(faces)

        return Frame(self.gray(number), detect)
