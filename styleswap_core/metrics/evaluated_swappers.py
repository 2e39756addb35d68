"""Swappers under evaluation: the network alone on aligned crops, or the whole pipeline on whole pictures."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..faces.detected import DetectedFace, FaceAnalyzer
from ..faces.recognizer_id import RecognizerId, check_recognizer
from ..identities.identity import Identity
from ..io.images import from_uint8, to_uint8
from ..model.generator_output import composite
from ..pipeline.swapper import Swapper
from ..swappers.guest_families import Source
from ..swappers.guest_network import GuestNetwork
from ..swappers.network import SwappingNetwork
from .identity_similarity import round_to_8_bits
from .synthetic_cases import CaseBatch

# A detection is the true face if the mean distance of its points is below this fraction of the eye-mouth distance.
HIT_RADIUS = 0.25

CaseSwapper = Callable[[CaseBatch, Sequence[Identity]], tuple[Tensor, Tensor, Tensor]]
"""(batch, B identities) -> results (B, 3, H, W) rounded to 8 bits, masks (B, 1, H, W), face found (B,) bool."""

FaceSwapper = Callable[[np.ndarray, DetectedFace, Identity], np.ndarray]
"""(picture (H, W, 3) uint8 RGB, detected face, identity) -> picture with this face swapped."""


def aligned_swapper(network: SwappingNetwork) -> CaseSwapper:
    """Swapper that applies the network to aligned crops, without detection and pasting."""

    def swap(batch: CaseBatch, identities: Sequence[Identity]) -> tuple[Tensor, Tensor, Tensor]:
        rgb, mask = network.swap_crops(batch.target, identities)
        image = composite(rgb, mask, batch.target)
        return round_to_8_bits(image), mask, torch.ones(len(mask), dtype=torch.bool)

    return swap


def pipeline_swapper(network: SwappingNetwork, analyzer: FaceAnalyzer) -> CaseSwapper:
    """Swapper that processes whole pictures as users do: detect, align, swap the largest face, paste.

    A largest face that is not the true one counts as not found. Without any face, the result is the target.
    """
    pipeline = Swapper(network, analyzer)

    def swap(batch: CaseBatch, identities: Sequence[Identity]) -> tuple[Tensor, Tensor, Tensor]:
        results, masks, found = [], [], []
        for picture, points, identity in zip(
            to_uint8(batch.target), batch.target_points.cpu(), identities, strict=True
        ):
            faces = analyzer.detect(picture, embed=False)
            result, mask = picture, torch.zeros(picture.shape[:2])
            if faces:
                swapped = pipeline.swap_detected(picture, [(faces[0], identity)])
                result, mask = np.asarray(swapped.image), swapped.mask
            results.append(result)
            masks.append(mask[None])
            found.append(bool(faces) and is_hit(faces[0].points, points.numpy()))
        device = batch.target.device
        return from_uint8(np.stack(results)).to(device), torch.stack(masks).to(device), torch.tensor(found)

    return swap


def face_swapper(network: SwappingNetwork, analyzer: FaceAnalyzer) -> FaceSwapper:
    """Swapper for a face that is already detected: align, swap, paste."""
    pipeline = Swapper(network, analyzer)

    def swap(picture: np.ndarray, face: DetectedFace, identity: Identity) -> np.ndarray:
        return np.asarray(pipeline.swap_detected(picture, [(face, identity)]).image)

    return swap


def is_hit(points: np.ndarray, truth: np.ndarray, radius: float = HIT_RADIUS) -> bool:
    """Whether detected points (5, 2) are those of the face with the true points (5, 2)."""
    eye_mouth_distance = np.linalg.norm(truth[:2].mean(axis=0) - truth[3:].mean(axis=0))
    return bool(np.linalg.norm(points - truth, axis=1).mean() < radius * eye_mouth_distance)


def takes_portrait(network: SwappingNetwork) -> bool:
    """Whether a network takes a picture of the source person instead of an embedding."""
    return isinstance(network, GuestNetwork) and network.family.source is Source.PORTRAIT


def check_pack(network: SwappingNetwork, recognizer: RecognizerId) -> None:
    """Check that a network was trained with the recognizer of a pack.

    Raises:
        StyleSwapError: It was trained with another recognizer.
    """
    advice = "name the pack that belongs to the model with --pack"
    check_recognizer(network.recognizer, recognizer, "the pack has", advice)
