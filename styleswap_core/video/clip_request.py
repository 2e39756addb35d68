"""What is swapped in a video."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..compositing.frame_masks import CHOSEN
from ..faces.choice import FaceChoice
from ..identities.identity import Identity
from ..identities.provenance import SwapFacts
from ..pipeline.swap_options import SwapOptions
from ..pipeline.swapper import Faces, Swapper
from ..swappers.swap_marks import swap_facts
from .clip_masks import ClipMasks


@dataclass(frozen=True, eq=False)
class ClipRequest:
    """What is swapped: arguments of `Swapper.swap_frames`.

    Attributes:
        swapper: Model and face analysis.
        identity: One for all chosen faces, or several.
        faces: Faces to swap.
        options: Options; None for those of the swapper.
        keep: What stays as it is.
        only_in: Where the faces that are swapped lie.
    """

    swapper: Swapper
    identity: Identity | Sequence[Identity]
    faces: Faces = "largest"
    options: SwapOptions | None = None
    keep: ClipMasks = field(default_factory=lambda: ClipMasks(None))
    only_in: ClipMasks = field(default_factory=lambda: ClipMasks(None, purpose=CHOSEN))

    @property
    def identities(self) -> list[Identity]:
        """The source identities."""
        return [self.identity] if isinstance(self.identity, Identity) else list(self.identity)

    @property
    def choice(self) -> FaceChoice:
        """The faces in their long form."""
        return self.faces if isinstance(self.faces, FaceChoice) else FaceChoice.parse(self.faces)

    @property
    def swap_options(self) -> SwapOptions:
        """The options, or those of the swapper."""
        return self.options or self.swapper.options

    def facts(self) -> SwapFacts:
        """What the result states about the swap."""
        return swap_facts(self.swapper.model, self.identities, self.swap_options.strength)
