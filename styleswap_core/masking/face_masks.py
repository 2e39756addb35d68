"""Masks of the faces in aligned crops, combined from the networks and outlines that a user chooses.

OpenCV and ONNX Runtime are imported only when a mask is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..compositing.mask_shaping import resize_mask, soften_inward
from ..errors import StyleSwapError
from ..io.images import to_uint8
from .regions import OUTLINES, SWAPPED, parse_regions

if TYPE_CHECKING:
    from ..faces.landmarks import LandmarkModel
    from .face_parsing import FaceParser
    from .mask_network import MaskNetwork
    from .occlusion import OcclusionNetwork

EDGE = 0.04
"""Width of the soft edge of these masks, as a fraction of the crop's side; published programs use about as much."""

# Masks have this size, whatever that of the crop, so that all sizes have the same mask.
_SIDE = 256


@dataclass(frozen=True, eq=False)
class FaceMasks:
    """Masks of aligned crops.

    The mask of a crop starts from that of the swapping network; if it has none, from face parsing; without a parsing
    network, from the hull of dense landmarks; without those, from five points and colors. It is then limited by
    everything that the user chose: face parsing, a part of the outline, and an occlusion network.

    Attributes:
        parsing: Network that tells the regions of a face apart.
        occlusion: Network that tells a face from what covers it, such as hands, hair or glasses.
        outline: One of OUTLINES.
        landmark_model: Returns the model of dense landmarks, or None if there is none; called when a mask needs them.

    Raises:
        StyleSwapError: An unknown outline.
    """

    parsing: "FaceParser | None" = None
    occlusion: "OcclusionNetwork | None" = None
    outline: str = "automatic"
    landmark_model: "Callable[[], LandmarkModel | None] | None" = None

    def __post_init__(self) -> None:
        if self.outline not in OUTLINES:
            raise StyleSwapError(f"expected an outline out of {', '.join(OUTLINES)}, got {self.outline!r}")

    def with_landmarks(self, landmark_model: "Callable[[], LandmarkModel | None]") -> "FaceMasks":
        """The same masks with a source of dense landmarks, if they have none."""
        return self if self.landmark_model is not None else replace(self, landmark_model=landmark_model)

    def networks(self) -> "list[MaskNetwork]":
        """The networks that are in use."""
        return [one.network for one in (self.parsing, self.occlusion) if one is not None]

    @property
    def fingerprint(self) -> str:
        """Text that tells these masks from others; the model of landmarks belongs to the face analysis."""
        networks = (None if one is None else one.fingerprint for one in (self.parsing, self.occlusion))
        return " ".join([*map(str, networks), self.outline])

    def mask(self, crops: Tensor, points: Tensor, own: Tensor | None) -> Tensor:
        """Masks of aligned crops.

        Args:
            crops: (B, 3, S, S), -1..1: the target's.
            points: (B, 5, 2), the five points in crop pixels.
            own: (B, 1, S, S), 0..1: the swapping network's masks; None if it has none.

        Returns:
            (B, 1, S, S), 0..1, on the device of the crops.
        """
        made = self._made(crops, points, own is None)
        if made is None:
            return torch.ones_like(crops[:, :1]) if own is None else own
        made = resize_mask(made, crops.shape[-1]).to(crops)
        return made if own is None else torch.minimum(own, made.to(own))

    def _made(self, crops: Tensor, points: Tensor, base: bool) -> Tensor | None:
        """Minimum of the masks (B, 1, _SIDE, _SIDE) that apply; None if there are none.

        Args:
            crops: (B, 3, S, S), -1..1.
            points: (B, 5, 2), crop pixels.
            base: Whether the network has no mask, so that one has to be made.
        """
        part = self.outline if self.outline != "automatic" else "whole" if base and self.parsing is None else None
        if part is None and self.parsing is None and self.occlusion is None:
            return None
        crops, points = crops.detach().cpu(), points.detach().cpu().double() * (_SIDE / crops.shape[-1])
        # Networks get the crops as they are: a crop reduced to _SIDE would lose details that they could see.
        full, sized = to_uint8(crops), to_uint8(_sized(crops))
        rows = []
        for crop, small, five in zip(full, sized, points.numpy(), strict=True):
            masks = [network.mask(crop, _SIDE) for network in (self.parsing, self.occlusion) if network is not None]
            if part is not None:
                masks.append(self._outline(small, five, part))
            rows.append(torch.from_numpy(np.stack(masks)).float() / 255)
        stacked = torch.stack(rows)  # (B, masks, _SIDE, _SIDE)
        # Each is softened apart, since the corner between two of them should stay soft too.
        softened = soften_inward(stacked.flatten(0, 1)[:, None], EDGE)
        return softened.view_as(stacked).amin(1, keepdim=True)

    def _outline(self, crop: np.ndarray, points: np.ndarray, part: str) -> np.ndarray:
        from .outlines import outline_mask

        return outline_mask(crop, points, self.landmarks(crop, points), part)

    def landmarks(self, crop: np.ndarray, points: np.ndarray) -> np.ndarray | None:
        """Dense landmarks (N, 2) of a crop (S, S, 3) uint8 RGB with five points (5, 2); None without a model."""
        from .head import FACE, fit_head

        model = self.landmark_model() if self.landmark_model is not None else None
        if model is None:
            return None
        outline = fit_head(points).outline(FACE)
        return model.read(crop, np.concatenate([outline.min(0), outline.max(0)])).points[:, :2]


def load_face_masks(
    parsing: str | Path | None = None,
    regions: str = SWAPPED,
    occlusion: str | Path | None = None,
    outline: str = OUTLINES[0],
    device: torch.device | str | None = None,
) -> FaceMasks:
    """Masks for a `Swapper`; the options are those of the node Load Face Masks and of `styleswap swap`.

    Args:
        parsing: ONNX file of a face parsing network, such as bisenet_resnet_34.onnx.
        regions: For parsing: the regions to swap, see `regions.parse_regions`.
        occlusion: ONNX file of an occlusion network, such as xseg_1.onnx.
        outline: One of OUTLINES.
        device: Where the networks run; by default CUDA if ONNX Runtime has it, otherwise the CPU.

    Raises:
        StyleSwapError: A file is missing, damaged or no such network, or does not have the regions.
    """
    from .face_parsing import FaceParser
    from .occlusion import OcclusionNetwork

    place = None if device is None else torch.device(device)
    chosen = parse_regions(regions)
    return FaceMasks(
        None if parsing is None else FaceParser(parsing, chosen, place),
        None if occlusion is None else OcclusionNetwork(occlusion, place),
        outline,
    )


def _sized(crops: Tensor) -> Tensor:
    """Crops (B, 3, S, S) at the size of their masks."""
    if crops.shape[-1] == _SIDE:
        return crops
    return torch.nn.functional.interpolate(
        crops.float(), (_SIDE, _SIDE), mode="bilinear", align_corners=False, antialias=True
    )
