"""What a face box is, derived from the five points alone.

The box must be well defined for every face in every pose, so it follows from fixed proportions: an ellipse from
forehead to chin is laid about the five points by the similarity that maps the FFHQ template onto them; its upright
bounding box is the face box. Coordinates are whatever the points are in.
"""

import torch
from torch import Tensor

from ...faces.alignment import estimate_similarity, matrix_scale, template_points, transform_points

# In fractions of an FFHQ crop: from the hairline (.20) to the chin (.93), and from cheek to cheek.
_CENTER = (0.5, 0.565)
_SEMI_AXES = (0.285, 0.365)


def face_ellipses(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Center (B, 2), semi-axes (B, 2) along the face's own x and y, and its x axis (B, 2), a unit vector.

    Args:
        points: (B, 5, 2).
    """
    template = template_points("ffhq", 1).to(points)
    to_picture = estimate_similarity(template.expand(len(points), 5, 2), points)  # crop fractions -> picture
    scale = matrix_scale(to_picture)
    center = transform_points(to_picture, torch.tensor(_CENTER).to(points).expand(len(points), 1, 2))[:, 0]
    axes = torch.tensor(_SEMI_AXES).to(points) * scale[:, None]
    return center, axes, to_picture[:, :, 0] / scale[:, None]


def face_boxes(points: Tensor) -> Tensor:
    """Boxes (B, 4) left, top, right, bottom of faces with the points (B, 5, 2)."""
    center, axes, direction = face_ellipses(points)
    cosine, sine = direction[:, 0], direction[:, 1]
    half_width = ((axes[:, 0] * cosine).square() + (axes[:, 1] * sine).square()).sqrt()
    half_height = ((axes[:, 0] * sine).square() + (axes[:, 1] * cosine).square()).sqrt()
    half = torch.stack([half_width, half_height], 1)
    return torch.cat([center - half, center + half], 1)


def box_sizes(boxes: Tensor) -> Tensor:
    """Square root of the area: (..., 4) -> (...)."""
    extent = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return (extent[..., 0] * extent[..., 1]).sqrt()


def eye_mouth_distance(points: Tensor) -> Tensor:
    """From the middle of the eyes to the middle of the mouth corners: (..., 5, 2) -> (...)."""
    return (points[..., 0:2, :].mean(-2) - points[..., 3:5, :].mean(-2)).norm(dim=-1)
