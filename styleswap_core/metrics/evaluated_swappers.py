"""What a suite judges: the generator alone on aligned crops, or the whole pipeline on whole pictures."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..faces.detected import DetectedFace, FaceAnalyzer
from ..faces.recognizer_id import RecognizerId, check_recognizer
from ..identities.identity import Identity
from ..io.images import from_uint8, to_uint8
from ..model import Generator
from ..pipeline.swapper import Swapper as Pipeline
from ..swappers.styleswap_network import StyleSwapNetwork, required_recognizer
from .identity_similarity import eight_bit
from .synthetic_cases import CaseBatch

# A detection is the face if its points lie this near the true ones, in mean, as a share of the eye-mouth distance.
HIT_RADIUS = 0.25

# (batch, id_embedding (B,D)) -> result (B,3,H,W) of 8-bit values, mask (B,1,H,W), face found (B,) bool
Swapper = Callable[[CaseBatch, Tensor], tuple[Tensor, Tensor, Tensor]]

# (picture (H,W,3) uint8 RGB, its face, identity) -> the picture with the face swapped
FaceSwapper = Callable[[np.ndarray, DetectedFace, Identity], np.ndarray]


def aligned_swapper(generator: Generator) -> Swapper:
    """The generator alone, on aligned crops."""

    def swap(batch: CaseBatch, id_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = generator(batch.target, id_embedding * generator.config.embedding_norm)
        return eight_bit(output.image), output.mask, torch.ones(len(output.mask), dtype=torch.bool)

    return swap


def pipeline_swapper(generator: Generator, analyzer: FaceAnalyzer) -> Swapper:
    """The program as users run it: detect, align, swap the largest face, paste back.

    Where the largest face is not the true one it counts as not found; where there is none the target stays.
    """
    pipeline = Pipeline(StyleSwapNetwork(generator, baked=False), analyzer)

    def swap(batch: CaseBatch, id_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        results, masks, found = [], [], []
        for picture, points, embedding in zip(
            to_uint8(batch.target), batch.target_points.cpu(), id_embedding, strict=True
        ):
            faces = analyzer.detect(picture)
            result, mask = picture, torch.zeros(picture.shape[:2])
            if faces:
                identity = Identity(embedding, analyzer.recognizer)
                swapped = pipeline.swap(picture, identity)
                result, mask = np.asarray(swapped.image), swapped.mask
            results.append(result)
            masks.append(mask[None])
            found.append(bool(faces) and is_hit(faces[0], points.numpy()))
        device = batch.target.device
        return from_uint8(np.stack(results)).to(device), torch.stack(masks).to(device), torch.tensor(found)

    return swap


def face_swapper(generator: Generator, analyzer: FaceAnalyzer) -> FaceSwapper:
    """The program as users run it, on a face that is found already: align, swap, paste back."""
    pipeline = Pipeline(StyleSwapNetwork(generator, baked=False), analyzer)

    def swap(picture: np.ndarray, face: DetectedFace, identity: Identity) -> np.ndarray:
        return np.asarray(pipeline.swap_detected(picture, [(face, identity)]).image)

    return swap


def is_hit(face: DetectedFace, points: np.ndarray) -> bool:
    """Whether a detection is the face whose true points (5,2) are given."""
    size = np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    return bool(np.linalg.norm(face.points - points, axis=1).mean() < HIT_RADIUS * size)


def check_pack(generator: Generator, recognizer: RecognizerId) -> None:
    """Check that a generator was trained with a pack's recognizer.

    Raises:
        StyleSwapError: It was trained with another.
    """
    advice = "name the pack that belongs to the model with --pack"
    check_recognizer(required_recognizer(generator.config), recognizer, "the pack has", advice)
