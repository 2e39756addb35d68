"""Face boxes, derived from the five points alone.

Boxes must be well defined for every face in every pose, so they follow from fixed proportions: the similarity transform
that maps the FFHQ template onto the five points places an ellipse from forehead to chin, and its axis-aligned bounding
box is the face box. Coordinates are those of the points.
"""

import torch
from torch import Tensor

from ...faces.alignment import estimate_similarity, matrix_scale, template_points, transform_points

# In fractions of an FFHQ crop: from the hairline (.20) to the chin (.93), and from cheek to cheek.
_CENTER = (0.5, 0.565)
_SEMI_AXES = (0.285, 0.365)


def face_ellipses(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ellipses about faces with the points (B, 5, 2).

    Returns:
        Centers (B, 2), semi-axes (B, 2) along the x and y axes of the face, and unit vectors (B, 2) along its x axis.
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
    """Square roots (...) of the areas of boxes (..., 4)."""
    extent = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return (extent[..., 0] * extent[..., 1]).sqrt()


def box_overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union (M,) of boxes (M, 4) and boxes (M, 4), or one box (1, 4)."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = (first[:, 2:] - first[:, :2]).clamp(min=0).prod(1) + (second[:, 2:] - second[:, :2]).prod(1)
    return shared / (areas - shared).clamp(min=1e-6)
