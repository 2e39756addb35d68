"""Clustering of embeddings by person, in constant memory except for a few bytes per picture.

A picture belongs to the person whose mean embedding is most similar to it, if the similarity reaches a threshold.
Three passes: pictures are assigned to existing or new people one after another; people that turn out to be similar are
merged, those with most pictures first; finally, each picture is assigned to the most similar person.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..io.files import reserve

_ROWS = 1024
_BLOCK = 8192
_SCRATCH = "people-"
_MERGE_ROUNDS = 4


def cluster(embeddings: np.ndarray, likeness: float, scratch: Path) -> np.ndarray:
    """Assign pictures to people.

    Args:
        embeddings: (N, D), L2-normalized; may be memory-mapped.
        likeness: Minimum cosine similarity to a person's mean, 0..1.
        scratch: Folder for temporary files, at most as large as the embeddings.

    Returns:
        (N,) int32: people, numbered from 0 in the order of their first pictures.
    """
    for left_behind in scratch.glob(f"{_SCRATCH}*"):
        # By a process that was killed; this one alone uses the folder.
        shutil.rmtree(left_behind, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=_SCRATCH) as folder:
        people = _People(Path(folder) / "sums-0", len(embeddings), embeddings.shape[1])
        owner = people.assign(embeddings, np.arange(len(embeddings)), likeness, "people")
        for turn in range(1, _MERGE_ROUNDS + 1):
            sizes = np.bincount(owner, minlength=people.count)
            merged = _People(Path(folder) / f"sums-{turn}", people.count, embeddings.shape[1])
            new_number = merged.assign(people.sums, np.argsort(-sizes, kind="stable"), likeness, "merge people")
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
            similar = best >= likeness
            owner[first : first + len(rows)][similar] = which[similar]
        return _renumbered(owner)


class _People:
    """Sums of the embeddings of people, on disk."""

    def __init__(self, path: Path, capacity: int, width: int) -> None:
        self.sums = np.memmap(path, np.float32, "w+", shape=(max(1, capacity), width))
        reserve(path)
        self.count = 0

    def assign(self, vectors: np.ndarray, order: np.ndarray, likeness: float, description: str) -> np.ndarray:
        """Add vectors in an order, each to the most similar person or as a new one; returns the person of each (N,)."""
        owner = np.empty(len(order), dtype=np.int32)
        for first in tqdm(range(0, len(order), _ROWS), desc=description, unit="block", leave=False, delay=1.0):
            numbers = order[first : first + _ROWS]
            rows = np.asarray(vectors[numbers])
            known = self.count
            best, which = self.nearest(rows, known)
            for row, number in enumerate(numbers):
                if self.count > known:
                    # Compare with the few people that were added since the block was compared.
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
        """Cosine similarity and number of the most similar person from start to end - 1; -2 if there is none."""
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
    """Numbers from 0 without gaps, in the order of their first pictures."""
    _, first, inverse = np.unique(owner, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse].astype(np.int32)


def by_folder(folders: np.ndarray) -> np.ndarray:
    """Numbers of folders (N,) -> people (N,) int32, numbered as in `cluster`."""
    return _renumbered(np.asarray(folders))
