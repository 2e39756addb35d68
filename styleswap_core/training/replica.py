"""The process group's edge: what the loop needs to know of the other processes of one training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Replica:
    """One of `world` processes that train the same weights; the only one unless told otherwise.

    The loop writes files and reports on the main replica only, and seeds its data by rank.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0
