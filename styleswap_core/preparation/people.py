"""Whose picture is it: clusters of embeddings, with memory that depends on neither pictures nor people.

A picture belongs to the person whose mean embedding it is most like, from a given cosine on. Three passes: pictures
join or found persons one after another; persons that turn out alike are put together, large ones first; and each picture
goes to the person it is most like in the end.
"""

import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

_ROWS = 1024
_BLOCK = 8192
_MERGE_ROUNDS = 4


def cluster(embeddings: np.ndarray, likeness: float, scratch: Path) -> np.ndarray:
    """Persons of pictures.

    Args:
        embeddings: (N, 512) L2-normalized, may be mapped from disk.
        likeness: cosine to a person's mean, 0..1.
        scratch: a folder for temporary files, as large as the embeddings at most.

    Returns:
        (N,) int32, numbered from 0 in order of the first picture.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="people-") as folder:
        people = _People(Path(folder) / "sums-0", len(embeddings), embeddings.shape[1])
        owner = people.found(embeddings, np.arange(len(embeddings)), likeness, "people")
        for turn in range(1, _MERGE_ROUNDS + 1):
            sizes = np.bincount(owner, minlength=people.count)
            merged = _People(Path(folder) / f"sums-{turn}", people.count, embeddings.shape[1])
            new_number = merged.found(people.sums, np.argsort(-sizes, kind="stable"), likeness, "alike people")
            owner = new_number[owner]
            done = merged.count == people.count
            people = merged
            if done:
                break
        for first in tqdm(
            range(0, len(embeddings), _ROWS), desc="nearest people", unit="block", leave=False, delay=1.0
        ):
            rows = np.asarray(embeddings[first : first + _ROWS])
            best, which = people.nearest(rows, people.count)
            sure = best >= likeness
            owner[first : first + len(rows)][sure] = which[sure]
        return _renumbered(owner)


class _People:
    """Sums of the embeddings of people, on disk."""

    def __init__(self, path: Path, most: int, width: int) -> None:
        self.sums = np.memmap(path, np.float32, "w+", shape=(max(1, most), width))  # sparse until it is written to
        self.count = 0

    def found(self, vectors: np.ndarray, order: np.ndarray, likeness: float, what: str) -> np.ndarray:
        """Add vectors in an order, each to the person it is like or as a new one; returns (N,) the person of each."""
        owner = np.empty(len(order), dtype=np.int32)
        for first in tqdm(range(0, len(order), _ROWS), desc=what, unit="block", leave=False, delay=1.0):
            numbers = order[first : first + _ROWS]
            rows = np.asarray(vectors[numbers])
            known = self.count
            best, which = self.nearest(rows, known)
            for row, number in enumerate(numbers):
                if self.count > known:
                    # Those founded since the block was compared: a few at most.
                    late_best, late = self.nearest(rows[row : row + 1], self.count, known)
                    if late_best[0] > best[row]:
                        best[row], which[row] = late_best[0], late[0]
                if best[row] < likeness:
                    which[row] = self.count
                    self.count += 1
                self.sums[which[row]] += rows[row]
                owner[number] = which[row]
        return owner

    def nearest(self, rows: np.ndarray, end: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Cosine to, and number of, the person start..end-1 that each row is most like; -2 where there is none."""
        best, which = np.full(len(rows), -2.0, dtype=np.float32), np.zeros(len(rows), dtype=np.int32)
        unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for first in range(start, end, _BLOCK):
            block = np.asarray(self.sums[first : min(first + _BLOCK, end)])
            block = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12)
            cosines = unit @ block.T
            place = cosines.argmax(1)
            value = cosines[np.arange(len(rows)), place]
            better = value > best
            best[better], which[better] = value[better], first + place[better]
        return best, which


def _renumbered(owner: np.ndarray) -> np.ndarray:
    """Numbers from 0 without gaps, in order of their first picture."""
    _, first, inverse = np.unique(owner, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse].astype(np.int32)


def by_folder(persons: np.ndarray) -> np.ndarray:
    """(N,) numbers of folders -> (N,) int32 persons, numbered as `cluster` does."""
    return _renumbered(np.asarray(persons))
