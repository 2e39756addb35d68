"""How far `w_plus` may go from `FC_w(f_id)`.

The further an identity leaves the points that the generator was trained on, the more it takes of the picture into its
own hands: pose and expression go first. So the distance is penalized while optimizing, and bounded row by row.

Unit of all distances here: how far this person's `w` lies from the average person's. 0.5 is half of the way that makes
this person different from everybody else, whatever the scale of a generator's W.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model import Generator

_PEOPLE = 256  # whose mean stands for the average person
_HALF_STRENGTH_RADIUS = 0.5


@dataclass(frozen=True, eq=False)
class TrustRegion:
    """center (num_ws, w_dim): FC_w(f_id), repeated; unit: length of 1; strength 0..1, see `radius`."""

    center: Tensor
    unit: float
    strength: float

    @classmethod
    @torch.no_grad()
    def around(cls, generator: Generator, id_embedding: Tensor, strength: float) -> "TrustRegion":
        """The region about an identity (512,), on the generator's device."""
        at = next(generator.parameters())
        random = torch.Generator().manual_seed(0)
        people = torch.randn(_PEOPLE, generator.config.style_dim, generator=random)
        everybody = generator.map_identity(torch.nn.functional.normalize(people, dim=1).to(at))  # (N, w_dim)
        w = generator.map_identity(id_embedding[None].to(at))  # (1, w_dim)
        spread = everybody.std(dim=0).norm()
        # An average person is not bound more tightly than people differ from each other.
        unit = torch.maximum((w[0] - everybody.mean(dim=0)).norm(), spread)
        return cls(generator.broadcast(w)[0].contiguous(), max(float(unit), 1e-6), strength)

    @property
    def radius(self) -> float:
        """Greatest distance of a row from its center: 0 at strength 1, 0.5 at 0.5, endless at 0."""
        if self.strength == 0.0:
            return math.inf
        return _HALF_STRENGTH_RADIUS * (1.0 - self.strength) / self.strength

    def penalty(self, offset: Tensor) -> Tensor:
        """Mean over rows of the squared distance, times the strength: a scalar; offset (num_ws, w_dim)."""
        return self.strength * (offset / self.unit).square().sum(dim=1).mean()

    @torch.no_grad()
    def confine(self, offset: Tensor) -> None:
        """Bring each row of `offset` (num_ws, w_dim) back to the border where it lies beyond it; in place."""
        if math.isinf(self.radius):
            return
        length = offset.norm(dim=1, keepdim=True)  # (num_ws, 1)
        offset.mul_((self.radius * self.unit / length.clamp_min(1e-12)).clamp(max=1.0))

    def distance(self, offset: Tensor) -> float:
        """Mean over rows of the distance from the center."""
        return float(offset.detach().norm(dim=1).mean()) / self.unit
