"""Training batches from a prepared set of photographs: targets and embeddings, and a teacher's swaps if it has any.

The exact result of a swap is known for a photograph that a teacher has given another person's face: swapped back to the
person in the photograph, it is the photograph. So a teacher's swaps are targets, never results to be learned; what the
network learns to draw are photographs only.
"""

import dataclasses
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
from ..preparation.teacher_set import TeacherSwaps
from .batches import Batch, Rows, Stream, step_rng
from .person_index import PersonIndex

_READERS = 4


@dataclass(frozen=True)
class ShardDraw:
    """Pictures that make up a batch, as rows (B,) int64 of the set."""

    target: np.ndarray
    source_photo: np.ndarray  # picture of the source, from which its embedding comes
    target_photo: np.ndarray  # another picture of the target's person if there is one, otherwise the target
    swap: np.ndarray  # number of the teacher's swap that takes the place of the target; -1 for none

    def rows(self, rows: Rows) -> "ShardDraw":
        """Some rows of the batch."""
        return ShardDraw(self.target[rows], self.source_photo[rows], self.target_photo[rows], self.swap[rows])


class ShardSource:
    """A `DataSource` for a `PreparedSet`, whose pictures are read from the shards as needed.

    Every picture is equally likely to be a target. In `same_identity_share` of the rows the source is another picture
    of the target's person (the same one if there is no other), otherwise any picture of all other people, with equal
    probability. In taught rows the target is a teacher's swap of a picture, the source is the person in that picture,
    and the picture is the exact result.

    Args:
        prepared: The pictures.
        recognizer: Recognizer used in training; the set's embeddings must come from it.
        template: Crop template of the generator; the set's crops must use it.
        size: Side of the crops in pixels: that of the set or a divisor of it, to which they are averaged down.
        batch: Size of the whole batch.
        seed: Seed of the random choices.
        same_identity_share: Share of rows whose source is the target's person.
        rows: Rows of every batch to return, those of this process; by default all.
        taught: (B,) bool, rows of the whole batch that get a teacher's swap as target; by default none.

    Raises:
        StyleSwapError: Recognizer or template differ, `size` is no divisor, the set has only one person, or it has no
            swaps of a teacher for taught rows.
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
        taught: np.ndarray | None = None,
    ) -> None:
        manifest = prepared.manifest
        prepared_with = prepared.recognizer
        if not prepared_with.matches(recognizer):
            raise StyleSwapError(
                f"{prepared.folder} was prepared with the recognizer {prepared_with}, but training uses {recognizer}; "
                "select the former with --set recognizer=FILE.onnx, or prepare the pictures with the latter's pack"
            )
        if manifest["template"] != template:
            raise StyleSwapError(
                f"{prepared.folder} has crops of the template {manifest['template']!r}, but the model needs "
                f"{template!r}; prepare the pictures with --template {template}"
            )
        if manifest["size"] % size:
            raise StyleSwapError(
                f"expected crops of a multiple of {size} px, {prepared.folder} has {manifest['size']} px; "
                f"prepare the pictures with --size {size}"
            )
        self.prepared, self._reader = prepared, ShardReader(prepared)
        self.reduction = manifest["size"] // size
        self.batch_size, self.seed, self._rows = batch, seed, rows
        self.same_identity_share = same_identity_share
        self._people = PersonIndex(np.asarray(prepared.people))
        if self._people.people < 2:
            raise StyleSwapError(
                f"expected pictures of at least 2 people in {prepared.folder}, got one person; add others, or "
                "prepare one folder per person with --people folders"
            )
        self._taught = np.zeros(batch, dtype=bool) if taught is None else taught
        self._teacher = TeacherSwaps.open(prepared) if self._taught.any() else None
        self._swaps = np.zeros(0, dtype=np.int64) if self._teacher is None else self._teacher.usable()
        if self._teacher is not None and not len(self._swaps):
            raise StyleSwapError(
                f"{prepared.folder} has no usable swap of its teacher, see its report.html; train without it by "
                "--set teacher_share=0"
            )

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """Batch of `step`, on the CPU; see `DataSource.batch`."""
        draw = self.draw(step).rows(self._rows)
        people, points = self.prepared.people, self.prepared.rows["points"]
        target = self._pictures(draw.target)
        one_person = torch.from_numpy(np.asarray(people[draw.target] == people[draw.source_photo]))
        batch = Batch(
            target=target,
            id_embedding=self._embeddings(draw.source_photo),
            target_embedding=self._embeddings(draw.target_photo),
            truth=target,
            truth_known=one_person,
            face_mask=self._read(self._reader.mask, draw.target).unsqueeze(1).div_(255),
            same_identity=one_person & torch.from_numpy(draw.swap < 0),
            points=torch.from_numpy(np.array(points[draw.target], dtype=np.float32) / self.reduction),
            source_crop=self._pictures(draw.source_photo) if source_crop else None,
        )
        return batch if self._teacher is None else self._with_swaps(batch, draw.swap, self._teacher)

    def draw(self, step: int) -> ShardDraw:
        """Random choices of `step`, for the whole batch."""
        rng = step_rng(self.seed, step)
        people = self._people
        size, total = self.batch_size, len(people.pictures)
        # All of these are positions of the index.
        target = rng.integers(total, size=size)
        start, count = people.start[target], people.count[target]
        same = rng.random(size) < self.same_identity_share
        fraction = rng.random(size)
        target_photo = people.another(target, fraction)
        # Uniform over the pictures of all other people: positions before and after those of the person.
        other = (fraction * (total - count)).astype(np.int64)
        other = np.where(other < start, other, other + count)
        source_photo = np.where(same, target_photo, other)
        draw = ShardDraw(
            target=people.pictures[target],
            source_photo=people.pictures[source_photo],
            target_photo=people.pictures[target_photo],
            swap=np.full(size, -1, dtype=np.int64),
        )
        return draw if self._teacher is None else self._with_taught_rows(draw, step, self._teacher)

    def _with_taught_rows(self, draw: ShardDraw, step: int, teacher: TeacherSwaps) -> ShardDraw:
        # From another stream of random numbers, so that the other rows are those of a set without a teacher.
        rng = step_rng(self.seed, step, Stream.TEACHER)
        swap = self._swaps[rng.integers(len(self._swaps), size=self.batch_size)]
        picture = teacher.pictures(swap)
        people = self._people
        photo = people.pictures[people.another(people.position[picture], rng.random(self.batch_size))]
        taught = self._taught
        return ShardDraw(
            target=np.where(taught, picture, draw.target),
            source_photo=np.where(taught, photo, draw.source_photo),
            target_photo=np.where(taught, np.asarray(teacher.rows["source"][swap]), draw.target_photo),
            swap=np.where(taught, swap, -1),
        )

    def _with_swaps(self, batch: Batch, swap: np.ndarray, teacher: TeacherSwaps) -> Batch:
        """Batch in which the teacher's swaps replace the targets of taught rows."""
        taught = np.flatnonzero(swap >= 0)
        if not len(taught):
            return batch
        numbers, rows = swap[taught], torch.from_numpy(taught)
        swapped = self._read(lambda number: teacher.image(number).transpose(2, 0, 1), numbers).mul_(2 / 255).sub_(1)
        face_mask = batch.face_mask
        if teacher.has_masks:
            # What the teacher has replaced has to be drawn anew.
            replaced = self._read(teacher.mask, numbers).unsqueeze(1).div_(255)
            face_mask = face_mask.index_copy(0, rows, torch.maximum(face_mask[rows], replaced))
        return dataclasses.replace(batch, target=batch.target.index_copy(0, rows, swapped), face_mask=face_mask)

    def _embeddings(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(self.prepared.embeddings[rows], dtype=np.float32))

    def _pictures(self, rows: np.ndarray) -> Tensor:
        # (B, S, S, 3) 0..255 -> (B, 3, S, S) -1..1
        return self._read(lambda row: self._reader.image(row).transpose(2, 0, 1), rows).mul_(2 / 255).sub_(1)

    def _read(self, read: Callable[[int], np.ndarray], rows: np.ndarray) -> Tensor:
        """Decode the pictures of these rows and average them down: (B, ..., S, S) float32 0..255."""
        with map_ahead(read, rows.tolist(), depth=len(rows), workers=_READERS) as decoded:
            pictures = torch.from_numpy(np.stack(list(decoded))).float()
        return pictures if self.reduction == 1 else F.avg_pool2d(pictures, self.reduction)
