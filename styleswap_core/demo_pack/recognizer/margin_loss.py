"""Losses that make embeddings tell people apart."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .recognizer_network import EMBEDDING_SIZE


class MarginLoss(nn.Module):
    """Softmax over cosines to one learned center per identity, with a margin for the right one.

    kind "arcface": the margin is an angle in radians, cos(theta + m) (Deng et al., CVPR 2019).
    kind "cosface": it is taken off the cosine, cos(theta) - m (Wang et al., CVPR 2018).
    """

    def __init__(self, identities: int, kind: str, margin: float, scale: float) -> None:
        super().__init__()
        if kind not in ("arcface", "cosface"):
            raise ValueError(f"expected the loss arcface or cosface, got {kind!r}")
        self.kind, self.margin, self.scale = kind, margin, scale
        self.centers = nn.Parameter(torch.randn(identities, EMBEDDING_SIZE) * 0.01)

    def forward(self, id_embedding: Tensor, labels: Tensor, margin_factor: float = 1.0) -> Tensor:
        """Mean loss of (B, 512) L2-normalized embeddings with labels (B,); the factor eases the margin in."""
        cosine = F.linear(id_embedding, F.normalize(self.centers, dim=1))  # (B, identities)
        right = cosine.gather(1, labels[:, None])
        margin = self.margin * margin_factor
        if self.kind == "arcface":
            sine = (1 - right.square()).clamp(min=1e-6).sqrt()
            moved = right * math.cos(margin) - sine * math.sin(margin)
            # Past pi - m the shifted cosine would rise again; a straight line goes on falling.
            moved = torch.where(right > -math.cos(margin), moved, right - margin * math.sin(margin))
        else:
            moved = right - margin
        return F.cross_entropy(cosine.scatter(1, labels[:, None], moved) * self.scale, labels)


class IdentityRegression(nn.Module):
    """Reads the face world's identity parameters off an embedding, linearly.

    Telling training people apart needs only some of what a face is; an exact swap needs all of it. This loss keeps
    the rest in the embedding.
    """

    # Parameters are uniform in -1..1: this brings them to unit variance.
    PARAMETER_GAIN = math.sqrt(3.0)

    def __init__(self, parameters: int) -> None:
        super().__init__()
        self.read = nn.Linear(EMBEDDING_SIZE, parameters)

    def forward(self, id_embedding: Tensor) -> Tensor:
        """(B, 512) L2-normalized -> (B, parameters) in -1..1, not clipped."""
        return self.read(id_embedding * math.sqrt(EMBEDDING_SIZE)) / self.PARAMETER_GAIN

    def loss(self, id_embedding: Tensor, values: Tensor) -> Tensor:
        """Mean squared error as a share of the parameters' variance; 1 is what knowing nothing costs."""
        return F.mse_loss(self(id_embedding), values) * self.PARAMETER_GAIN**2
