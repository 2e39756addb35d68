"""Swapping of detected faces: cut aligned crops, run the network, shape the mask, paste.

The pipeline's steps after detection, for any number of faces in any number of pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..compositing.canvas import Canvas
from ..compositing.mask_shaping import feather_mask, grow_mask, layer_for_mask
from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, matrix_scale, template_points
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from ..swappers.network import SwappingNetwork
from .results import SwappedFace


@dataclass(frozen=True)
class SwapOptions:
    """Options for swapping a face.

    Attributes:
        strength: 1 applies the identity of the source, 0 that of the target itself (the face as reconstructed by the
            network); values between interpolate. Below 1, the face analysis must have the recognizer that made the
            identity.
        mask_grow: Pixels of the aligned crop by which the swapped region grows; negative values shrink it.
        mask_feather: Pixels of the aligned crop over which the edge of the region is feathered.
        batch_size: Maximum number of faces that run through the network together.
    """

    strength: float = 1.0
    mask_grow: int = 0
    mask_feather: float = 0.0
    batch_size: int = 8


@dataclass(frozen=True, eq=False)
class FaceJob:
    """A face in one of the canvas's pictures, and the identity that it gets."""

    picture: int
    face: DetectedFace
    identity: Identity


@torch.no_grad()
def swap_jobs(
    canvas: Canvas,
    jobs: Sequence[FaceJob],
    model: SwappingNetwork,
    analysis: FaceAnalyzer,
    options: SwapOptions,
    crop_device: torch.device | str,
) -> torch.Tensor:
    """Swap faces and paste them into the results of the canvas, `options.batch_size` at a time.

    Args:
        canvas: Holds the pictures that the jobs refer to.
        jobs: Faces to swap.
        model: The swapping network.
        analysis: Embeds the target faces if `options.strength` is below 1.
        options: Strength, mask and batch size.
        crop_device: Device on which crops are cut and pasted, ideally that of the network.

    Returns:
        (len(jobs), 3, S, S) float32, -1..1, on the CPU: the swapped aligned crops in the order of the jobs.
    """
    if not jobs:
        return torch.zeros(0, 3, model.size, model.size)
    matrices = crop_matrices([job.face for job in jobs], model.template, model.size)
    swapped = []
    for start in range(0, len(jobs), options.batch_size):
        part = jobs[start : start + options.batch_size]
        pictures, part_matrices = [job.picture for job in part], matrices[start : start + len(part)]
        crops = canvas.read_crops(pictures, part_matrices, model.size, crop_device)
        own = None if options.strength == 1.0 else _own_embeddings(canvas, analysis, part)
        output = model.swap_crops(crops, [job.identity for job in part], own, options.strength)
        rgb, mask, crops = output.rgb.float(), output.mask.float(), crops.to(output.rgb.device)
        wanted = feather_mask(grow_mask(mask, options.mask_grow), options.mask_feather)
        layers = layer_for_mask(rgb, crops, mask, wanted)
        canvas.paste(pictures, layers, wanted, part_matrices)
        swapped.append(torch.lerp(crops, layers, wanted).clamp(-1.0, 1.0).cpu())
    return torch.cat(swapped)


def crop_matrices(faces: Sequence[DetectedFace], template: str, size: int) -> torch.Tensor:
    """Matrices (len(faces), 2, 3), picture -> aligned crop of `size` pixels, for a crop template."""
    points = torch.from_numpy(np.stack([face.points for face in faces])).float()
    return estimate_similarity(points, template_points(template, size))


def report_face(
    canvas: Canvas, analysis: FaceAnalyzer, job: FaceJob, model: SwappingNetwork, frame: int, measure: bool
) -> SwappedFace:
    """Report on a face after `swap_jobs`.

    Args:
        canvas: Holds the target and the result.
        analysis: Computes the embeddings to compare.
        job: The face.
        model: The network that swapped it.
        frame: Number of its frame.
        measure: Whether to measure the similarity to the source before and after, at two runs of the recognizer.
    """
    before = after = None
    if measure and job.identity.recognizer.matches(analysis.recognizer):
        source = job.identity.id_embedding.numpy()
        before = float(_own_embedding(canvas, analysis, job) @ source)
        after = float(analysis.embed(canvas.pixels(job.picture, result=True), job.face.points) @ source)
    matrix = crop_matrices([job.face], model.template, model.size)
    return SwappedFace(frame, job.face, matrix[0], float(matrix_scale(matrix)), before, after)


def check_strength(strength: float, analysis: FaceAnalyzer, identity: Identity) -> None:
    """Check a strength.

    Raises:
        StyleSwapError: It is out of range, or requires embeddings that the face analysis cannot compute.
    """
    if not 0.0 <= strength <= 1.0:
        raise StyleSwapError(f"expected a strength from 0 to 1, got {strength}")
    if strength < 1.0 and not identity.recognizer.matches(analysis.recognizer):
        raise StyleSwapError(
            f"a strength below 1 needs the recognizer that made the identity ({identity.recognizer}), but the face"
            f" analysis has {analysis.recognizer}; use the face analysis that the identity was extracted with"
        )


def _own_embeddings(canvas: Canvas, analysis: FaceAnalyzer, jobs: Sequence[FaceJob]) -> torch.Tensor:
    """Embeddings (len(jobs), 512) of the target faces."""
    return torch.from_numpy(np.stack([_own_embedding(canvas, analysis, job) for job in jobs])).float()


def _own_embedding(canvas: Canvas, analysis: FaceAnalyzer, job: FaceJob) -> np.ndarray:
    known = job.face.id_embedding
    return analysis.embed(canvas.pixels(job.picture), job.face.points) if known is None else known
