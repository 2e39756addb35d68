"""StyleSwap's generator as a swapping network, baked for each identity."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints import load_generator, model_sha256
from ..devices import choose_device, choose_precision
from ..errors import StyleSwapError
from ..faces.recognizer_id import RecognizerId
from ..identities.identity import Identity
from ..model import Generator, GeneratorConfig
from ..model.inference.baked_generator import BakedGenerator, bake
from .baked_cache import BakedCache
from .network import SwappedCrops

SYNTHETIC_NOTICE = (
    "this model was trained on rendered faces only: on photographs, results will not resemble the source person; use"
    " a network for photographs, such as inswapper or HyperSwap, or train one on your own pictures (styleswap train)"
)
STARTING_POINT_NOTICE = (
    "this model was converted as a starting point for training (styleswap train) and cannot swap yet"
)


class StyleSwapNetwork:
    """A `Generator` behind the interface of `network.SwappingNetwork`.

    By default each identity is baked into a copy of the generator (`model.inference`), which is several times as fast;
    baking takes about as long as one or two swaps. With a strength other than 1 the result depends on the identity of
    each target, which cannot be baked; such crops run through the generator itself.

    Attributes:
        generator: The generator, on the device where it runs.
        metadata: Free-form metadata of its checkpoint.
        baked: Whether identities are baked.
        cache: Baked generators.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        sha256: str = "",
        metadata: Mapping[str, object] | None = None,
        baked: bool = True,
        cache: BakedCache[BakedGenerator] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Wrap a generator.

        Args:
            generator: The generator, in evaluation mode on the device where it is to run.
            sha256: SHA-256 of its checkpoint; required for identities with `w_plus` and for sharing a cache.
            metadata: Metadata of its checkpoint; determines `notice`.
            baked: Whether to bake identities; not worthwhile if each identity is used for one or two pictures only.
            cache: Cache to use, possibly shared; a new one by default.
            dtype: Precision of the baked convolutions; by default the fastest one on the device.
        """
        self.generator = generator
        self.metadata = dict(metadata or {})
        self.baked = baked
        self.cache: BakedCache[BakedGenerator] = BakedCache() if cache is None else cache
        self._dtype = dtype
        self._sha256 = sha256
        # Without a hash its entries must not be shared, and an object is equal to itself only.
        self._key: Hashable = sha256 or object()

    @property
    def name(self) -> str:
        """Name for reports."""
        return "StyleSwap"

    @property
    def size(self) -> int:
        """Edge length of its aligned crops in pixels."""
        return self.generator.config.size

    @property
    def template(self) -> str:
        """Name of its crop template."""
        return self.generator.config.template

    @property
    def recognizer(self) -> RecognizerId:
        """Recognizer whose embeddings it takes."""
        return required_recognizer(self.generator.config)

    @property
    def has_mask(self) -> bool:
        """Whether the generator has a mask branch."""
        return self.generator.config.mask_branch

    @property
    def phased(self) -> bool:
        """False: it is trained on whole crops, whose fine detail a phase lacks."""
        return False

    @property
    def sha256(self) -> str:
        """SHA-256 of the checkpoint, or an empty string."""
        return self._sha256

    @property
    def device(self) -> torch.device:
        """Device of the generator."""
        return next(self.generator.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the baked convolutions; a generator may be moved to a device with another one."""
        return choose_precision(self.device, "inference").dtype if self._dtype is None else self._dtype

    def check(self, identity: Identity) -> None:
        """See SwappingNetwork; an embedding of the right length is all it needs."""
        length = self.generator.config.style_dim
        # Files without the name of a recognizer take those of any.
        if len(identity.id_embedding) != length:
            raise StyleSwapError(
                f"this model takes embeddings of {length} numbers, and this identity has {len(identity.id_embedding)},"
                f" from {identity.recognizer}; extract it with the face analysis pack that belongs to the model"
            )

    def notice(self, rendered: bool = False) -> str | None:
        """Limitation of the model that a user should know; see `domain_notice`."""
        return domain_notice(self.metadata, rendered)

    @torch.no_grad()
    def swap_crops(
        self,
        crops: Tensor,
        identities: Sequence[Identity],
        own_embeddings: Tensor | None = None,
        strength: float = 1.0,
    ) -> SwappedCrops:
        """Swap aligned crops (B, 3, S, S), -1..1, for B identities; see `SwappingNetwork.swap_crops`."""
        if own_embeddings is not None or not self.baked:
            return run_generator(self.generator, crops, identities, own_embeddings, strength)
        crops = crops.to(self.device, torch.float32)
        rows_by_identity: dict[str, list[int]] = {}
        for row, identity in enumerate(identities):
            rows_by_identity.setdefault(identity_sha256(identity), []).append(row)
        if len(rows_by_identity) == 1:
            output = self.baked_for(identities[0])(crops)
            return SwappedCrops(output.rgb, output.mask)
        parts = [self.baked_for(identities[rows[0]])(crops[rows]) for rows in rows_by_identity.values()]
        order = torch.tensor([row for rows in rows_by_identity.values() for row in rows], device=self.device).argsort()
        return SwappedCrops(
            torch.cat([part.rgb for part in parts])[order], torch.cat([part.mask for part in parts])[order]
        )

    def baked_for(self, identity: Identity) -> BakedGenerator:
        """The generator baked for an identity, from the cache if possible."""
        key = (self._key, identity_sha256(identity), self.dtype, str(self.device))
        return self.cache.get(key, lambda: bake_identity(self.generator, identity, self.dtype))


