"""Options for swapping a face. Does not import torch, so that the parsers of commands may import it."""

from dataclasses import dataclass

from ..swappers.swap_ranges import AUTOMATIC

MAX_SHARE = 0.3
"""Largest `mask_padding` and `mask_edge`."""


@dataclass(frozen=True)
class SwapOptions:
    """Options for swapping a face.

    Attributes:
        strength: 1 applies the identity of the source, 0 that of the target itself (the face as reconstructed by the
            network); values between interpolate, values up to 1.5 exaggerate. Unless it is 1, the face analysis must
            have the recognizer that made the identity.
        mask_grow: Pixels of the aligned crop by which the swapped region grows; negative values shrink it.
        mask_feather: Pixels of the aligned crop over which the edge of the region is feathered.
        batch_size: Maximum number of faces that run through the network together.
        resolution: Size of the aligned crop in multiples of the network's size, 1 to 8 (see `swappers.phases`); 0
            chooses it from the size of the face in the picture.
        mask_padding: Fraction of the crop's side by which the region is kept away from the crop's border, 0 to 0.3.
        mask_edge: Fraction of the crop's side over which its edge is softened inward, 0 to 0.3. Like `mask_padding` it
            gives the same result in the picture for crops of all sizes.
        swap_doubtful: Whether to swap faces whose points are implausible, too.
    """

    strength: float = 1.0
    mask_grow: int = 0
    mask_feather: float = 0.0
    batch_size: int = 8
    resolution: int = AUTOMATIC
    mask_padding: float = 0.0
    mask_edge: float = 0.0
    swap_doubtful: bool = False
