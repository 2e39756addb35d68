"""Losses of the detector."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .anchors import AnchorGrid, SceneFaces, assign, decode_boxes, encode_points
from .box_geometry import box_overlaps, box_sizes
from .detector_network import LevelOutput


@dataclass(frozen=True)
class DetectorLosses:
    """Unweighted losses, each averaged over the anchors that are responsible for a face.

    Attributes:
        score: Quality focal loss (Li et al., NeurIPS 2020, "Generalized Focal Loss"). The target of a score is the
            overlap of the anchor's box with the face, so that the best box of a face wins over its neighbors.
        box: 1 - DIoU (Zheng et al., AAAI 2020, "Distance-IoU Loss").
        points: L1 distance as a share of the face's size.
    """

    score: Tensor
    box: Tensor
    points: Tensor


def detector_losses(levels: list[LevelOutput], grid: AnchorGrid, faces: SceneFaces) -> DetectorLosses:
    """Losses of the network's outputs for a batch of scenes."""
    scores = _rows([level.scores for level in levels], 1)[..., 0]  # (B, N)
    face, ignore = assign(grid, faces)
    picture, anchor = torch.nonzero(face >= 0, as_tuple=True)
    count = max(1, len(picture))
    target = torch.zeros_like(scores)
    box_loss = points_loss = scores.sum() * 0
    if len(picture):
        which = face[picture, anchor]
        centers, sizes = grid.centers[anchor], grid.sizes[anchor]
        truth = faces.boxes[picture, which]
        predicted = decode_boxes(centers, sizes, _rows([level.boxes for level in levels], 4)[picture, anchor])
        overlap = box_overlaps(predicted, truth)
        target[picture, anchor] = overlap.detach().clamp(0, 1)
        box_loss = (1 - (overlap - _center_distances(predicted, truth))).mean()
        points = faces.points[picture, which]
        found = _rows([level.points for level in levels], 10)[picture, anchor]
        error = found - encode_points(centers, sizes, points)
        points_loss = (error.abs().mean(1) * sizes / box_sizes(truth)).mean()
    focus = (target - scores.detach().sigmoid()).square()
    score_loss = focus * F.binary_cross_entropy_with_logits(scores, target, reduction="none")
    return DetectorLosses(score_loss[~ignore].sum() / count, box_loss, points_loss)


def _rows(maps: list[Tensor], width: int) -> Tensor:
    """Values (B, N, width) of the anchors in the order of `AnchorGrid`, float32."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(len(m), -1, width) for m in maps], 1).float()


def _center_distances(predicted: Tensor, truth: Tensor) -> Tensor:
    """Penalty term of DIoU (M,): squared distance of the centers of boxes (M, 4), relative to the enclosing box."""
    hull = torch.maximum(predicted[:, 2:], truth[:, 2:]) - torch.minimum(predicted[:, :2], truth[:, :2])
    offset = (predicted[:, :2] + predicted[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2
    return offset.square().sum(1) / hull.square().sum(1).clamp(min=1e-6)
