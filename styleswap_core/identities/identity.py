"""Source identities: an embedding, optionally `w_plus` for one generator, and the origin of both."""

import hashlib
import math
from dataclasses import dataclass

import torch

from ..errors import StyleSwapError
from ..faces.recognizer_id import RecognizerId

EMBEDDING_SIZE = 512
"""Length of the embeddings of ArcFace, which most recognizers share."""

PORTRAIT_SIZE = 512


@dataclass(frozen=True, eq=False)
class Identity:
    """A source identity, checked and normalized on construction.

    Embeddings can be compared only within the recognizer that made them, and `w_plus` is valid for one generator only;
    an identity therefore names both.

    Attributes:
        id_embedding: (D,) float32 on the CPU, L2-normalized; D is `recognizer.dimension`, 512 for ArcFace.
        recognizer: The recognizer that made the embedding.
        sources: SHA-256 of the pictures it was made from.
        w_plus: (num_ws, w_dim) float32, from inversion, or None. For networks of other programs, (1, 512): the numbers
            that enter the network.
        generator_sha256: SHA-256 of the model file that `w_plus` belongs to; empty without `w_plus`.
        embedding_norm: Norm of the embedding before normalization; 0 if unknown.
        portrait: (3, PORTRAIT_SIZE, PORTRAIT_SIZE) uint8 RGB, the best source face aligned by the template `ffhq`, for
            networks whose source is a picture; None if there is none.
        portrait_points: (5, 2) float32, the five points in the portrait in continuous pixels; None where those of the
            template are the best guess.

    Raises:
        StyleSwapError: A wrong shape, values that are not finite, a zero embedding, or `w_plus` without its generator.
    """

    id_embedding: torch.Tensor
    recognizer: RecognizerId
    sources: tuple[str, ...] = ()
    w_plus: torch.Tensor | None = None
    generator_sha256: str = ""
    embedding_norm: float = 0.0
    portrait: torch.Tensor | None = None
    portrait_points: torch.Tensor | None = None

    def __post_init__(self) -> None:
        embedding = torch.as_tensor(self.id_embedding).detach().to("cpu", torch.float32)
        if tuple(embedding.shape) != (self.recognizer.dimension,):
            raise StyleSwapError(
                f"expected an embedding ({self.recognizer.dimension},) of {self.recognizer}, got"
                f" {tuple(embedding.shape)}"
            )
        norm = float(embedding.norm())
        if not math.isfinite(norm) or norm < 1e-6:
            raise StyleSwapError("expected an embedding of finite numbers that is not zero; extract the identity again")
        # Normalizing again would change the last bit; a saved identity must load unchanged.
        embedding = embedding.clone() if abs(norm - 1.0) < 1e-5 else embedding / norm
        object.__setattr__(self, "id_embedding", embedding)
        object.__setattr__(self, "sources", tuple(self.sources))
        self._check_source_face()
        if self.w_plus is None:
            object.__setattr__(self, "generator_sha256", "")
            return
        w_plus = torch.as_tensor(self.w_plus).detach().to("cpu", torch.float32).clone()
        if w_plus.ndim != 2 or not bool(torch.isfinite(w_plus).all()):
            raise StyleSwapError(f"expected w_plus (num_ws, w_dim) of finite numbers, got {tuple(w_plus.shape)}")
        if not self.generator_sha256:
            raise StyleSwapError("an identity with w_plus needs the hash of its generator; invert the identity again")
        object.__setattr__(self, "w_plus", w_plus)

    def _check_source_face(self) -> None:
        """Check norm and portrait, and copy the portrait.

        Raises:
            StyleSwapError: A norm below 0, or a portrait or points of another shape.
        """
        if not 0.0 <= self.embedding_norm < math.inf:
            raise StyleSwapError(f"expected a norm of the embedding of 0 or more, got {self.embedding_norm}")
        object.__setattr__(self, "embedding_norm", float(self.embedding_norm))
        if self.portrait is None:
            object.__setattr__(self, "portrait_points", None)
            return
        portrait = torch.as_tensor(self.portrait).detach().cpu()
        if tuple(portrait.shape) != (3, PORTRAIT_SIZE, PORTRAIT_SIZE) or portrait.dtype != torch.uint8:
            raise StyleSwapError(
                f"expected a portrait (3, {PORTRAIT_SIZE}, {PORTRAIT_SIZE}) uint8, got {portrait.dtype}"
                f" {tuple(portrait.shape)}; extract the identity again"
            )
        object.__setattr__(self, "portrait", portrait.clone())
        if self.portrait_points is None:
            return
        points = torch.as_tensor(self.portrait_points).detach().to("cpu", torch.float32).clone()
        if tuple(points.shape) != (5, 2) or not bool(torch.isfinite(points).all()):
            raise StyleSwapError(f"expected five finite points (5, 2) in the portrait, got {tuple(points.shape)}")
        object.__setattr__(self, "portrait_points", points)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the identity without revealing the embedding."""
        levels = torch.round(self.id_embedding * 127).to(torch.int8).numpy().tobytes()
        return hashlib.sha256(levels).hexdigest()[:16]
