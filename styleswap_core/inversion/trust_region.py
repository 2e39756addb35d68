"""Trust region: how far `w_plus` may move from `FC_w(f_id)`.

The further an identity moves away from the points that the generator was trained on, the more of the picture it takes
over from the attributes, pose and expression first. The distance is therefore penalized during optimization and bounded
for each row.

All distances are in units of the distance between this person's `w` and that of the average person: 0.5 is half of what
distinguishes this person from everybody else, whatever the scale of a generator's W.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model import Generator

_PEOPLE = 256  # random people whose mean `w` is taken as the average person's
_HALF_STRENGTH_RADIUS = 0.5


@dataclass(frozen=True, eq=False)
class TrustRegion:
    """Trust region of one person for one generator.

    Attributes:
        center: (num_ws, w_dim), `FC_w(f_id)` in every row.
        unit: Length in W of distance 1.
        strength: 0..1, see `radius`.
    """

    center: Tensor
    unit: float
    strength: float

    @classmethod
    @torch.no_grad()
    def around(cls, generator: Generator, id_embedding: Tensor, strength: float) -> "TrustRegion":
        """The trust region around an identity (512,), on the generator's device."""
        parameter = next(generator.parameters())
        random = torch.Generator().manual_seed(0)
        people = torch.randn(_PEOPLE, generator.config.style_dim, generator=random)
        everybody = generator.map_identity(torch.nn.functional.normalize(people, dim=1).to(parameter))  # (N, w_dim)
        w = generator.map_identity(id_embedding[None].to(parameter))  # (1, w_dim)
        spread = everybody.std(dim=0).norm()
        # A person close to the average is not bound more tightly than people differ from each other.
        unit = torch.maximum((w[0] - everybody.mean(dim=0)).norm(), spread)
        return cls(generator.broadcast(w)[0].contiguous(), max(float(unit), 1e-6), strength)

    @property
    def radius(self) -> float:
        """Maximum distance of a row from the center: 0 at strength 1, 0.5 at 0.5, infinite at 0."""
        if self.strength == 0.0:
            return math.inf
        return _HALF_STRENGTH_RADIUS * (1.0 - self.strength) / self.strength

    def penalty(self, offset: Tensor) -> Tensor:
        """Scalar: squared distance of `offset` (num_ws, w_dim), averaged over rows and multiplied by the strength."""
        return self.strength * (offset / self.unit).square().sum(dim=1).mean()

    @torch.no_grad()
    def confine(self, offset: Tensor) -> None:
        """Project the rows of `offset` (num_ws, w_dim) onto the region, in place."""
        if math.isinf(self.radius):
            return
        length = offset.norm(dim=1, keepdim=True)  # (num_ws, 1)
        offset.mul_((self.radius * self.unit / length.clamp_min(1e-12)).clamp(max=1.0))

    def distance(self, offset: Tensor) -> float:
        """Distance from the center, averaged over the rows of `offset` (num_ws, w_dim)."""
        return float(offset.detach().norm(dim=1).mean()) / self.unit
