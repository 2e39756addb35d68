"""Pictures of a training set, grouped by the person that they show."""

import numpy as np


class PersonIndex:
    """N pictures, sorted so that those of one person are adjacent.

    Attributes:
        pictures: (N,) int64, the pictures in this order. An index into it is a position.
        position: (N,) int64, position of each picture.
        start: (N,) int64, for each position the first position of the same person.
        count: (N,) int64, for each position the number of pictures of the same person.
        people: Number of people.
    """

    def __init__(self, people: np.ndarray) -> None:
        """Sort pictures by the people (N,) that they show."""
        self.pictures = np.argsort(people, kind="stable")
        _, start, inverse, count = np.unique(
            people[self.pictures], return_index=True, return_inverse=True, return_counts=True
        )
        self.people = len(start)
        self.start, self.count = start[inverse], count[inverse]
        self.position = np.empty_like(self.pictures)
        self.position[self.pictures] = np.arange(len(people))

    def another(self, position: np.ndarray, fraction: np.ndarray) -> np.ndarray:
        """Positions (B,) of other pictures of the same people; of the same picture if there is no other.

        Args:
            position: (B,).
            fraction: (B,), 0 <= fraction < 1: random numbers, which choose among the other pictures.
        """
        start, count = self.start[position], self.count[position]
        # Advance by 1..n-1 in the cycle of the person's n pictures.
        offset = np.where(count > 1, 1 + (fraction * (count - 1)).astype(np.int64), 0)
        return start + (position - start + offset) % count
