"""Swapping of detected faces: cut aligned crops, run the network, shape the mask, paste.

The pipeline's steps after detection, for any number of faces in any number of pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..compositing.canvas import Canvas
from ..compositing.mask_shaping import feather_mask, grow_mask, inset_mask, layer_for_mask, soften_inward
from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, matrix_scale, template_points, transform_points
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from ..masking.face_masks import FaceMasks
from ..swappers.network import SwappingNetwork
from ..swappers.phases import check_resolution, resolution_factor, swap_at
from ..swappers.swap_ranges import MAX_STRENGTH
from .results import SwappedFace
from .swap_options import MAX_SHARE, SwapOptions


@dataclass(frozen=True, eq=False)
class FaceJob:
    """A face in one of the canvas's pictures, and the identity that it gets."""

    picture: int
    face: DetectedFace
    identity: Identity


@dataclass(eq=False)
class RenderedPart:
    """N faces of one resolution that ran through the network together, before they are pasted.

    Attributes:
        rows: Positions of their jobs.
        pictures: Indices of their pictures in the canvas.
        matrices: (N, 2, 3), picture -> aligned crop.
        crops: (N, 3, k S, k S), -1..1, the targets' crops.
        rgb: (N, 3, k S, k S), -1..1, what the network made.
        own_mask: (N, 1, k S, k S), 0..1, the network's mask.
        mask: (N, 1, k S, k S), 0..1, the mask to blend with.
    """

    rows: list[int]
    pictures: list[int]
    matrices: torch.Tensor
    crops: torch.Tensor
    rgb: torch.Tensor
    own_mask: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, eq=False)
class FaceRenderer:
    """Runs detected faces through a swapping network.

    Attributes:
        model: The swapping network.
        analysis: Embeds the target faces if the strength is not 1, and measures similarities.
        crop_device: Device on which crops are cut and pasted, ideally that of the network.
        masks: Masks beside that of the network.
    """

    model: SwappingNetwork
    analysis: FaceAnalyzer
    crop_device: torch.device | str
    masks: FaceMasks | None = None

    def swap(self, canvas: Canvas, jobs: Sequence[FaceJob], options: SwapOptions) -> list[torch.Tensor]:
        """Swap faces and paste them into the results of the canvas, `options.batch_size` at a time.

        Args:
            canvas: Holds the pictures that the jobs refer to.
            jobs: Faces to swap.
            options: Strength, resolution, mask and batch size.

        Returns:
            The swapped aligned crops in the order of the jobs, each (3, k S, k S) float32, -1..1, on the CPU, for the
            resolution k of that face.
        """
        parts = self.render(canvas, jobs, options)
        swapped = {row: crop for part in parts for row, crop in zip(part.rows, paste_part(canvas, part), strict=True)}
        return [swapped[row] for row in range(len(jobs))]

    @torch.no_grad()
    def render(self, canvas: Canvas, jobs: Sequence[FaceJob], options: SwapOptions) -> Iterator[RenderedPart]:
        """Run faces through the network, `options.batch_size` at a time; arguments as for `swap`."""
        factors = [resolution_of(job.face, self.model, options) for job in jobs]
        for factor in sorted(set(factors)):
            rows = [row for row, own in enumerate(factors) if own == factor]
            for start in range(0, len(rows), options.batch_size):
                yield self._render_part(canvas, jobs, rows[start : start + options.batch_size], factor, options)

    def report(self, canvas: Canvas, job: FaceJob, options: SwapOptions, frame: int, measure: bool) -> SwappedFace:
        """Report on a face that was swapped and pasted.

        Args:
            canvas: Holds the target and the result.
            job: The face.
            options: The options with which it was swapped.
            frame: Number of its frame.
            measure: Whether to measure similarities before and after, at two runs of the recognizer.
        """
        analysis = self.analysis
        before = after = to_target = None
        if measure and job.identity.recognizer.matches(analysis.recognizer):
            source = job.identity.id_embedding.numpy()
            target = _own_embedding(canvas, analysis, job)
            result = analysis.embed(canvas.pixels(job.picture, result=True), job.face.points)
            before, after, to_target = float(target @ source), float(result @ source), float(result @ target)
        factor = resolution_of(job.face, self.model, options)
        matrix = crop_matrices([job.face], self.model.template, factor * self.model.size)
        return SwappedFace(frame, job.face, matrix[0], float(matrix_scale(matrix)), before, after, to_target, factor)

    def _render_part(
        self, canvas: Canvas, all_jobs: Sequence[FaceJob], rows: list[int], factor: int, options: SwapOptions
    ) -> RenderedPart:
        """`render` for one batch of faces of one resolution."""
        jobs, model = [all_jobs[row] for row in rows], self.model
        size = factor * model.size
        matrices = crop_matrices([job.face for job in jobs], model.template, size)
        pictures = [job.picture for job in jobs]
        crops = canvas.read_crops(pictures, matrices, size, self.crop_device)
        own = None if options.strength == 1.0 else _own_embeddings(canvas, self.analysis, jobs)
        identities = [job.identity for job in jobs]
        output = swap_at(model, crops, identities, own, options.strength, factor, options.batch_size)
        # A network may run on another device, or return its result on the CPU.
        rgb, own_mask = (values.to(crops.device, torch.float32) for values in output)
        mask = own_mask
        if self.masks is not None:
            points = torch.from_numpy(np.stack([job.face.points for job in jobs])).float()
            mask = self.masks.mask(crops, transform_points(matrices, points), own_mask if model.has_mask else None)
        wanted = _shaped(mask, options, factor, inset=not model.has_mask)
        return RenderedPart(rows, pictures, matrices, crops, rgb, own_mask, wanted)


