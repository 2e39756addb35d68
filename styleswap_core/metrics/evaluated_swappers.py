"""Swappers under evaluation: the generator alone on aligned crops, or the whole pipeline on whole pictures."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..faces.detected import DetectedFace, FaceAnalyzer
from ..faces.recognizer_id import RecognizerId, check_recognizer
from ..identities.identity import Identity
from ..io.images import from_uint8, to_uint8
from ..model import Generator
from ..pipeline.swapper import Swapper
from ..swappers.styleswap_network import StyleSwapNetwork, required_recognizer
from .identity_similarity import round_to_8_bits
from .synthetic_cases import CaseBatch

# A detection is the true face if the mean distance of its points is below this fraction of the eye-mouth distance.
HIT_RADIUS = 0.25

CaseSwapper = Callable[[CaseBatch, Tensor], tuple[Tensor, Tensor, Tensor]]
"""(batch, embeddings (B, D)) -> results (B, 3, H, W) rounded to 8 bits, masks (B, 1, H, W), face found (B,) bool."""

FaceSwapper = Callable[[np.ndarray, DetectedFace, Identity], np.ndarray]
"""(picture (H, W, 3) uint8 RGB, detected face, identity) -> picture with this face swapped."""


def aligned_swapper(generator: Generator) -> CaseSwapper:
    """Swapper that applies the generator to aligned crops, without detection and pasting."""

    def swap(batch: CaseBatch, id_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = generator(batch.target, id_embedding * generator.config.embedding_norm)
        return round_to_8_bits(output.image), output.mask, torch.ones(len(output.mask), dtype=torch.bool)

    return swap


def pipeline_swapper(generator: Generator, analyzer: FaceAnalyzer) -> CaseSwapper:
    """Swapper that processes whole pictures as users do: detect, align, swap the largest face, paste.

    A largest face that is not the true one counts as not found. Without any face, the result is the target.
    """
    pipeline = Swapper(StyleSwapNetwork(generator, baked=False), analyzer)

    def swap(batch: CaseBatch, id_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        results, masks, found = [], [], []
        for picture, points, embedding in zip(
            to_uint8(batch.target), batch.target_points.cpu(), id_embedding, strict=True
        ):
            faces = analyzer.detect(picture, embed=False)
            result, mask = picture, torch.zeros(picture.shape[:2])
            if faces:
                identity = Identity(embedding, analyzer.recognizer)
                swapped = pipeline.swap_detected(picture, [(faces[0], identity)])
                result, mask = np.asarray(swapped.image), swapped.mask
            results.append(result)
            masks.append(mask[None])
            found.append(bool(faces) and is_hit(faces[0], points.numpy()))
        device = batch.target.device
        return from_uint8(np.stack(results)).to(device), torch.stack(masks).to(device), torch.tensor(found)

    return swap


def face_swapper(generator: Generator, analyzer: FaceAnalyzer) -> FaceSwapper:
    """Swapper for a face that is already detected: align, swap, paste."""
    pipeline = Swapper(StyleSwapNetwork(generator, baked=False), analyzer)

    def swap(picture: np.ndarray, face: DetectedFace, identity: Identity) -> np.ndarray:
        return np.asarray(pipeline.swap_detected(picture, [(face, identity)]).image)

    return swap


def is_hit(face: DetectedFace, points: np.ndarray) -> bool:
    """Whether a detection is the face with the true points (5, 2)."""
    eye_mouth_distance = np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    return bool(np.linalg.norm(face.points - points, axis=1).mean() < HIT_RADIUS * eye_mouth_distance)


def check_pack(generator: Generator, recognizer: RecognizerId) -> None:
    """Check that a generator was trained with the recognizer of a pack.

    Raises:
        StyleSwapError: It was trained with another recognizer.
    """
    advice = "name the pack that belongs to the model with --pack"
    check_recognizer(required_recognizer(generator.config), recognizer, "the pack has", advice)
