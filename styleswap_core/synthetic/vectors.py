"""Batches of 3-D vectors, kept as three tensors so that every operation runs over contiguous memory."""

from torch import Tensor

Vector = tuple[Tensor, Tensor, Tensor]
"""Coordinates x, y, z of one shape: (B, P) for P points of B pictures, (B, 1) for one vector per picture."""


def length(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Euclidean length of a vector."""
    return (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_()


def dot(first: Vector, second: Vector) -> Tensor:
    """Dot product of two vectors."""
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


def negate(vector: Vector) -> Vector:
    """The opposite vector."""
    x, y, z = vector
    return -x, -y, -z


def rotate(rotation: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Vector:
    """Apply rotation matrices (B, 3, 3) to vectors (B, P)."""
    r = rotation.unsqueeze(-1)  # (B, 3, 3, 1): r[:, i, j] is (B, 1)
    return (
        r[:, 0, 0] * x + r[:, 0, 1] * y + r[:, 0, 2] * z,
        r[:, 1, 0] * x + r[:, 1, 1] * y + r[:, 1, 2] * z,
        r[:, 2, 0] * x + r[:, 2, 1] * y + r[:, 2, 2] * z,
    )


def select(vector: Vector, rows: slice) -> Vector:
    """The vectors of a part of the batch."""
    x, y, z = vector
    return x[rows], y[rows], z[rows]


def gather(vector: Vector, index: Tensor) -> Vector:
    """The vectors (B, Q) at the positions `index` (B, Q) of each row of (B, P)."""
    x, y, z = vector
    return x.gather(1, index), y.gather(1, index), z.gather(1, index)
