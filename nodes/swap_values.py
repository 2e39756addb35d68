"""What the widgets of Swap Face and Swap Face in Video mean to the core. Does not import ComfyUI."""

from dataclasses import dataclass
from typing import Any

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.choice import REFERENCE_RULES, FaceChoice
from ..styleswap_core.faces.detected import FaceAnalyzer
from ..styleswap_core.pipeline.swap_options import SwapOptions
from ..styleswap_core.swappers.swap_ranges import AUTOMATIC, MAX_FACTOR
from ..styleswap_core.tracking.tracking_options import TrackingOptions
from .values import as_identities

PASS, ERROR = "pass through", "error"
"""Choices of *on_missing*."""

SKIP, SWAP = "skip", "swap"
"""Choices of *doubtful*."""

MAX_AGE = 120
RESOLUTIONS = {"automatic": AUTOMATIC, **{f"{factor}x": factor for factor in range(1, MAX_FACTOR + 1)}}
"""Choices of *resolution*."""


@dataclass(frozen=True)
class SwapValues:
    """Values of the widgets that choose faces and say how they are swapped.

    Those that nodes have gained since their first release have defaults, with which saved prompts still run as before.
    """

    faces: str
    index: str
    order: str
    likeness: float
    strength: float
    mask_grow: int
    mask_feather: float
    batch_size: int
    resolution: str = "automatic"
    mask_padding: float = 0.0
    mask_edge: float = 0.0
    gender: str = "any"
    min_age: int = 0
    max_age: int = MAX_AGE
    doubtful: str = SKIP
    tracking: bool = False
    detection_interval: int = TrackingOptions.detection_interval
    smoothing: float = TrackingOptions.smoothing
    bridge: int = TrackingOptions.bridge
    in_turn: bool = False

    def choice(self, analyzer: FaceAnalyzer, reference: object = None) -> FaceChoice:
        """The faces that are chosen.

        Args:
            analyzer: The face analysis.
            reference: Socket value with the reference identities.

        Raises:
            StyleSwapError: An invalid index or range of ages, or references that are missing or of another recognizer.
        """
        return faces_choice(
            analyzer,
            self.faces,
            self.index,
            self.order,
            self.likeness,
            reference,
            gender=self.gender,
            ages=age_range(self.min_age, self.max_age),
            in_turn=self.in_turn,
        )

    @property
    def options(self) -> SwapOptions:
        """How faces are swapped."""
        return SwapOptions(
            strength=self.strength,
            mask_grow=self.mask_grow,
            mask_feather=self.mask_feather,
            batch_size=self.batch_size,
            resolution=RESOLUTIONS[self.resolution],
            mask_padding=self.mask_padding,
            mask_edge=self.mask_edge,
            swap_doubtful=self.doubtful == SWAP,
        )

    @property
    def tracking_options(self) -> TrackingOptions | None:
        """How faces are followed; None if each frame is swapped independently."""
        return TrackingOptions(self.detection_interval, self.smoothing, self.bridge) if self.tracking else None


def faces_choice(
    analyzer: FaceAnalyzer, faces: str, index: str, order: str, likeness: float, reference: object, **more: Any
) -> FaceChoice:
    """The faces that the widgets of a node choose.

    Args:
        analyzer: The face analysis.
        faces: Rule of the choice.
        index: Face numbers, for "by index".
        order: Order in which faces are numbered.
        likeness: Minimum cosine similarity to a reference.
        reference: Socket value with the reference identities; unused unless the rule needs them.
        more: Further fields of the choice.

    Raises:
        StyleSwapError: An invalid index, or references that are missing or of another recognizer.
    """
    # Imported here, as in all nodes: the pack loads without waiting for the modules that swap.
    from ..styleswap_core.pipeline.frame_requests import references_for

    people = as_identities(reference) if faces in REFERENCE_RULES and reference is not None else []
    indices = FaceChoice.by_index(index).indices if faces == "by index" else ()
    return FaceChoice(faces, order, indices, references_for(people, analyzer), likeness, **more)


def age_range(min_age: int, max_age: int) -> tuple[int, int] | None:
    """Ages between the values of two widgets; None if they exclude nobody."""
    return None if (min_age, max_age) == (0, MAX_AGE) else (min_age, max_age)


def index_problem(faces: str | None, index: str | None) -> str | None:
    """Message about an invalid index, or None; a value from another node (None) is not known yet."""
    try:
        if faces == "by index" and index is not None:
            FaceChoice.by_index(index)
    except StyleSwapError as error:
        return str(error)
    return None
