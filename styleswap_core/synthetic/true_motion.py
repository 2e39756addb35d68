"""True motion of a face from one frame to the next: each visible point of the head is followed exactly.

The head is rigid, except for expressions and gaze, which stay behind.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import grid_sample
from .camera import DISTANCE, head_rotation, project
from .parameters import Attributes

# Pixels around what cannot be followed that are left out as well.
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A person in a frame.

    Attributes:
        attributes: Attributes of the person, a batch of one.
        depth: (S, W), distance from the camera in head units; 0 beside the person.
        face: (S, W) in 0..1, where the face is visible.
    """

    attributes: Attributes
    depth: Tensor
    face: Tensor


def carried(pictures: Tensor, before: SeenFace, now: SeenFace) -> tuple[Tensor, Tensor]:
    """Pictures of one frame, moved with a head to where it is in another frame.

    Args:
        pictures: (C, S, W), of the frame `before`.
        before: The person in that frame.
        now: The person in the other one.

    Returns:
        The moved pictures (C, S, W), and where they show the same points of the face as `now` (S, W) bool.
    """
    height, width = now.depth.shape
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in (height, width)), indexing="ij")
    place = torch.cat([now.attributes.frame_x, now.attributes.frame_y], 1)[0] * height
    offset = (torch.stack([x, y], -1) - place) / (now.attributes.frame_scale[0] * height)
    ray = torch.stack([offset[..., 0], -offset[..., 1], torch.full_like(x, -DISTANCE)], -1)
    # Beside the person any distance does, as long as it is in front of the camera.
    distance = torch.where(now.depth > 0, now.depth, DISTANCE)
    world = F.normalize(ray, dim=-1) * distance[..., None] + torch.tensor([0.0, 0.0, DISTANCE])
    turn = head_rotation(before.attributes)[0] @ head_rotation(now.attributes)[0].T
    source = project(world.view(1, -1, 3) @ turn.T, before.attributes, height).view(height, width, 2)
    grid = (source / torch.tensor([float(width), float(height)]) * 2.0 - 1.0)[None]
    moved = grid_sample(pictures[None], grid, "bicubic", "border")[0]
    shown = F.grid_sample(before.face[None, None], grid, align_corners=False)[0, 0]
    same = (torch.minimum(shown, now.face) > 0.99) & (now.depth > 0)
    inner = -F.max_pool2d(-same[None].float(), 2 * _MARGIN + 1, 1, _MARGIN)[0]
    return moved, inner > 0
