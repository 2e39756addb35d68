"""Swapping-Guided ID Inversion: optimization of one person's `w_plus` for one generator (StyleSwap, section 3.3).

`invert` turns pictures into an `Identity` that is used like any other; `optimize` does the same on aligned faces.
"""

from .aligned_faces import AlignedFaces, Canceled, align_faces
from .footprint import bytes_needed
from .guides import render_guides
from .inversion_settings import InversionSettings, InversionWeights
from .invert import Inversion, invert
from .optimization import Callbacks, Outcome, Progress, optimize

__all__ = [
    "AlignedFaces",
    "Callbacks",
    "Canceled",
    "Inversion",
    "InversionSettings",
    "InversionWeights",
    "Outcome",
    "Progress",
    "align_faces",
    "bytes_needed",
    "invert",
    "optimize",
    "render_guides",
]
