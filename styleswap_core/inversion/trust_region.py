"""Trust region: how far a code may move from the plain one: for our generator, `w_plus` from `FC_w(f_id)`.

The further an identity moves away from the points that the generator was trained on, the more of the picture it takes
over from the attributes, pose and expression first. The distance is therefore penalized during optimization and bounded
for each row.

All distances are in units of the distance between this person's code and that of the average person: 0.5 is half of
what distinguishes this person from everybody else, whatever the scale of a network's codes.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..identities.identity import Identity
from .invertible import InvertibleNetwork

_PEOPLE = 256  # random people whose mean code is taken as the average person's
_HALF_STRENGTH_RADIUS = 0.5


@dataclass(frozen=True, eq=False)
class TrustRegion:
    """Trust region of one person for one network.

    Attributes:
        center: (rows, width), the plain code in every row.
        unit: Length in the space of codes of distance 1.
        strength: 0..1, see `radius`.
    """

    center: Tensor
    unit: float
    strength: float

    @classmethod
    @torch.no_grad()
    def around(cls, network: InvertibleNetwork, identity: Identity, strength: float) -> "TrustRegion":
        """The trust region around an identity, on the network's device."""
        random = torch.Generator().manual_seed(0)
        people = torch.randn(_PEOPLE, len(identity.id_embedding), generator=random)
        others = [replace(identity, id_embedding=row) for row in torch.nn.functional.normalize(people, dim=1)]
        everybody = network.codes(others)  # (N, width)
        code = network.codes([identity])  # (1, width)
        spread = everybody.std(dim=0).norm()
        # A person close to the average is not bound more tightly than people differ from each other.
        unit = torch.maximum((code[0] - everybody.mean(dim=0)).norm(), spread)
        center = code.expand(network.code_rows, -1).contiguous()
        return cls(center, max(float(unit), 1e-6), strength)

    @property
    def radius(self) -> float:
        """Maximum distance of a row from the center: 0 at strength 1, 0.5 at 0.5, infinite at 0."""
        if self.strength == 0.0:
            return math.inf
        return _HALF_STRENGTH_RADIUS * (1.0 - self.strength) / self.strength

    def penalty(self, offset: Tensor) -> Tensor:
        """Scalar: squared distance of `offset` (rows, width), averaged over rows and multiplied by the strength."""
        return self.strength * (offset / self.unit).square().sum(dim=1).mean()

    @torch.no_grad()
    def confine(self, offset: Tensor) -> None:
        """Project the rows of `offset` (rows, width) onto the region, in place."""
        if math.isinf(self.radius):
            return
        length = offset.norm(dim=1, keepdim=True)  # (rows, 1)
        offset.mul_((self.radius * self.unit / length.clamp_min(1e-12)).clamp(max=1.0))

    def distance(self, offset: Tensor) -> float:
        """Distance from the center, averaged over the rows of `offset` (rows, width)."""
        return float(offset.detach().norm(dim=1).mean()) / self.unit
