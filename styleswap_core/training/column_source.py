"""Training batches from a folder of columns: pictures of several identities under one and the same attributes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import StyleSwapError
from ..faces.alignment import recognizer_crop
from ..io.files import atomic_write
from ..synthetic.columns import ColumnSet
from .batches import Batch, Rows, random_of_step


@dataclass(frozen=True)
class Draw:
    """Which pictures make a batch: indices into all members of all columns, laid out flat. int64 (B,)."""

    target: np.ndarray
    truth: np.ndarray  # the source's identity under the target's attributes
    photo: np.ndarray  # another picture of the source's identity, from which its embedding comes
    own_photo: np.ndarray  # the same of the target's identity

    def rows(self, part: Rows) -> "Draw":
        """Some of the batch."""
        return Draw(self.target[part], self.truth[part], self.photo[part], self.own_photo[part])


class ColumnSource:
    """A `DataSource` over a `ColumnSet`.

    A sample is a column, a target member, a source member of the same column (whose picture is the exact swap),
    and an embedding of the source from a picture in another column. Columns with a member of whom no second
    picture exists are left out.

    Args:
        columns: the pictures.
        embeddings: (C, K, 512) L2-normalized, see `column_embeddings`.
        size: side of the crops in px; the columns' own or a divisor of it (averaged down).
        exact_swap: False hides the truth of different-identity pairs.
        device: where pictures are kept; None leaves them on disk, mapped.
        rows: which rows of every batch to give, a replica's share; default all.

    Raises:
        StyleSwapError: the size does not divide, or too few pictures per identity.
    """

    def __init__(
        self,
        columns: ColumnSet,
        embeddings: np.ndarray,
        *,
        size: int,
        batch: int,
        seed: int,
        same_identity_share: float,
        owner_share: float,
        exact_swap: bool,
        device: torch.device | None = None,
        rows: Rows = slice(None),
    ):
        count, self.members = columns.identity_seeds.shape
        full = columns.images.shape[-1]
        if full % size:
            raise StyleSwapError(f"expected columns of a multiple of {size} px, got {full} px; build them at {size}")
        if self.members < 2:
            raise StyleSwapError("expected at least 2 members in a column, got 1; build columns with more members")
        self.size, self.reduction = size, full // size
        self.batch_size, self.seed, self.rows = batch, seed, rows
        self.same_identity_share, self.owner_share, self.exact_swap = same_identity_share, owner_share, exact_swap
        flat = count * self.members
        self.images = columns.images.reshape(flat, 3, full, full)
        self.masks = columns.masks.reshape(flat, full, full)
        self.points = np.asarray(columns.points, dtype=np.float32).reshape(flat, 5, 2) / self.reduction
        self.embeddings = embeddings.reshape(flat, -1)
        self.device = device
        if device is not None:
            self.images = _resident(self.images, device)
            self.masks = _resident(self.masks, device)
        self._index_identities(np.asarray(columns.identity_seeds))

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """The batch of `step`, a pure function of (seed, step); on `device` if one was given, else on the CPU."""
        draw = self.draw(step).rows(self.rows)
        target, mask = self._pictures(draw.target), self._masks(draw.target)
        truth, where = target, mask.device
        same = torch.from_numpy(self.identities[draw.target] == self.identities[draw.truth]).to(where)
        if self.exact_swap:
            truth, mask = self._pictures(draw.truth), torch.maximum(mask, self._masks(draw.truth))
        return Batch(
            target=target,
            id_embedding=self._embeddings(draw.photo).to(where),
            own_embedding=self._embeddings(draw.own_photo).to(where),
            truth=truth,
            truth_known=torch.ones_like(same) if self.exact_swap else same,
            face_mask=mask,
            same_identity=same,
            points=torch.from_numpy(self.points[draw.truth if self.exact_swap else draw.target]).to(where),
            source_crop=self._pictures(draw.photo) if source_crop else None,
        )

    def draw(self, step: int) -> Draw:
        """The random choices of `step`."""
        random = random_of_step(self.seed, step)
        size = self.batch_size
        column = self.columns[random.integers(len(self.columns), size=size)]
        target = np.where(random.random(size) < self.owner_share, 0, random.integers(self.members, size=size))
        other = (target + 1 + random.integers(self.members - 1, size=size)) % self.members
        source = np.where(random.random(size) < self.same_identity_share, target, other)
        truth = column * self.members + source
        photo = self._another_picture(truth, random)
        target = column * self.members + target
        return Draw(target=target, truth=truth, photo=photo, own_photo=self._another_picture(target, random))

    def _another_picture(self, of: np.ndarray, random: np.random.Generator) -> np.ndarray:
        # Another of the n pictures of this identity: 1..n-1 places onward in their circle.
        count = self.photo_count[of]
        onward = 1 + (random.random(len(of)) * (count - 1)).astype(np.int64)
        return self.photos[self.photo_start[of] + (self.photo_rank[of] + onward) % count]

    def _index_identities(self, seeds: np.ndarray) -> None:
        # photos lists all pictures sorted by identity; start, count and rank say where a picture stands in it.
        self.identities = seeds.reshape(-1)
        self.photos = np.argsort(self.identities, kind="stable")
        _, start, inverse, count = np.unique(
            self.identities[self.photos], return_index=True, return_inverse=True, return_counts=True
        )
        group = np.empty(len(self.photos), dtype=np.int64)
        group[self.photos] = inverse
        self.photo_start, self.photo_count = start[group], count[group]
        self.photo_rank = np.empty(len(self.photos), dtype=np.int64)
        self.photo_rank[self.photos] = np.arange(len(self.photos)) - start[inverse]
        self.columns = np.flatnonzero((self.photo_count.reshape(seeds.shape) > 1).all(axis=1))
        if not len(self.columns):
            raise StyleSwapError(
                "expected a second picture of every identity, got no column where that holds; "
                "build more columns or use fewer identities"
            )

    def _embeddings(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(self.embeddings[index], dtype=np.float32))

    def _pictures(self, index: np.ndarray) -> Tensor:
        # uint8 -> (B, 3, S, S) in -1..1
        return self._take(self.images, index).mul_(2 / 255).sub_(1)

    def _masks(self, index: np.ndarray) -> Tensor:
        # uint8 -> (B, 1, S, S) in 0..1
        return self._take(self.masks, index).unsqueeze(1).div_(255)

    def _take(self, store: np.ndarray | Tensor, index: np.ndarray) -> Tensor:
        if isinstance(store, Tensor):
            picked = store[torch.from_numpy(index).to(store.device)].float()
        else:
            picked = torch.from_numpy(store[index]).float()
        return picked if self.reduction == 1 else F.avg_pool2d(picked, self.reduction)


@torch.no_grad()
def column_embeddings(
    folder: str | Path,
    columns: ColumnSet,
    recognizer: nn.Module,
    recognizer_sha256: str,
    device: torch.device,
    chunk: int = 256,
) -> np.ndarray:
    """(C, K, 512) float32 L2-normalized embeddings of all pictures, computed once and kept beside the columns.

    Args:
        recognizer: (B, 3, 112, 112) RGB -1..1 -> (B, 512), on `device`.
        recognizer_sha256: names the kept file, so that two recognizers never share embeddings.
    """
    path = Path(folder) / f"embeddings_{recognizer_sha256[:16]}.npy"
    count, members = columns.identity_seeds.shape
    if path.exists():
        kept = np.load(path, mmap_mode="r")
        if kept.shape[:2] == (count, members):
            return kept
    images = columns.images.reshape(count * members, *columns.images.shape[2:])
    points = np.asarray(columns.points, dtype=np.float32).reshape(count * members, 5, 2)
    with atomic_write(path) as temporary:
        embeddings = open_memmap(temporary, mode="w+", dtype=np.float32, shape=(count, members, 512))
        flat = embeddings.reshape(count * members, 512)
        for first in tqdm(range(0, len(flat), chunk), desc="identity embeddings", unit="chunk", leave=False):
            part = slice(first, first + chunk)
            pictures = torch.from_numpy(np.asarray(images[part]).copy()).to(device).float().mul_(2 / 255).sub_(1)
            crops = recognizer_crop(pictures, torch.from_numpy(points[part].copy()).to(device))
            flat[part] = F.normalize(recognizer(crops).float(), dim=1).cpu().numpy()
        embeddings.flush()
    return np.load(path, mmap_mode="r")


def _resident(store: np.ndarray, device: torch.device) -> Tensor:
    # Copied in parts: the whole set need not fit into the host's memory beside the device's.
    kept = torch.empty(store.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(store), 4096):
        kept[first : first + 4096] = torch.from_numpy(np.array(store[first : first + 4096])).to(device)
    return kept
