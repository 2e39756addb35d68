"""Identities for the tests of this folder."""

import numpy as np
import torch

from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity


def vector(seed, near=None, distance=0.5):
    """A random unit vector (512,), or one at a distance from `near`."""
    noise = np.random.default_rng(seed).standard_normal(512).astype(np.float32)
    noise /= np.linalg.norm(noise)
    mixed = noise if near is None else near + distance * noise
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def identity(seed=0, recognizer="w600k_r50", sha="a" * 64, **more):
    """An identity with a random embedding."""
    return Identity(torch.from_numpy(vector(seed)), RecognizerId(recognizer, sha), **more)
