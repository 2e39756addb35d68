"""What the detector is trained by."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .anchors import AnchorGrid, Faces, assign, decode_boxes, encode_points
from .box_geometry import box_sizes
from .detector_network import LevelOutput


@dataclass(frozen=True)
class DetectorLosses:
    """Unweighted terms, each a mean over the anchors that answer for a face."""

    score: Tensor
    box: Tensor
    points: Tensor


def detector_losses(levels: list[LevelOutput], grid: AnchorGrid, faces: Faces) -> DetectorLosses:
    """Compare the raw outputs for a batch of pictures with its faces.

    score: quality focal loss (Li et al., NeurIPS 2020): an anchor's score should be the overlap of its box with the
        face, so that the best box of a face wins over its neighbors.
    box: 1 - DIoU (Zheng et al., AAAI 2020).
    points: L1 distance as a share of the face's size.
    """
    scores = _rows(levels, "scores", 1)[..., 0]  # (B, N)
    face, ignore = assign(grid, faces)
    picture, anchor = torch.nonzero(face >= 0, as_tuple=True)
    count = max(1, len(picture))
    target = torch.zeros_like(scores)
    box_loss = points_loss = scores.sum() * 0
    if len(picture):
        which = face[picture, anchor]
        centers, sizes = grid.centers[anchor], grid.sizes[anchor]
        truth = faces.boxes[picture, which]
        predicted = decode_boxes(centers, sizes, _rows(levels, "boxes", 4)[picture, anchor])
        overlap, distance_overlap = _overlaps(predicted, truth)
        target[picture, anchor] = overlap.detach().clamp(0, 1)
        box_loss = (1 - distance_overlap).mean()
        points = faces.points[picture, which]
        error = _rows(levels, "points", 10)[picture, anchor] - encode_points(centers, sizes, points)
        points_loss = (error.abs().mean(1) * sizes / box_sizes(truth)).mean()
    focus = (target - scores.detach().sigmoid()).square()
    score_loss = focus * F.binary_cross_entropy_with_logits(scores, target, reduction="none")
    return DetectorLosses(score_loss[~ignore].sum() / count, box_loss, points_loss)


def _rows(levels: list[LevelOutput], name: str, width: int) -> Tensor:
    """(B, N, width) float32 in the order of `AnchorGrid`."""
    maps = [getattr(level, name) for level in levels]
    return torch.cat([m.permute(0, 2, 3, 1).reshape(len(m), -1, width) for m in maps], 1).float()


def _overlaps(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union, and the same less the centers' distance penalty: (M, 4), (M, 4) -> (M,), (M,)."""
    low, high = torch.maximum(predicted[:, :2], truth[:, :2]), torch.minimum(predicted[:, 2:], truth[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    area = (predicted[:, 2:] - predicted[:, :2]).clamp(min=0).prod(1) + (truth[:, 2:] - truth[:, :2]).prod(1)
    overlap = shared / (area - shared).clamp(min=1e-6)
    hull = torch.maximum(predicted[:, 2:], truth[:, 2:]) - torch.minimum(predicted[:, :2], truth[:, :2])
    apart = (predicted[:, :2] + predicted[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2
    return overlap, overlap - apart.square().sum(1) / hull.square().sum(1).clamp(min=1e-6)