def load_styleswap_model(
    path: Path, device: str | torch.device | None = None, *, baked: bool = True
) -> StyleSwapNetwork:
    """Load a checkpoint of this project, ready to swap; arguments as for `model_files.load_model`.

    Raises:
        StyleSwapError: The file is missing or damaged, or the device does not exist.
    """
    place = device if isinstance(device, torch.device) else choose_device(device)
    generator, metadata = load_generator(path)
    generator = generator.eval().requires_grad_(False).to(place)
    return StyleSwapNetwork(generator, sha256=model_sha256(path), metadata=metadata, baked=baked)


def required_recognizer(config: GeneratorConfig) -> RecognizerId:
    """The recognizer that a generator was trained with; falsy if its file does not name one."""
    return RecognizerId(config.recognizer, config.recognizer_sha256, config.style_dim)


@torch.no_grad()
def run_generator(
    generator: Generator,
    crops: Tensor,
    identities: Sequence[Identity],
    own_embeddings: Tensor | None = None,
    strength: float = 1.0,
) -> SwappedCrops:
    """Output of the unbaked generator, on its device; arguments as for `SwappingNetwork.swap_crops`.

    `strength` interpolates in W: 0 is `FC_w` of the target's own embedding, 1 the source; above 1 it extrapolates.
    """
    weight = next(generator.parameters())
    crops = crops.to(weight)
    embeddings = torch.stack([identity.id_embedding for identity in identities]).to(weight)
    w_plus = generator.broadcast(generator.map_identity(embeddings))
    if any(identity.w_plus is not None for identity in identities):
        w_plus = torch.stack(
            [
                row if identity.w_plus is None else identity.w_plus.to(weight)
                for row, identity in zip(w_plus, identities, strict=True)
            ]
        )
    if own_embeddings is not None:
        w_plus = torch.lerp(generator.broadcast(generator.map_identity(own_embeddings.to(weight))), w_plus, strength)
    output = generator.synthesis(w_plus, generator.encode(crops), crops)
    return SwappedCrops(output.rgb, output.mask)


@torch.no_grad()
def bake_identity(
    generator: Generator, identity: Identity, dtype: torch.dtype = torch.float32, packed: bool | None = None
) -> BakedGenerator:
    """Generator baked for an identity: for its `w_plus` if it has one, otherwise for its embedding."""
    if identity.w_plus is not None:
        return bake(generator, identity.w_plus, dtype, packed)
    embedding = identity.id_embedding[None].to(next(generator.parameters()))
    return bake(generator, generator.broadcast(generator.map_identity(embedding)), dtype, packed)


def identity_sha256(identity: Identity) -> str:
    """Hexadecimal SHA-256 of the part of an identity that reaches the generator."""
    tensor = identity.id_embedding if identity.w_plus is None else identity.w_plus
    kind = b"id_embedding" if identity.w_plus is None else b"w_plus"
    return hashlib.sha256(kind + tensor.contiguous().numpy().tobytes()).hexdigest()


def domain_notice(metadata: Mapping[str, object] | None, rendered: bool = False) -> str | None:
    """Notice for a model that was trained on rendered faces only or not at all; None for others.

    Args:
        metadata: Metadata of the checkpoint; `domain: synthetic` or `starting_point: true` marks such a model.
        rendered: Whether the picture is known to be rendered as well.
    """
    if metadata is None:
        return None
    if metadata.get("starting_point"):
        return STARTING_POINT_NOTICE
    return SYNTHETIC_NOTICE if metadata.get("domain") == "synthetic" and not rendered else None
