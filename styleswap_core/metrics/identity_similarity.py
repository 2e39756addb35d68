"""Whose face it is, by a recognizer: embeddings, cosines, retrieval."""

import torch.nn.functional as F
from torch import Tensor

from ..faces.alignment import recognizer_crop
from ..faces.arcface import TorchRecognizer
from ..io.images import from_uint8, to_uint8


def embed_faces(recognizer: TorchRecognizer, pictures: Tensor, points: Tensor) -> Tensor:
    """Embeddings (B,512) of the faces at `points` (B,5,2) px of `pictures` (B,3,H,W) in -1..1, L2-normalized.

    Crops follow insightface's own `norm_crop` and are rounded to 8 bits as those are: embeddings drift when the
    crop does.
    """
    crops = eight_bit(recognizer_crop(pictures, points, recognizer.input_size))
    return F.normalize(recognizer(crops).float(), dim=1)


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Row by row cosine of two sets of embeddings (B,D): (B,)."""
    return F.cosine_similarity(first, second, dim=1)


def retrieval_hits(probes: Tensor, gallery: Tensor, labels: Tensor, people: Tensor | None = None) -> Tensor:
    """1.0 where the nearest gallery row by cosine is the right one, else 0.0: (B,).

    probes (B,D), gallery (N,D), labels (B,) int64 row numbers of the gallery; or numbers of people, where `people` (N,)
    says whom each row shows. The mean is the top-1 retrieval rate.
    """
    nearest = (F.normalize(probes, dim=1) @ F.normalize(gallery, dim=1).T).argmax(dim=1)
    found = nearest if people is None else people.to(nearest.device)[nearest]
    return (found == labels.to(nearest.device)).float()


def eight_bit(image: Tensor) -> Tensor:
    """What is left of (B,3,H,W) in -1..1 once it has been a picture file of 8 bits."""
    return from_uint8(to_uint8(image)).to(image.device)
