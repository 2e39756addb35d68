"""Training batches from a prepared set of photographs: targets and embeddings, no exact swaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.recognizer_id import RecognizerId
from ..io.read_ahead import map_ahead
from ..preparation.prepared_set import PreparedSet, ShardReader
from .batches import Batch, Rows, random_of_step

_READERS = 4


@dataclass(frozen=True)
class ShardDraw:
    """Which pictures make a batch: rows of the set. int64 (B,)."""

    target: np.ndarray
    photo: np.ndarray  # the source's picture, from which its embedding comes
    own_photo: np.ndarray  # another picture of the target's person, where there is one

    def rows(self, part: Rows) -> "ShardDraw":
        """Some of the batch."""
        return ShardDraw(self.target[part], self.photo[part], self.own_photo[part])


class ShardSource:
    """A `DataSource` over a `PreparedSet`; pictures are read from the shards as they are drawn.

    Every picture is a target equally often. The source is another person, each picture of all others equally often, or
    in a share of the rows the target's own person: then another picture of theirs, where there is one.

    Args:
        prepared: the pictures.
        recognizer: the recognizer that is trained with; the set's embeddings must come from it.
        template: of the generator; the set's crops must have it.
        size: side of the crops in px; the set's own or a divisor of it (averaged down).
        same_identity_share: of the rows.
        rows: which rows of every batch to give, a replica's share; default all.

    Raises:
        StyleSwapError: another recognizer or template, a size that does not divide, or one person only.
    """

    def __init__(
        self,
        prepared: PreparedSet,
        *,
        recognizer: RecognizerId,
        template: str,
        size: int,
        batch: int,
        seed: int,
        same_identity_share: float,
        rows: Rows = slice(None),
    ) -> None:
        manifest = prepared.manifest
        made_by = RecognizerId(manifest["recognizer"], manifest["recognizer_sha256"])
        if not made_by.matches(recognizer):
            raise StyleSwapError(
                f"{prepared.folder} was prepared with the recognizer {made_by}, and the training uses {recognizer}; "
                "name its file with --set recognizer=FILE.onnx, or prepare the pictures with the other pack"
            )
        if manifest["template"] != template:
            raise StyleSwapError(
                f"{prepared.folder} has crops of the template {manifest['template']!r}, the model wants "
                f"{template!r}; prepare the pictures with --template {template}"
            )
        if manifest["size"] % size:
            raise StyleSwapError(
                f"expected crops of a multiple of {size} px, {prepared.folder} has {manifest['size']} px; "
                f"prepare the pictures with --size {size}"
            )
        self.prepared, self._reader = prepared, ShardReader(prepared)
        self.size, self.reduction = size, manifest["size"] // size
        self.batch_size, self.seed, self._rows = batch, seed, rows
        self.same_identity_share = same_identity_share
        self._index_people(np.asarray(prepared.people))

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """The batch of `step`, a pure function of (seed, step), on the CPU."""
        draw = self.draw(step).rows(self._rows)
        people, rows = self.prepared.people, self.prepared.rows
        target, same = (
            self._pictures(draw.target),
            torch.from_numpy(np.asarray(people[draw.target] == people[draw.photo])),
        )
        return Batch(
            target=target,
            id_embedding=self._embeddings(draw.photo),
            own_embedding=self._embeddings(draw.own_photo),
            truth=target,
            truth_known=same,
            face_mask=self._read(self._reader.mask, draw.target).unsqueeze(1).div_(255),
            same_identity=same,
            points=torch.from_numpy(np.array(rows["points"][draw.target], dtype=np.float32) / self.reduction),
            source_crop=self._pictures(draw.photo) if source_crop else None,
        )

    def draw(self, step: int) -> ShardDraw:
        """The random choices of `step`."""
        random = random_of_step(self.seed, step)
        size, total = self.batch_size, len(self._by_person)
        target = random.integers(total, size=size)  # places in _by_person, where a person's pictures follow each other
        start, count = self._start[target], self._count[target]
        same = random.random(size) < self.same_identity_share
        chance = random.random(size)
        # Another of the person's n pictures: 1..n-1 places onward in their circle; the same one of a single picture.
        onward = np.where(count > 1, 1 + (chance * (count - 1)).astype(np.int64), 0)
        own = start + (target - start + onward) % count
        # Any of the others: the places before the person's and behind them, without a gap.
        other = (chance * (total - count)).astype(np.int64)
        other = np.where(other < start, other, other + count)
        photo = np.where(same, own, other)
        return ShardDraw(target=self._by_person[target], photo=self._by_person[photo], own_photo=self._by_person[own])

    def _index_people(self, people: np.ndarray) -> None:
        self._by_person = np.argsort(people, kind="stable")
        _, start, inverse, count = np.unique(
            people[self._by_person], return_index=True, return_inverse=True, return_counts=True
        )
        if len(start) < 2:
            raise StyleSwapError(
                f"expected pictures of at least 2 people in {self.prepared.folder}, got one person only; "
                "add others, or tell them apart with --people folders"
            )
        self._start, self._count = start[inverse], count[inverse]

    def _embeddings(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(self.prepared.embeddings[rows], dtype=np.float32))

    def _pictures(self, rows: np.ndarray) -> Tensor:
        # (B, S, S, 3) 0..255 -> (B, 3, S, S) -1..1
        return self._read(lambda row: self._reader.image(row).transpose(2, 0, 1), rows).mul_(2 / 255).sub_(1)

    def _read(self, read: Callable[[int], np.ndarray], rows: np.ndarray) -> Tensor:
        """Decoded pictures of rows, stacked, averaged down to the size: (B, ..., S, S) float32 0..255."""
        with map_ahead(read, rows.tolist(), depth=len(rows), workers=_READERS) as pictures:
            picked = torch.from_numpy(np.stack(list(pictures))).float()
        return picked if self.reduction == 1 else F.avg_pool2d(picked, self.reduction)
