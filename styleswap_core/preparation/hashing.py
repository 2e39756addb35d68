"""Near-duplicate search among any number of pictures, with eight bytes of memory for each."""

import cv2
import numpy as np

_BITS_16 = np.array([value.bit_count() for value in range(1 << 16)], dtype=np.uint8)


def perceptual_hash(crop: np.ndarray) -> int:
    """64-bit hash that changes little under scaling and compression: signs of the lowest DCT frequencies.

    Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010.

    Args:
        crop: (S, S, 3) uint8 RGB.
    """
    small = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    # The first coefficient is the mean brightness, which carries no information here.
    return int.from_bytes(np.packbits(low > np.median(low[1:])).tobytes(), "big")


class HashIndex:
    """Hashes of pictures 0, 1, 2, ..."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._count = len(hashes)
        self._store = np.zeros(max(1024, 2 * self._count), dtype=np.uint64)
        self._store[: self._count] = hashes

    def add(self, value: int) -> None:
        """Append the hash of the next picture."""
        if self._count == len(self._store):
            self._store = np.concatenate([self._store, np.zeros_like(self._store)])
        self._store[self._count] = value
        self._count += 1

    def near(self, value: int, distance: int) -> list[int]:
        """Pictures whose hash differs in at most `distance` bits, nearest first."""
        # A linear scan: a million hashes take a few milliseconds, and indexes for this distance would be larger.
        bits = _bit_count(self._store[: self._count] ^ np.uint64(value))
        found = np.flatnonzero(bits <= distance)
        return found[np.argsort(bits[found], kind="stable")].tolist()


def _bit_count(values: np.ndarray) -> np.ndarray:
    if hasattr(np, "bitwise_count"):  # NumPy 2.0 and later
        return np.bitwise_count(values)
    return _BITS_16[values.view(np.uint16)].reshape(-1, 4).sum(1)
