"""Verification of held-out identities: decisions by the cosine of two embeddings."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import StyleSwapError
from .recognizer_data import RecognizerData


@dataclass(frozen=True)
class Verification:
    """Figures over all pairs of pictures: genuine pairs show one person, impostor pairs two.

    Attributes:
        accuracy: Share of correct decisions, with equal weight for both kinds of pairs; each half of the identities is
            decided with the best threshold of the other half.
        tar_at_far_1e3: Share of genuine pairs accepted at the threshold that one in a thousand impostor pairs passes.
        genuine_mean: Mean cosine of genuine pairs.
        impostor_mean: Mean cosine of impostor pairs.
        impostor_std: Standard deviation of the cosines of impostor pairs.
    """

    accuracy: float
    tar_at_far_1e3: float
    genuine_mean: float
    impostor_mean: float
    impostor_std: float


@torch.no_grad()
def embed(network: nn.Module, data: RecognizerData, batch: int = 128) -> tuple[Tensor, Tensor]:
    """L2-normalized embeddings (N, 512) and labels (N,) of all pictures, by a network on the CPU."""
    network.eval()
    embeddings, labels = [], []
    for first in range(0, len(data), batch):
        crops, part = data.crops(np.arange(first, min(first + batch, len(data))))
        crops = crops.contiguous(memory_format=torch.channels_last)
        embeddings.append(F.normalize(network(crops).float(), dim=1))
        labels.append(part)
    return torch.cat(embeddings), torch.cat(labels)


def verification(id_embedding: Tensor, labels: Tensor) -> Verification:
    """Figures of L2-normalized embeddings (N, 512) with labels (N,).

    Raises:
        StyleSwapError: No identity has two pictures, or there is only one identity.
    """
    genuine, impostor = _pair_cosines(id_embedding, labels)
    if not len(genuine) or not len(impostor):
        raise StyleSwapError(
            "verification needs two identities and two pictures of one of them; render a larger validation set"
        )
    half = labels % 2 == 0
    folds = [_pair_cosines(id_embedding[part], labels[part]) for part in (half, ~half)]
    if all(len(cosines) for fold in folds for cosines in fold):
        accuracy = float(np.mean([_accuracy(*folds[1 - i], _best_threshold(*folds[i])) for i in (0, 1)]))
    else:
        accuracy = _accuracy(genuine, impostor, _best_threshold(genuine, impostor))
    threshold = np.quantile(impostor, 1 - 1e-3)
    return Verification(
        accuracy=accuracy,
        tar_at_far_1e3=float((genuine > threshold).mean()),
        genuine_mean=float(genuine.mean()),
        impostor_mean=float(impostor.mean()),
        impostor_std=float(impostor.std()),
    )


def explained_variance(predicted: Tensor, values: Tensor) -> Tensor:
    """Coefficient of determination R2 (P,) of predictions (N, P) of the parameters `values` (N, P)."""
    residual = (predicted - values).square().mean(0)
    return 1 - residual / values.var(0, unbiased=False).clamp(min=1e-9)


def _pair_cosines(id_embedding: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of genuine and of impostor pairs, each pair once."""
    cosine = (id_embedding @ id_embedding.T).numpy()
    same = (labels[:, None] == labels[None]).numpy()
    once = np.triu(np.ones_like(same), 1)
    return cosine[same & once], cosine[~same & once]


def _accuracy(genuine: np.ndarray, impostor: np.ndarray, threshold: float) -> float:
    return 0.5 * float((genuine > threshold).mean() + (impostor <= threshold).mean())


def _best_threshold(genuine: np.ndarray, impostor: np.ndarray) -> float:
    candidates = np.linspace(-1, 1, 801)
    accepted = 1 - np.searchsorted(np.sort(genuine), candidates, side="right") / len(genuine)
    rejected = np.searchsorted(np.sort(impostor), candidates, side="right") / len(impostor)
    return float(candidates[np.argmax(accepted + rejected)])
