"""Swapping-Guided ID Inversion: optimization of one person's code for one network (StyleSwap, section 3.3).

The code is `w_plus` for our generator, and the numbers that enter the network for networks of other programs.

`invert` turns pictures into an `Identity` that is used like any other; `optimize` does the same on aligned faces.
"""

from .aligned_faces import AlignedFaces, Canceled, align_faces
from .footprint import bytes_needed
from .guides import render_guides
from .inversion_settings import InversionSettings, InversionWeights
from .invert import Inversion, invert, invertible
from .invertible import InvertibleNetwork
from .invertible_generator import InvertibleGenerator
from .invertible_guest import InvertibleGuest
from .optimization import Callbacks, Outcome, Progress, optimize

__all__ = [
    "AlignedFaces",
    "Callbacks",
    "Canceled",
    "Inversion",
    "InversionSettings",
    "InversionWeights",
    "InvertibleGenerator",
    "InvertibleGuest",
    "InvertibleNetwork",
    "Outcome",
    "Progress",
    "align_faces",
    "bytes_needed",
    "invert",
    "invertible",
    "optimize",
    "render_guides",
]
