"""Files of finished tracks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import StyleSwapError, decoding
from ..io.files import atomic_write
from .track import SteadyTrack

_NOT_CHOSEN = -1
_PER_FRAME = ("frames", "points", "boxes", "scores", "detected")


def save_tracks(path: Path, tracks: Sequence[SteadyTrack], counts: Sequence[int], smoothing: float) -> None:
    """Write tracks to a .npz file.

    Args:
        path: The file.
        tracks: The tracks.
        counts: Numbers to store with them.
        smoothing: The smoothing with which they were made.

    Raises:
        StyleSwapError: It cannot be written.
    """
    arrays = {"numbers": np.array([track.number for track in tracks]), "counts": np.array(counts, np.int64)}
    arrays["smoothing"] = np.array(smoothing, np.float64)
    for place, track in enumerate(tracks):
        for name in _PER_FRAME:
            arrays[f"{place}.{name}"] = getattr(track, name)
        votes = [[_NOT_CHOSEN if one is None else one, weight] for one, weight in track.votes.items()]
        arrays[f"{place}.votes"] = np.array(votes, np.float64).reshape(-1, 2)
        arrays[f"{place}.bridged"] = np.array(track.bridged, np.int64).reshape(-1, 2)
        arrays[f"{place}.embedding"] = np.zeros(0) if track.embedding is None else track.embedding
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_tracks(path: Path) -> tuple[list[SteadyTrack], list[int], float] | None:
    """Tracks, numbers and smoothing of a file; None if it is missing or damaged."""
    try:
        with decoding(f"{path} is damaged", "delete it"):
            return _read(path)
    except StyleSwapError:
        return None


def _read(path: Path) -> tuple[list[SteadyTrack], list[int], float]:
    with np.load(path) as arrays:
        tracks = [_track(arrays, place, number) for place, number in enumerate(arrays["numbers"].tolist())]
        return tracks, arrays["counts"].tolist(), float(arrays["smoothing"])


def _track(arrays: Mapping[str, np.ndarray], place: int, number: int) -> SteadyTrack:
    frames, points, boxes, scores, detected = (arrays[f"{place}.{name}"] for name in _PER_FRAME)
    embedding, votes = arrays[f"{place}.embedding"], arrays[f"{place}.votes"].tolist()
    return SteadyTrack(
        number,
        frames,
        points,
        boxes,
        scores,
        detected,
        embedding if embedding.size else None,
        {None if one == _NOT_CHOSEN else int(one): weight for one, weight in votes},
        tuple((first, last) for first, last in arrays[f"{place}.bridged"].tolist()),
    )
