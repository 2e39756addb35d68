"""Baked generators of the identities in use, kept within a bound of memory, and the pipeline's way to run them."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch

from ..identities.identity import Identity
from ..model import Generator, GeneratorOutput
from ..model.inference.baked_generator import BakedGenerator
from ..model.inference.packed_conv import fastest_dtype
from ..pipeline.swap import generate_faces

DEFAULT_CACHE_BYTES = 1 << 30


class BakedCache:
    """The baked generators that were used last, up to `max_bytes` of weights; safe to use from several threads.

    The newest is always kept, even where it alone is larger.
    """

    def __init__(self, max_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, BakedGenerator] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], BakedGenerator]) -> BakedGenerator:
        """The entry under `key`; made, and older ones dropped for it, if there is none."""
        with self._lock:
            if key not in self._entries:
                self._entries[key] = make()
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and self._bytes() > self.max_bytes:
                self._entries.popitem(last=False)
            return self._entries[key]

    def bytes(self) -> int:
        """What all entries take."""
        with self._lock:
            return self._bytes()

    def clear(self) -> None:
        """Drop all entries; memory is free as soon as nobody uses them any more."""
        with self._lock:
            self._entries.clear()

    def keys(self) -> list[Hashable]:
        """Of all entries, the one used longest ago first."""
        with self._lock:
            return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _bytes(self) -> int:
        return sum(entry.memory_bytes() for entry in self._entries.values())


def identity_sha256(identity: Identity) -> str:
    """Hexadecimal SHA-256 of what the generator gets to see of an identity."""
    tensor = identity.id_embedding if identity.w_plus is None else identity.w_plus
    kind = b"id_embedding" if identity.w_plus is None else b"w_plus"
    return hashlib.sha256(kind + tensor.contiguous().numpy().tobytes()).hexdigest()


class BakedFaces:
    """Runs a generator for the pipeline (`swap.Generate`), baked for each identity.

    A strength below 1 mixes every target's own identity in, which no baking can foresee: then the generator runs as it is.
    """

    def __init__(
        self,
        generator: Generator,
        generator_sha256: str = "",
        cache: BakedCache | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Args:
        generator: on the device where it is to run.
        generator_sha256: of its checkpoint; with it, a cache can be shared between several of these.
        cache: a new one by default.
        dtype: of the convolutions; by default the fastest that the device has.
        """
        self.generator = generator
        self.cache = BakedCache() if cache is None else cache
        self.device = next(generator.parameters()).device
        self.dtype = fastest_dtype(self.device) if dtype is None else dtype
        # Without a hash nothing else may share its entries: an object equals itself alone.
        self._name: Hashable = generator_sha256 or object()

    def baked(self, identity: Identity) -> BakedGenerator:
        """The generator for one identity, from the cache if it is there."""
        key = (self._name, identity_sha256(identity), self.dtype, str(self.device))
        return self.cache.get(key, lambda: self._bake(identity))

    @torch.no_grad()
    def __call__(
        self,
        crops: torch.Tensor,
        identities: Sequence[Identity],
        own: torch.Tensor | None = None,
        strength: float = 1.0,
    ) -> GeneratorOutput:
        """As `swap.generate_faces`; crops (B, 3, S, S), B identities."""
        if own is not None:
            return generate_faces(self.generator, crops, identities, own, strength)
        crops = crops.to(self.device, torch.float32)
        rows_of: dict[str, list[int]] = {}
        for row, identity in enumerate(identities):
            rows_of.setdefault(identity_sha256(identity), []).append(row)
        if len(rows_of) == 1:
            return self.baked(identities[0])(crops)
        parts = [self.baked(identities[rows[0]])(crops[rows]) for rows in rows_of.values()]
        order = torch.tensor(sum(rows_of.values(), []), device=self.device).argsort()
        return GeneratorOutput(*(torch.cat(fields)[order] for fields in zip(*parts, strict=True)))

    def _bake(self, identity: Identity) -> BakedGenerator:
        return bake_identity(self.generator, identity, self.dtype)


@torch.no_grad()
def bake_identity(
    generator: Generator, identity: Identity, dtype: torch.dtype = torch.float32, packed: bool | None = None
) -> BakedGenerator:
    """`Generator.bake` for an identity: by its `w_plus` where it has one, else by its embedding."""
    if identity.w_plus is not None:
        return generator.bake(identity.w_plus, dtype, packed)
    at = next(generator.parameters())
    return generator.bake(
        generator.broadcast(generator.map_identity(identity.id_embedding[None].to(at))), dtype, packed
    )
