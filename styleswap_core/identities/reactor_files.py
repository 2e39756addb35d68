"""Face models of ReActor: identities as that other ComfyUI pack saves them.

A `.safetensors` file without metadata that holds the nine fields of an insightface `Face`. Its `embedding` comes from
w600k_r50 and is not normalized. The fields were read in files and in the program that writes them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import StyleSwapError
from ..faces.alignment import template_points
from ..faces.recognizer_id import RecognizerId
from ..io.files import atomic_write
from .identity import EMBEDDING_SIZE, Identity
from .identity_format import load_identity

RECOGNIZER = RecognizerId("w600k_r50")
"""The recognizer that made every face model."""

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
"""Name -> shape; all of them must be there for the other program to load the file."""

_INTEGERS = ("gender", "age")
_PICTURE = 512  # the side that the places of a written file refer to


def load_any_identity(path: str | Path) -> Identity:
    """An identity of this project, or a face model, whichever the file holds.

    Raises:
        StyleSwapError: neither of the two, or a damaged file.
    """
    path = Path(path)
    try:
        with safe_open(str(path), "pt") as stream:
            foreign = not (stream.metadata() or {}).get("format") and "embedding" in stream.keys()  # noqa: SIM118
            embedding = stream.get_tensor("embedding") if foreign else None
    except (SafetensorError, OSError):
        foreign, embedding = False, None
    # load_identity says what is wrong with a file that is missing or no safetensors file.
    return _identity(embedding, path.name) if foreign else load_identity(path)


def identity_of_face(face: object) -> Identity:
    """The identity in a face model that another node hands over: an insightface `Face`, or a mapping like it.

    Raises:
        StyleSwapError: it has no embedding (512,).
    """
    embedding = face.get("embedding") if isinstance(face, Mapping) else None
    if embedding is None:
        raise StyleSwapError(
            f"expected a face model with an embedding, got {type(face).__name__}; make one with ReActor"
        )
    return _identity(torch.as_tensor(np.asarray(embedding)), "the face model")


def save_face_model(path: str | Path, identity: Identity) -> None:
    """Write an identity so that ReActor can load it.

    An identity knows the embedding alone. The face's place is that of a centerd face in a picture of 512 px, and what
    nobody can know from an embedding (landmarks, pose, gender, age) is 0.

    Raises:
        StyleSwapError: an identity of another recognizer, another suffix, or a folder that cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StyleSwapError(f"expected a file name ending in .safetensors, got {str(path)!r}; rename it")
    if not identity.recognizer.matches(RECOGNIZER):
        raise StyleSwapError(
            f"a ReActor face model needs an embedding of {RECOGNIZER.name} (in insightface's buffalo_l), this identity was"
            f" made with {identity.recognizer}; extract it with that pack, or save it as a StyleSwap identity"
        )
    points = template_points("ffhq", _PICTURE)
    known = {
        "bbox": torch.tensor([0.2, 0.2, 0.8, 0.95]) * _PICTURE,
        "kps": points,
        "det_score": torch.tensor(1.0),
        "embedding": identity.id_embedding,
    }
    tensors = {
        name: known.get(
            name, torch.zeros(shape, dtype=torch.int64 if name in _INTEGERS else torch.float32)
        ).contiguous()
        for name, shape in FIELDS.items()
    }
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors))


def _identity(embedding: torch.Tensor, name: str) -> Identity:
    if embedding.numel() != EMBEDDING_SIZE:
        raise StyleSwapError(
            f"{name} holds an embedding of {embedding.numel()} numbers, expected {EMBEDDING_SIZE}; build it again with ReActor"
        )
    return Identity(embedding.reshape(-1).float(), RECOGNIZER)
