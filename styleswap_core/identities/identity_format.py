"""File format of identities: a safetensors file with `id_embedding`, optional further tensors, and metadata.

The further tensors are `w_plus`, `portrait` and `portrait_points`; their absence, and that of `embedding_norm` and
`dimension` in the metadata, means the defaults of `Identity`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

from ..errors import StyleSwapError, decoding
from ..faces.recognizer_id import RecognizerId
from ..io.files import atomic_write, require_file
from ..io.json_text import parse_json
from .identity import EMBEDDING_SIZE, Identity

FORMAT = "styleswap-identity"
FORMAT_VERSION = 1

_MAX_DIGITS = 9
_OPTIONAL_TENSORS = ("w_plus", "portrait", "portrait_points")


def save_identity(path: str | Path, identity: Identity, portrait: bool = True) -> None:
    """Write an identity atomically.

    Args:
        path: The file, `.safetensors`.
        identity: The identity.
        portrait: Whether the file also gets the portrait, if there is one. Networks whose source is a picture need it;
            without it the file contains no picture.

    Raises:
        StyleSwapError: The suffix is not .safetensors, or the folder is missing.
    """
    path = check_suffix(path)
    tensors = {"id_embedding": identity.id_embedding}
    for name in _OPTIONAL_TENSORS:
        tensor = getattr(identity, name)
        if tensor is not None and (portrait or name not in ("portrait", "portrait_points")):
            tensors[name] = tensor
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        # Names of files that are not UTF-8 have surrogates, which the format cannot hold.
        "recognizer": identity.recognizer.name.encode(errors="backslashreplace").decode(),
        "recognizer_sha256": identity.recognizer.sha256,
        "sources": json.dumps(identity.sources),
        "generator_sha256": identity.generator_sha256,
    }
    if identity.recognizer.dimension != EMBEDDING_SIZE:
        metadata["dimension"] = str(identity.recognizer.dimension)
    if identity.embedding_norm:
        metadata["embedding_norm"] = repr(identity.embedding_norm)
    with atomic_write(path) as temporary:
        temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def check_suffix(path: str | Path) -> Path:
    """The path of a safetensors file to be written.

    Raises:
        StyleSwapError: The suffix is not .safetensors.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StyleSwapError(f"expected a file name ending in .safetensors, got {str(path)!r}; rename it")
    return path


def load_identity(path: str | Path) -> Identity:
    """Identity from a file that `save_identity` wrote.

    Raises:
        StyleSwapError: The file is missing, damaged, of another kind, or of a newer version.
    """
    require_file(path, "an identity file")
    with (
        decoding(f"{path} is not a safetensors file or is damaged", "extract the identity again"),
        safe_open(str(path), "pt") as stream,
    ):
        metadata = stream.metadata() or {}
        _check_format(path, metadata)
        # Others, of any size, are not loaded.
        names = {"id_embedding", *_OPTIONAL_TENSORS}.intersection(stream.keys())
        tensors = {name: stream.get_tensor(name) for name in names}
    if "id_embedding" not in tensors:
        raise StyleSwapError(f"{path} holds no id_embedding; extract the identity again")
    try:
        dimension = int(metadata.get("dimension", EMBEDDING_SIZE))
        norm = float(metadata.get("embedding_norm", 0.0))
    except ValueError as error:
        raise StyleSwapError(f"{path} has unreadable metadata; extract the identity again") from error
    with naming(path):
        return Identity(
            tensors["id_embedding"],
            RecognizerId(metadata.get("recognizer", ""), metadata.get("recognizer_sha256", ""), dimension),
            _sources(path, metadata),
            generator_sha256=metadata.get("generator_sha256", ""),
            embedding_norm=norm,
            **{name: tensors.get(name) for name in _OPTIONAL_TENSORS},
        )


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Context whose StyleSwapErrors name the file that holds an unusable identity."""
    try:
        yield
    except StyleSwapError as error:
        raise error if str(path) in str(error) else StyleSwapError(f"{path}: {error}") from error


def _check_format(path: str | Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise StyleSwapError(f"{path} is not an identity file (format {metadata.get('format')!r}); extract one")
    version = metadata.get("format_version", "")
    # Python converts no text of thousands of digits.
    if not version.isdecimal() or int(version[:_MAX_DIGITS]) > FORMAT_VERSION:
        raise StyleSwapError(
            f"expected identity format {FORMAT_VERSION} or older, {path} has format {version!r}; update this program"
        )


def _sources(path: str | Path, metadata: Mapping[str, str]) -> tuple[str, ...]:
    problem, remedy = f"{path} has unreadable metadata", "extract the identity again"
    sources = parse_json(metadata.get("sources", "[]"), problem, remedy)
    if not isinstance(sources, list):
        raise StyleSwapError(f"{problem} (sources is no list); {remedy}")
    return tuple(map(str, sources))
