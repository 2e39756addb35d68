"""Swapping-Guided ID Inversion (StyleSwap, Xu et al., ECCV 2022; method.md 3.3): one person's `w_plus`, by optimisation.

`invert` goes from pictures to an `Identity` that is used like any other; `optimise` is the same on aligned faces.
"""

from .aligned_faces import AlignedFaces, Cancelled, align_faces
from .footprint import bytes_needed
from .guides import render_guides
from .invert import Inversion, invert
from .optimization import Callbacks, Outcome, Progress, optimise
from .inversion_settings import InversionSettings, InversionWeights

__all__ = [
    "AlignedFaces",
    "Callbacks",
    "Cancelled",
    "Inversion",
    "InversionSettings",
    "InversionWeights",
    "Outcome",
    "Progress",
    "align_faces",
    "bytes_needed",
    "invert",
    "optimise",
    "render_guides",
]
