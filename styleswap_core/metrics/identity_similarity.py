"""Identity similarity: embeddings of a recognizer, their cosine similarities, and top-1 retrieval."""

import torch.nn.functional as F
from torch import Tensor

from ..faces.alignment import recognizer_crop
from ..faces.arcface import TorchRecognizer
from ..io.images import from_uint8, to_uint8


def embed_faces(recognizer: TorchRecognizer, pictures: Tensor, points: Tensor, normalize: bool = True) -> Tensor:
    """Embeddings (B, D) of one face per picture.

    Crops follow insightface's `norm_crop` and are rounded to 8 bits like its own, since embeddings depend on both.

    Args:
        recognizer: The recognizer.
        pictures: (B, 3, H, W) RGB in -1..1.
        points: (B, 5, 2) in pixels.
        normalize: Whether to L2-normalize them.
    """
    crops = round_to_8_bits(recognizer_crop(pictures, points, recognizer.input_size))
    embeddings = recognizer(crops).float()
    return F.normalize(embeddings, dim=1) if normalize else embeddings


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Row-wise cosine similarity (B,) of two sets of embeddings (B, D)."""
    return F.cosine_similarity(first, second, dim=1)


def retrieval_hits(probes: Tensor, gallery: Tensor, labels: Tensor, people: Tensor | None = None) -> Tensor:
    """Whether the gallery embedding nearest to each probe is the right one: (B,) of 1.0 and 0.0.

    The mean is the top-1 retrieval rate.

    Args:
        probes: (B, D) embeddings.
        gallery: (N, D) embeddings to search.
        labels: (B,) int64, the right row of the gallery for each probe; with `people`, the right person.
        people: (N,) int64, the person that each row of the gallery shows.
    """
    nearest = (F.normalize(probes, dim=1) @ F.normalize(gallery, dim=1).T).argmax(dim=1)
    found = nearest if people is None else people.to(nearest.device)[nearest]
    return (found == labels.to(nearest.device)).float()


def round_to_8_bits(image: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in -1..1, rounded to the 256 levels of a picture file."""
    return from_uint8(to_uint8(image)).to(image.device)
