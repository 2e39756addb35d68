"""Settings of a teacher: the swapping network whose swaps are stored beside the pictures of a prepared set."""

from dataclasses import dataclass

from ..errors import StyleSwapError

MAX_SWAPS = 16


@dataclass(frozen=True)
class TeacherSettings:
    """Settings of a teacher; the same settings for the same set give the same swaps.

    Attributes:
        file: File of the swapping network.
        swaps: Swaps per picture, each with another person of the set.
        likeness: Minimum cosine similarity of a swap to the picture of its source.
        family: Family of a foreign network whose file does not tell it, see `swappers.guest_families.FAMILIES`.
        any_recognizer: Let a foreign network take embeddings of the set's recognizer, whatever it was trained with.

    Raises:
        StyleSwapError: A value is out of range; the message names it.
    """

    file: str
    swaps: int = 1
    likeness: float = 0.25
    family: str = ""
    any_recognizer: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.swaps <= MAX_SWAPS:
            raise StyleSwapError(f"teacher_swaps: expected a value from 1 to {MAX_SWAPS}, got {self.swaps}")
        if not 0.0 <= self.likeness <= 1.0:
            raise StyleSwapError(f"teacher_likeness: expected a value from 0 to 1, got {self.likeness}")
