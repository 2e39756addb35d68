"""Source identities: an embedding, optionally `w_plus` for one generator, and the origin of both."""

import hashlib
import math
from dataclasses import dataclass

import torch

from ..errors import StyleSwapError
from ..faces.recognizer_id import RecognizerId

EMBEDDING_SIZE = 512


@dataclass(frozen=True, eq=False)
class Identity:
    """A source identity, checked and normalized on construction.

    Embeddings can be compared only within the recognizer that made them, and `w_plus` is valid for one generator only;
    an identity therefore names both.

    Attributes:
        id_embedding: (512,) float32 on the CPU, L2-normalized.
        recognizer: The recognizer that made the embedding.
        sources: SHA-256 of the pictures it was made from.
        w_plus: (num_ws, w_dim) float32, from inversion, or None.
        generator_sha256: SHA-256 of the generator that `w_plus` belongs to; empty without `w_plus`.

    Raises:
        StyleSwapError: A wrong shape, values that are not finite, a zero embedding, or `w_plus` without its generator.
    """

    id_embedding: torch.Tensor
    recognizer: RecognizerId
    sources: tuple[str, ...] = ()
    w_plus: torch.Tensor | None = None
    generator_sha256: str = ""

    def __post_init__(self) -> None:
        embedding = torch.as_tensor(self.id_embedding).detach().to("cpu", torch.float32)
        if tuple(embedding.shape) != (EMBEDDING_SIZE,):
            raise StyleSwapError(f"expected an embedding ({EMBEDDING_SIZE},), got {tuple(embedding.shape)}")
        norm = float(embedding.norm())
        if not math.isfinite(norm) or norm < 1e-6:
            raise StyleSwapError("expected an embedding of finite numbers that is not zero; extract the identity again")
        # Normalizing again would change the last bit; a saved identity must load unchanged.
        embedding = embedding.clone() if abs(norm - 1.0) < 1e-5 else embedding / norm
        object.__setattr__(self, "id_embedding", embedding)
        object.__setattr__(self, "sources", tuple(self.sources))
        if self.w_plus is None:
            object.__setattr__(self, "generator_sha256", "")
            return
        w_plus = torch.as_tensor(self.w_plus).detach().to("cpu", torch.float32).clone()
        if w_plus.ndim != 2 or not bool(torch.isfinite(w_plus).all()):
            raise StyleSwapError(f"expected w_plus (num_ws, w_dim) of finite numbers, got {tuple(w_plus.shape)}")
        if not self.generator_sha256:
            raise StyleSwapError("an identity with w_plus needs the hash of its generator; invert the identity again")
        object.__setattr__(self, "w_plus", w_plus)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the identity without revealing the embedding."""
        levels = torch.round(self.id_embedding * 127).to(torch.int8).numpy().tobytes()
        return hashlib.sha256(levels).hexdigest()[:16]
