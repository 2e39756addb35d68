"""Training batches from a folder of columns: pictures of several identities with the same attributes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import StyleSwapError
from ..faces.alignment import RECOGNIZER_SIZE, recognizer_crop
from ..io.files import atomic_write, reserve
from ..synthetic.columns import ColumnSet
from .batches import Batch, Rows, step_rng
from .person_index import PersonIndex

_UPLOAD_PICTURES = 4096


@dataclass(frozen=True)
class ColumnDraw:
    """Pictures that make up a batch, as indices (B,) int64 into the members of all columns, flattened."""

    target: np.ndarray
    truth: np.ndarray  # the source's identity with the target's attributes
    source_photo: np.ndarray  # another picture of the source's identity, from which its embedding comes
    target_photo: np.ndarray  # another picture of the target's identity

    def rows(self, rows: Rows) -> "ColumnDraw":
        """Some rows of the batch."""
        return ColumnDraw(self.target[rows], self.truth[rows], self.source_photo[rows], self.target_photo[rows])


class ColumnSource:
    """A `DataSource` for a `ColumnSet`.

    A sample consists of a target and a source from one column, so that the source's picture is the exact swap, and of
    an embedding of the source's identity from a picture in another column. Columns with a member of whom no second
    picture exists are skipped.

    Args:
        columns: The pictures; C columns of K members.
        embeddings: (C, K, D) L2-normalized, see `column_embeddings`.
        size: Side of the crops in pixels: that of the columns or a divisor of it, to which they are averaged down.
        batch: Size of the whole batch.
        seed: Seed of the random choices.
        same_identity_share: Share of rows whose source is the target itself.
        owner_share: Share of targets that are member 0 of their column; the others are drawn from all members.
        exact_swap: False withholds the truth of pairs of different identities.
        device: Keeps all pictures in this device's memory; by default they are memory-mapped.
        rows: Rows of every batch to return, those of this process; by default all.

    Raises:
        StyleSwapError: `size` is no divisor, or there are too few pictures per identity.
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
    ) -> None:
        count, self.members = columns.identity_seeds.shape
        full_size = columns.images.shape[-1]
        if full_size % size:
            raise StyleSwapError(
                f"expected columns of a multiple of {size} px, got {full_size} px; render them at {size} px"
            )
        if self.members < 2:
            raise StyleSwapError("expected at least 2 members per column, got 1; render columns with more members")
        self.reduction = full_size // size
        self.batch_size, self.seed, self.rows = batch, seed, rows
        self.same_identity_share, self.owner_share, self.exact_swap = same_identity_share, owner_share, exact_swap
        total = count * self.members
        images = columns.images.reshape(total, 3, full_size, full_size)
        masks = columns.masks.reshape(total, full_size, full_size)
        self.images: np.ndarray | Tensor = images if device is None else _upload(images, device)
        self.masks: np.ndarray | Tensor = masks if device is None else _upload(masks, device)
        self.points = np.asarray(columns.points, dtype=np.float32).reshape(total, 5, 2) / self.reduction
        self.embeddings = embeddings.reshape(total, -1)
        self.identities = np.asarray(columns.identity_seeds).reshape(-1)
        self._people = PersonIndex(self.identities)
        photos = self._people.count[self._people.position].reshape(count, self.members)
        self.columns = np.flatnonzero((photos > 1).all(axis=1))
        if not len(self.columns):
            raise StyleSwapError(
                "expected columns in which every identity has a second picture elsewhere, got none; render more "
                "columns or use fewer identities"
            )

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """Batch of `step`, on the device that holds the pictures; see `DataSource.batch`."""
        draw = self.draw(step).rows(self.rows)
        target, mask = self._pictures(draw.target), self._masks(draw.target)
        truth, device = target, mask.device
        same = torch.from_numpy(self.identities[draw.target] == self.identities[draw.truth]).to(device)
        if self.exact_swap:
            truth, mask = self._pictures(draw.truth), torch.maximum(mask, self._masks(draw.truth))
        return Batch(
            target=target,
            id_embedding=self._embeddings(draw.source_photo).to(device),
            target_embedding=self._embeddings(draw.target_photo).to(device),
            truth=truth,
            truth_known=torch.ones_like(same) if self.exact_swap else same,
            face_mask=mask,
            same_identity=same,
            points=torch.from_numpy(self.points[draw.truth if self.exact_swap else draw.target]).to(device),
            source_crop=self._pictures(draw.source_photo) if source_crop else None,
        )

    def draw(self, step: int) -> ColumnDraw:
        """Random choices of `step`, for the whole batch."""
        rng = step_rng(self.seed, step)
        size = self.batch_size
        column = self.columns[rng.integers(len(self.columns), size=size)]
        target = np.where(rng.random(size) < self.owner_share, 0, rng.integers(self.members, size=size))
        other = (target + 1 + rng.integers(self.members - 1, size=size)) % self.members
        source = np.where(rng.random(size) < self.same_identity_share, target, other)
        truth = column * self.members + source
        source_photo = self._another_picture(truth, rng)
        target = column * self.members + target
        target_photo = self._another_picture(target, rng)
        return ColumnDraw(target=target, truth=truth, source_photo=source_photo, target_photo=target_photo)

    def _another_picture(self, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        people = self._people
        return people.pictures[people.another(people.position[index], rng.random(len(index)))]

    def _embeddings(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(self.embeddings[index], dtype=np.float32))

    def _pictures(self, index: np.ndarray) -> Tensor:
        # (B, 3, S, S) in -1..1
        return self._read(self.images, index).mul_(2 / 255).sub_(1)

    def _masks(self, index: np.ndarray) -> Tensor:
        # (B, 1, S, S) in 0..1
        return self._read(self.masks, index).unsqueeze(1).div_(255)

    def _read(self, store: np.ndarray | Tensor, index: np.ndarray) -> Tensor:
        if isinstance(store, Tensor):
            values = store[torch.from_numpy(index).to(store.device)].float()
        else:
            values = torch.from_numpy(store[index]).float()
        return values if self.reduction == 1 else F.avg_pool2d(values, self.reduction)


@torch.no_grad()
def column_embeddings(
    columns: ColumnSet, recognizer: nn.Module, recognizer_sha256: str, device: torch.device, chunk: int = 256
) -> np.ndarray:
    """Embeddings of all pictures, computed once and stored in the folder of the columns.

    Args:
        columns: The pictures; C columns of K members.
        recognizer: (B, 3, 112, 112) RGB -1..1 -> (B, D), on `device`.
        recognizer_sha256: Names the file, so that embeddings of different recognizers are kept apart.
        device: Where the recognizer runs.
        chunk: Pictures per forward pass.

    Returns:
        (C, K, D) float32, L2-normalized, memory-mapped.
    """
    path = Path(columns.folder) / f"embeddings_{recognizer_sha256[:16]}.npy"
    count, members = columns.identity_seeds.shape
    if path.exists():
        stored = np.load(path, mmap_mode="r")
        if stored.shape[:2] == (count, members):
            return stored
    images = columns.images.reshape(count * members, *columns.images.shape[2:])
    points = np.asarray(columns.points, dtype=np.float32).reshape(count * members, 5, 2)
    with atomic_write(path) as temporary:
        length = recognizer(torch.zeros(1, 3, RECOGNIZER_SIZE, RECOGNIZER_SIZE, device=device)).shape[1]
        embeddings = open_memmap(temporary, mode="w+", dtype=np.float32, shape=(count, members, length))
        reserve(temporary)
        flat = embeddings.reshape(count * members, length)
        for first in tqdm(range(0, len(flat), chunk), desc="identity embeddings", unit="chunk", leave=False):
            part = slice(first, first + chunk)
            pictures = torch.from_numpy(np.asarray(images[part]).copy()).to(device).float().mul_(2 / 255).sub_(1)
            crops = recognizer_crop(pictures, torch.from_numpy(points[part].copy()).to(device))
            flat[part] = F.normalize(recognizer(crops).float(), dim=1).cpu().numpy()
        embeddings.flush()
    return np.load(path, mmap_mode="r")


def _upload(store: np.ndarray, device: torch.device) -> Tensor:
    # In parts, since the whole set may not fit into the host's memory.
    uploaded = torch.empty(store.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(store), _UPLOAD_PICTURES):
        part = slice(first, first + _UPLOAD_PICTURES)
        uploaded[part] = torch.from_numpy(np.array(store[part])).to(device)
    return uploaded
