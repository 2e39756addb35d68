"""Losses of the recognizers: softmax with a margin, and the regression of identity parameters."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .recognizer_network import EMBEDDING_SIZE


class MarginLoss(nn.Module):
    """Softmax over the cosines to one learned center per identity, with a margin for the true identity.

    Args:
        identities: Number of identities.
        kind: "arcface" adds the margin to the angle, cos(theta + m) (Deng et al., CVPR 2019); "cosface" subtracts it
            from the cosine, cos(theta) - m (Wang et al., CVPR 2018).
        margin: The margin m, in radians for ArcFace.
        scale: Factor of the cosines.

    Raises:
        ValueError: Another kind.
    """

    def __init__(self, identities: int, kind: str, margin: float, scale: float) -> None:
        super().__init__()
        if kind not in ("arcface", "cosface"):
            raise ValueError(f"expected the loss arcface or cosface, got {kind!r}")
        self.kind, self.margin, self.scale = kind, margin, scale
        self.centers = nn.Parameter(torch.randn(identities, EMBEDDING_SIZE) * 0.01)

    def forward(self, id_embedding: Tensor, labels: Tensor, margin_factor: float = 1.0) -> Tensor:
        """Mean loss of L2-normalized embeddings (B, 512) with labels (B,); `margin_factor` ramps the margin up."""
        cosine = F.linear(id_embedding, F.normalize(self.centers, dim=1))  # (B, identities)
        true = cosine.gather(1, labels[:, None])
        margin = self.margin * margin_factor
        if self.kind == "arcface":
            sine = (1 - true.square()).clamp(min=1e-6).sqrt()
            shifted = true * math.cos(margin) - sine * math.sin(margin)
            # Beyond pi - m, cos(theta + m) would rise again; a line continues to fall.
            shifted = torch.where(true > -math.cos(margin), shifted, true - margin * math.sin(margin))
        else:
            shifted = true - margin
        return F.cross_entropy(cosine.scatter(1, labels[:, None], shifted) * self.scale, labels)


class IdentityRegression(nn.Module):
    """Linear regression of the face world's identity parameters from an embedding.

    Some features of a face suffice to distinguish the people of the training set, but an exact swap needs all of them;
    this loss keeps the others in the embedding.

    Args:
        parameters: Number of identity parameters.
    """

    # Scales parameters, which are uniform in -1..1, to unit variance.
    PARAMETER_GAIN = math.sqrt(3.0)

    def __init__(self, parameters: int) -> None:
        super().__init__()
        self.read = nn.Linear(EMBEDDING_SIZE, parameters)

    def forward(self, id_embedding: Tensor) -> Tensor:
        """Parameters (B, parameters) in about -1..1, from L2-normalized embeddings (B, 512)."""
        return self.read(id_embedding * math.sqrt(EMBEDDING_SIZE)) / self.PARAMETER_GAIN

    def loss(self, id_embedding: Tensor, values: Tensor) -> Tensor:
        """Mean squared error as a share of the variance of the parameters, which is the error of their mean."""
        return F.mse_loss(self(id_embedding), values) * self.PARAMETER_GAIN**2
