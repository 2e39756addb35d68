"""Choice of the person whose face a picture gets from the teacher.

A choice depends on the number of the picture and on the people of the set only, so that neither the number of
processes nor an interruption changes it.
"""

import numpy as np

_SEED = 20261206
# Pictures that are considered per choice, until one does not resemble the person in the picture.
_CANDIDATES = 8


class SourceChoice:
    """Draws source pictures: a random other person, and a random picture of that person.

    Args:
        people: (N,) person of each picture, numbered from 0 without gaps; at least two people.
        embeddings: (N, D), L2-normalized; may be memory-mapped.
        likeness: Cosine similarity from which two pictures may show the same person. Clustering may have split a person
            in two, so another number alone does not make another person.
    """

    def __init__(self, people: np.ndarray, embeddings: np.ndarray, likeness: float) -> None:
        self._people, self._embeddings, self._likeness = people, embeddings, likeness
        self._by_person = np.argsort(people, kind="stable")
        self._counts = np.bincount(people)
        self._starts = np.cumsum(self._counts) - self._counts

    def sources(self, row: int, count: int) -> list[int]:
        """Source pictures of `count` swaps of picture `row`, different ones if the set has enough."""
        chosen: list[int] = []
        for swap in range(count):
            rng = np.random.Generator(np.random.Philox(key=np.array([_SEED, row], np.uint64), counter=[0, 0, 0, swap]))
            candidates = [self._draw(row, rng) for _ in range(_CANDIDATES)]
            fresh = [candidate for candidate in candidates if candidate not in chosen] or candidates
            cosines = np.asarray(self._embeddings[fresh]) @ self._embeddings[row]
            unlike = np.flatnonzero(cosines < self._likeness)
            chosen.append(fresh[int(unlike[0] if len(unlike) else cosines.argmin())])
        return chosen

    def _draw(self, row: int, rng: np.random.Generator) -> int:
        other = int(rng.integers(len(self._counts) - 1))
        person = other + (other >= self._people[row])
        return int(self._by_person[self._starts[person] + rng.integers(self._counts[person])])
