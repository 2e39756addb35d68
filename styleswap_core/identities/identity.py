"""Whose face it is: an embedding, optionally `w_plus` of one generator, and where both come from.

Embeddings compare only within the recognizer that made them, and `w_plus` means something to one generator alone;
so an identity carries the names and hashes of both, and mixing them is an error.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import StyleSwapError
from ..faces.detected import FaceAnalyzer, select_faces
from ..io.files import atomic_write, file_sha256
from ..io.images import load_image

FORMAT = "styleswap-identity"
FORMAT_VERSION = 1
EMBEDDING_SIZE = 512
# A picture counts as an outlier when it is less than this times as close to the others as the median picture is.
_OUTLIER_RATIO = 0.5


@dataclass(frozen=True, eq=False)
class Identity:
    """A source identity; made consistent on construction (types, shapes, normalization).

    Attributes:
        id_embedding: (512,) float32 on the CPU, L2-normalized.
        recognizer: name of the recognizer, such as "w600k_r50".
        recognizer_sha256: of its file; "" if unknown (an identity that comes from another program).
        sources: SHA-256 of the picture files it was made from.
        w_plus: (num_ws, w_dim) float32, from inversion, or None.
        generator_sha256: of the generator that `w_plus` belongs to; "" without `w_plus`.

    Raises:
        StyleSwapError: a wrong shape, numbers that are not finite, a zero embedding, `w_plus` without its generator.
    """

    id_embedding: torch.Tensor
    recognizer: str
    recognizer_sha256: str = ""
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
        # Normalizing twice would change the last bit, and a saved identity must load as it was.
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
        """16 hexadecimal digits that name the identity without giving the embedding away."""
        levels = torch.round(self.id_embedding * 127).to(torch.int8).numpy().tobytes()
        return hashlib.sha256(levels).hexdigest()[:16]


@dataclass(frozen=True)
class SourceReport:
    """How one picture took part in an identity.

    Attributes:
        path: the file.
        similarity: cosine of its embedding to the mean of the others'; 1 if it is the only one.
        outlier: whether it differs so much that it may show another person.
        faces_found: number of faces in the picture; the one chosen was used.
    """

    path: str
    similarity: float
    outlier: bool
    faces_found: int


def extract_identity(
    paths: Sequence[str | Path],
    analyzer: FaceAnalyzer,
    face: str | Sequence[int] = "largest",
    drop_outliers: bool = False,
) -> tuple[Identity, list[SourceReport]]:
    """Make an identity out of one or more pictures of a person: the normalized mean of their embeddings.

    Args:
        paths: picture files.
        analyzer: a face analysis with a recognizer.
        face: which face of each picture, as for `select_faces`; must name one face.
        drop_outliers: leave pictures out that differ from the rest; otherwise they only show in the reports.

    Returns:
        the identity, and a report for each picture in order.

    Raises:
        StyleSwapError: no pictures, an unreadable picture or one without a face (named), a pack without recognizer.
    """
    if not paths:
        raise StyleSwapError("expected at least one source picture, got none")
    embeddings, hashes, counts = [], [], []
    for path in paths:
        picture = load_image(path)
        faces = analyzer.detect(picture)
        try:
            chosen = select_faces(faces, face)
        except StyleSwapError as error:
            raise StyleSwapError(f"{path}: {error}") from error
        if len(chosen) != 1:
            raise StyleSwapError(f"{path}: expected one source face, got {len(chosen)}; choose largest or one index")
        embedding = chosen[0].id_embedding
        if embedding is None:
            raise StyleSwapError("this face analysis pack has no recognizer (such as w600k_r50.onnx); use another pack")
        embeddings.append(embedding)
        hashes.append(file_sha256(path))
        counts.append(len(faces))
    identity, similarities, outliers = average_faces(embeddings, hashes, analyzer, drop_outliers)
    rows = zip(paths, similarities, outliers, counts, strict=True)
    return identity, [SourceReport(str(path), *row) for path, *row in rows]


def average_faces(
    embeddings: Sequence[np.ndarray], sources: Sequence[str], analyzer: FaceAnalyzer, drop_outliers: bool = False
) -> tuple[Identity, list[float], list[bool]]:
    """One identity out of several faces of a person.

    Args:
        embeddings: (512,) each, made by `analyzer`.
        sources: SHA-256 of the picture of each.
        drop_outliers: leave faces out that differ from the rest.

    Returns:
        the identity; for each face its cosine to the mean of the others; and whether it is an outlier.
    """
    similarities, outliers = find_outliers(embeddings)
    keep = [i for i, outlier in enumerate(outliers) if not (outlier and drop_outliers)]
    mean = average_embeddings([embeddings[i] for i in keep])
    kept = tuple(dict.fromkeys(sources[i] for i in keep))
    return Identity(mean, analyzer.recognizer_name, analyzer.recognizer_sha256, kept), similarities, outliers


def average_embeddings(
    embeddings: Sequence[np.ndarray | torch.Tensor], weights: Sequence[float] | None = None
) -> torch.Tensor:
    """Normalized weighted mean of normalized embeddings: (512,) float32.

    Raises:
        StyleSwapError: negative or all-zero weights, other counts, or embeddings that cancel each other.
    """
    stacked = F.normalize(torch.stack([torch.as_tensor(e, dtype=torch.float32) for e in embeddings]), dim=1)
    weights = [1.0] * len(stacked) if weights is None else [float(weight) for weight in weights]
    valid = len(weights) == len(stacked) and all(0.0 <= weight < math.inf for weight in weights)
    if not valid or sum(weights) <= 0:
        raise StyleSwapError(f"expected {len(stacked)} weights of 0 or more, not all 0; got {weights}")
    mean = (stacked * (torch.tensor(weights) / sum(weights))[:, None]).sum(0)
    if float(mean.norm()) < 1e-4:
        raise StyleSwapError("these identities cancel each other out; change the weights")
    return F.normalize(mean, dim=0)


def find_outliers(embeddings: Sequence[np.ndarray | torch.Tensor]) -> tuple[list[float], list[bool]]:
    """For each embedding, its cosine to the mean of the others, and whether it falls far below the median of those.

    The rule is relative, because the cosines of one person's pictures differ from recognizer to recognizer. With
    fewer than three embeddings none can be told from the rest, and none is an outlier.
    """
    stacked = F.normalize(torch.stack([torch.as_tensor(e, dtype=torch.float32) for e in embeddings]), dim=1)
    if len(stacked) == 1:
        return [1.0], [False]
    others = F.normalize(stacked.sum(0, keepdim=True) - stacked, dim=1)
    cosines = (stacked * others).sum(1)
    if len(stacked) == 2:
        return cosines.tolist(), [False, False]
    # A median of 0 or less means that no two of them agree: then there is no rest to fall away from.
    limit = _OUTLIER_RATIO * float(cosines.median())
    return cosines.tolist(), [limit > 0.0 and cosine < limit for cosine in cosines.tolist()]


def cosine_similarity(a: Identity, b: Identity) -> float:
    """-1..1; StyleSwapError if different recognizers made them."""
    check_same_recognizer([a, b])
    return float(a.id_embedding @ b.id_embedding)


def blend_identities(identities: Sequence[Identity], weights: Sequence[float] | None = None) -> Identity:
    """Weighted mix of identities.

    `w_plus` is mixed as well if all of them have it for the same generator, and dropped otherwise.

    Raises:
        StyleSwapError: none given, different recognizers, or unusable weights.
    """
    if not identities:
        raise StyleSwapError("expected at least one identity to blend, got none")
    check_same_recognizer(identities)
    embedding = average_embeddings([identity.id_embedding for identity in identities], weights)
    weights = [1.0] * len(identities) if weights is None else [float(weight) for weight in weights]
    generators = {identity.generator_sha256 for identity in identities}
    w_plus, generator = None, ""
    if len(generators) == 1 and all(identity.w_plus is not None for identity in identities):
        total = sum(weights)
        w_plus = sum(i.w_plus * (weight / total) for i, weight in zip(identities, weights, strict=True))
        generator = generators.pop()
    known = next((i for i in identities if i.recognizer_sha256), identities[0])
    sources = tuple(dict.fromkeys(source for identity in identities for source in identity.sources))
    return Identity(embedding, known.recognizer, known.recognizer_sha256, sources, w_plus, generator)


def is_recognizer(identity: Identity, analyzer: FaceAnalyzer) -> bool:
    """Whether the analysis has the recognizer that made the identity: by file hash where both are known, else by name."""
    if not analyzer.recognizer_name:
        return False
    if identity.recognizer_sha256 and analyzer.recognizer_sha256:
        return identity.recognizer_sha256 == analyzer.recognizer_sha256
    return identity.recognizer == analyzer.recognizer_name


def recognizer_words(recognizer: str) -> str:
    """How a sentence names the recognizer that a model wants, which may be known by the hash of its file alone."""
    is_hash = len(recognizer) == 64 and not set(recognizer) - set("0123456789abcdef")
    return f"of sha256 {recognizer[:16]}" if is_hash else repr(recognizer)


def check_same_recognizer(identities: Sequence[Identity]) -> None:
    """Raise StyleSwapError unless one recognizer made them all: by file hash where both are known, else by name."""
    first = identities[0]
    for other in identities[1:]:
        hashes = first.recognizer_sha256, other.recognizer_sha256
        same = hashes[0] == hashes[1] if all(hashes) else first.recognizer == other.recognizer
        if not same:
            raise StyleSwapError(
                f"identities of different recognizers do not mix: {first.recognizer!r} and {other.recognizer!r}"
                " (or another file of that name); extract both with the same face analysis pack"
            )


def save_identity(path: str | Path, identity: Identity) -> None:
    """Write an identity as safetensors, atomically.

    Raises:
        StyleSwapError: a suffix other than .safetensors, or a folder that is missing.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StyleSwapError(f"expected a file name ending in .safetensors, got {str(path)!r}; rename it")
    tensors = {"id_embedding": identity.id_embedding}
    if identity.w_plus is not None:
        tensors["w_plus"] = identity.w_plus
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "recognizer": identity.recognizer,
        "recognizer_sha256": identity.recognizer_sha256,
        "sources": json.dumps(identity.sources),
        "generator_sha256": identity.generator_sha256,
    }
    with atomic_write(path) as temporary:
        temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def load_identity(path: str | Path) -> Identity:
    """Read what save_identity wrote.

    Raises:
        StyleSwapError: no such file, not a safetensors file, another kind of file, or a newer format.
    """
    if not Path(path).is_file():
        raise StyleSwapError(f"expected an identity file, but {path} does not exist; check the path")
    try:
        with safe_open(str(path), "pt") as stream:
            metadata = stream.metadata() or {}
            _check_format(path, metadata)
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}
    except (SafetensorError, OSError) as error:
        raise StyleSwapError(f"{path} is not a safetensors file or is damaged; extract the identity again") from error
    if "id_embedding" not in tensors:
        raise StyleSwapError(f"{path} holds no id_embedding; extract the identity again")
    return replace(
        Identity(tensors["id_embedding"], metadata.get("recognizer", ""), metadata.get("recognizer_sha256", "")),
        sources=_sources(path, metadata),
        w_plus=tensors.get("w_plus"),
        generator_sha256=metadata.get("generator_sha256", ""),
    )


def _check_format(path: str | Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise StyleSwapError(f"{path} is not an identity file (format {metadata.get('format')!r}); extract one")
    version = metadata.get("format_version", "")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise StyleSwapError(f"{path} has identity format {version!r}, this program reads {FORMAT_VERSION}; update it")


def _sources(path: str | Path, metadata: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return tuple(str(source) for source in json.loads(metadata.get("sources", "[]")))
    except (json.JSONDecodeError, TypeError) as error:
        raise StyleSwapError(f"{path} has unreadable metadata; extract the identity again") from error
