"""How well embeddings tell people apart who were not trained on."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .recognizer_data import RecognizerData


@dataclass(frozen=True)
class Verification:
    """Figures over all pairs of pictures.

    accuracy: share of right decisions "same person or not", both kinds of pairs weighted equally; the threshold
        comes from one half of the identities, the figure from the other, and the other way round.
    tar_at_far_1e3: share of same-person pairs accepted where one in a thousand different-person pairs is.
    genuine_mean, impostor_mean, impostor_std: cosines.
    """

    accuracy: float
    tar_at_far_1e3: float
    genuine_mean: float
    impostor_mean: float
    impostor_std: float


@torch.no_grad()
def embed(
    network: nn.Module, data: RecognizerData, batch: int = 128, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """(N, 512) L2-normalized embeddings and (N,) labels of all pictures of a set, on the CPU."""
    network.eval()
    embeddings, labels = [], []
    for first in range(0, len(data), batch):
        crops, part = data.crops(np.arange(first, min(first + batch, len(data))))
        crops = crops.to(device or "cpu").contiguous(memory_format=torch.channels_last)
        embeddings.append(F.normalize(network(crops).float(), dim=1).cpu())
        labels.append(part)
    return torch.cat(embeddings), torch.cat(labels)


def verification(id_embedding: Tensor, labels: Tensor) -> Verification:
    """Compare all pairs of (N, 512) L2-normalized embeddings.

    Raises:
        ValueError: no identity has two pictures, or there is one identity only.
    """
    genuine, impostor = _pair_cosines(id_embedding, labels)
    if not len(genuine) or not len(impostor):
        raise ValueError("expected pairs of the same and of different identities")
    half = labels % 2 == 0
    folds = [_pair_cosines(id_embedding[part], labels[part]) for part in (half, ~half)]
    if all(len(cosines) for fold in folds for cosines in fold):
        accuracy = np.mean([_accuracy(*folds[1 - i], _best_threshold(*folds[i])) for i in (0, 1)])
    else:
        accuracy = _accuracy(genuine, impostor, _best_threshold(genuine, impostor))
    threshold = np.quantile(impostor, 1 - 1e-3)
    return Verification(
        accuracy=float(accuracy),
        tar_at_far_1e3=float((genuine > threshold).mean()),
        genuine_mean=float(genuine.mean()),
        impostor_mean=float(impostor.mean()),
        impostor_std=float(impostor.std()),
    )


def explained_variance(predicted: Tensor, values: Tensor) -> Tensor:
    """(parameters,): share of each parameter's variance that the predictions (N, parameters) explain; 1 is all."""
    residual = (predicted - values).square().mean(0)
    return 1 - residual / values.var(0, unbiased=False).clamp(min=1e-9)


def _pair_cosines(id_embedding: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of same-identity pairs and of different-identity pairs, each pair once."""
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
