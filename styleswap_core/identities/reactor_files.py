"""Face models of ReActor, another node pack for ComfyUI.

A face model is a `.safetensors` file without metadata with the nine fields of an insightface `Face`. Its `embedding`
comes from w600k_r50 and is not normalized. Source: files of ReActor, and the code that writes them.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from ..errors import StyleSwapError, decoding
from ..faces.alignment import template_points
from ..faces.recognizer_id import RecognizerId
from ..io.files import atomic_write, require_file
from .identity import EMBEDDING_SIZE, Identity
from .identity_format import check_suffix, load_identity, naming

RECOGNIZER = RecognizerId("w600k_r50")
"""Recognizer of all face models."""

FIELDS = {
    "bbox": (4,),
    "kps": (5, 2),
    "det_score": (),
    "landmark_3d_68": (68, 3),
    "pose": (3,),
    "landmark_2d_106": (106, 2),
    "embedding": (EMBEDDING_SIZE,),
    "gender": (),
    "age": (),
}
"""Shapes of the fields by name; ReActor requires all of them."""

_INTEGERS = ("gender", "age")
# Raw embeddings of w600k_r50 are many times as long as this differs from 1.
_NORMALIZED = 1e-3
# Side in pixels of the picture to which the coordinates in a written file refer.
_PICTURE_SIZE = 512


def load_any_identity(path: str | Path) -> Identity:
    """Identity from a file of this project or a face model.

    Raises:
        StyleSwapError: Neither of the two, or a damaged file.
    """
    embedding = _raw_embedding(path)
    if embedding is None:
        return load_identity(path)
    with naming(path):
        return _identity(embedding, Path(path).name)


def is_face_model(path: str | Path) -> bool:
    """Whether a file is a face model.

    Raises:
        StyleSwapError: The path is not a file.
    """
    return _raw_embedding(path) is not None


def _raw_embedding(path: str | Path) -> torch.Tensor | None:
    """Embedding of a face model, before its normalization; None for other files, damaged ones included."""
    require_file(path, "an identity file")
    # Damaged files are reported by load_identity.
    with (
        suppress(StyleSwapError),
        decoding(f"{path} is damaged", "build it again"),
        safe_open(str(path), "pt") as stream,
    ):
        # Programs that write safetensors files state other formats, such as "pt" for PyTorch.
        ours = (stream.metadata() or {}).get("format", "").startswith("styleswap-")
        if not ours and "embedding" in stream.keys():  # noqa: SIM118 - not iterable
            return torch.as_tensor(stream.get_tensor("embedding"))
    return None


def identity_of_face(face: object) -> Identity:
    """Identity from a face model in memory: an insightface `Face` or a similar mapping.

    Raises:
        StyleSwapError: It has no embedding (512,) of numbers.
    """
    embedding = face.get("embedding") if isinstance(face, Mapping) else None
    if embedding is None:
        raise StyleSwapError(
            f"expected a face model with an embedding, got {type(face).__name__}; make one with ReActor"
        )
    with decoding("expected a face model with an embedding of numbers", "make one with ReActor"):
        numbers = torch.as_tensor(np.asarray(embedding, dtype=np.float32))
    return _identity(numbers, "the face model")


def save_face_model(path: str | Path, identity: Identity) -> None:
    """Write an identity as a face model.

    The box and the five points are those of a centered face in a picture of 512 px. Landmarks, pose, gender and age,
    which an embedding does not tell, are 0.

    Raises:
        StyleSwapError: An identity of another recognizer, another suffix, or a folder that cannot be written to.
    """
    path = check_suffix(path)
    check_face_model(identity)
    points = template_points("ffhq", _PICTURE_SIZE)
    known = {
        "bbox": torch.tensor([0.2, 0.2, 0.8, 0.95]) * _PICTURE_SIZE,
        "kps": points,
        "det_score": torch.tensor(1.0),
        "embedding": identity.id_embedding * (identity.embedding_norm or 1.0),
    }
    tensors = {
        name: known.get(
            name, torch.zeros(shape, dtype=torch.int64 if name in _INTEGERS else torch.float32)
        ).contiguous()
        for name, shape in FIELDS.items()
    }
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors))


def check_face_model(identity: Identity) -> None:
    """Check that an identity can be a face model.

    Raises:
        StyleSwapError: Its recognizer is not that of face models.
    """
    if not identity.recognizer.matches(RECOGNIZER):
        raise StyleSwapError(
            f"a ReActor face model needs an embedding of {RECOGNIZER.name}, from insightface's buffalo_l, and this"
            f" identity was made with {identity.recognizer}; extract it with buffalo_l, or save a StyleSwap identity"
        )


def _identity(embedding: torch.Tensor, name: str) -> Identity:
    if embedding.numel() != EMBEDDING_SIZE:
        raise StyleSwapError(
            f"expected an embedding of {EMBEDDING_SIZE} numbers, {name} has {embedding.numel()}; build it with ReActor"
            " again"
        )
    raw = embedding.reshape(-1).float()
    norm = float(raw.norm())
    # Face models written by `save_face_model` from an identity of unknown norm are normalized.
    return Identity(raw, RECOGNIZER, embedding_norm=0.0 if abs(norm - 1.0) < _NORMALIZED else norm)