@torch.no_grad()
def paste_part(canvas: Canvas, part: RenderedPart) -> torch.Tensor:
    """Paste faces into the results of the canvas; returns the swapped crops (N, 3, k S, k S), -1..1, on the CPU."""
    layers = layer_for_mask(part.rgb, part.crops, part.own_mask, part.mask)
    canvas.paste(part.pictures, layers, part.mask, part.matrices)
    return torch.lerp(part.crops, layers, part.mask).clamp(-1.0, 1.0).cpu()


def _shaped(mask: torch.Tensor, options: SwapOptions, factor: int, inset: bool) -> torch.Tensor:
    """Masks (B, 1, k S, k S) for a factor k, shaped by the options.

    Args:
        mask: The masks.
        options: How to shape them.
        factor: k; lengths in pixels are those of a crop at the network's own size.
        inset: Whether they have to end within the crop, because the network did not make them.
    """
    mask = feather_mask(grow_mask(mask, options.mask_grow * factor), options.mask_feather * factor)
    mask = soften_inward(mask, options.mask_edge)
    return inset_mask(mask, options.mask_padding, options.mask_edge) if inset or options.mask_padding else mask


def resolution_of(face: DetectedFace, model: SwappingNetwork, options: SwapOptions) -> int:
    """Size of a face's aligned crop in multiples of the network's size."""
    scale = float(matrix_scale(crop_matrices([face], model.template, model.size)))
    return resolution_factor(options.resolution, 1.0 / scale, model.phased)


def stack_crops(crops: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    """Crops (3, s, s) of any sizes as (N, 3, S, S), enlarged to the largest; (0, 3, size, size) if there are none."""
    if not crops:
        return torch.zeros(0, 3, size, size)
    side = max(crop.shape[-1] for crop in crops)
    return torch.cat(
        [
            crop[None] if crop.shape[-1] == side else F.interpolate(crop[None], (side, side), mode="bicubic")
            for crop in crops
        ]
    ).clamp(-1.0, 1.0)


def crop_matrices(faces: Sequence[DetectedFace], template: str, size: int) -> torch.Tensor:
    """Matrices (len(faces), 2, 3), picture -> aligned crop of `size` pixels, for a crop template."""
    points = torch.from_numpy(np.stack([face.points for face in faces])).float()
    return estimate_similarity(points, template_points(template, size))


def check_options(options: SwapOptions, analysis: FaceAnalyzer, identity: Identity) -> None:
    """Check options for an identity.

    Raises:
        StyleSwapError: One is out of range, or requires embeddings that the face analysis cannot compute.
    """
    _check_strength(options.strength, analysis, identity)
    check_resolution(options.resolution)
    for name in ("mask_padding", "mask_edge"):
        value = getattr(options, name)
        if not 0.0 <= value <= MAX_SHARE:
            raise StyleSwapError(f"expected a {name} from 0 to {MAX_SHARE}, as a fraction of the crop; got {value}")


def _check_strength(strength: float, analysis: FaceAnalyzer, identity: Identity) -> None:
    if not 0.0 <= strength <= MAX_STRENGTH:
        raise StyleSwapError(f"expected a strength from 0 to {MAX_STRENGTH}, got {strength}")
    if strength != 1.0 and not identity.recognizer.matches(analysis.recognizer):
        raise StyleSwapError(
            f"a strength other than 1 needs the recognizer that made the identity ({identity.recognizer}), but the face"
            f" analysis has {analysis.recognizer}; use the face analysis that the identity was extracted with"
        )


def _own_embeddings(canvas: Canvas, analysis: FaceAnalyzer, jobs: Sequence[FaceJob]) -> torch.Tensor:
    """Embeddings (len(jobs), D) of the target faces."""
    return torch.from_numpy(np.stack([_own_embedding(canvas, analysis, job) for job in jobs])).float()


def _own_embedding(canvas: Canvas, analysis: FaceAnalyzer, job: FaceJob) -> np.ndarray:
    known = job.face.id_embedding
    return analysis.embed(canvas.pixels(job.picture), job.face.points) if known is None else known
