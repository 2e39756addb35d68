"""A swapper for clips without real faces: a face is wherever the test says, and a swap paints it gray."""

import os
import signal
from contextlib import suppress

import numpy as np
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappedCrops

SIDE = 20.0


def vector(seed):
    values = np.random.default_rng(seed).standard_normal(512).astype(np.float32)
    return values / np.linalg.norm(values)


IDENTITY = Identity(torch.from_numpy(vector(0)), RecognizerId("toy"))


def face_at(x, y, side=SIDE, person=1, score=0.9):
    """A face whose aligned crop is the square of that side around (x, y)."""
    corner = np.float32([x - side / 2, y - side / 2])
    points = template_points("ffhq", 1).numpy() * side + corner
    return DetectedFace(0, score, np.float32([*corner, *(corner + side)]), points.astype(np.float32), vector(person))


class Finder:
    """Face analysis that finds a face in the middle of every picture, or what `faces` says for each call."""

    recognizer = RecognizerId("toy")

    def __init__(self, faces=None):
        self.faces = faces
        self.pictures = []

    def detect(self, picture, order="largest", embed=True, quick=False):
        number = len(self.pictures)
        self.pictures.append(picture.shape)
        height, width = picture.shape[:2]
        found = [face_at(width / 2, height / 2)] if self.faces is None else self.faces(number)
        return order_faces(found, order)

    def embed(self, picture, points):
        return vector(2)


class Painter:
    """Swapping network that paints a face light gray, apart from a border of the crop."""

    name, template, has_mask, phased, device = "painter", "ffhq", True, False, torch.device("cpu")
    recognizer, sha256, size = RecognizerId(""), "", 32

    def notice(self, rendered=False):
        return None

    def check(self, identity):
        pass

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        return SwappedCrops(torch.full_like(crops, 0.75), torch.ones_like(crops[:, :1]))


class Dying(Painter):
    """Kills its process with its first calls, as often as a folder holds files; each death takes one of them away."""

    def __init__(self, folder):
        self.folder = folder

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        for life in self.folder.iterdir():
            # Another process may have taken it.
            with suppress(FileNotFoundError):
                life.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().swap_crops(crops, identities, own_embeddings, strength)


class Failing(Painter):
    """Fails with a message for users."""

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        raise StyleSwapError("expected another network, got this one; use the other")


class Fixed(Finder):
    """Finds a face at the same place in every picture, and counts nothing, so that it can be sent to workers."""

    def detect(self, picture, order="largest", embed=True, quick=False):
        return [face_at(34, 26)]


def toy_swapper(faces=None):
    return Swapper(Painter(), Finder(faces))
