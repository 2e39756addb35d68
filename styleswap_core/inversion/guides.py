"""Guides: the targets that an identity is swapped onto while it is optimized.

Whose faces they are does not matter; they only have to differ in pose, expression, light and shape. If the user gives
none, the face world renders some, with people and attributes of its training split, which no evaluation uses.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import one_thread
from ..faces.alignment import estimate_similarity, template_points
from ..io.images import from_uint8, to_uint8
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities, pick_seeds
from ..synthetic.world import five_points, render
from .aligned_faces import AlignedFaces, Canceled
from .guide_store import GuideStore, guides_key

FRAME_SIZE = 256
"""Side in pixels of the whole pictures that the crops are taken from; it decides how much background they show."""

MAX_RENDERED_SIZE = 256
"""Size above which crops are rendered smaller and enlarged: guides need not be sharp, and rendering is slow."""


def render_guides(
    count: int, template: str, size: int, seed: int = 0, canceled: Callable[[], bool] = lambda: False
) -> AlignedFaces:
    """Aligned crops of `count` different people of the face world, each with different attributes, in 8-bit values.

    They are rendered once and then read from the user's cache folder (guide_store.py), with identical pixels.

    Args:
        count: Number of faces.
        template: Crop template.
        size: Side of the crops in pixels.
        seed: Selects people and attributes.
        canceled: Called before each face is rendered.

    Raises:
        Canceled: `canceled` returned true.
    """
    people = Identities.from_seeds(pick_seeds(IDENTITY_SEEDS["train"], count, seed))
    attributes = Attributes.from_seeds(pick_seeds(ATTRIBUTE_SEEDS["train"], count, seed))
    side = min(size, MAX_RENDERED_SIZE)
    window = estimate_similarity(five_points(people, attributes, FRAME_SIZE), template_points(template, side))
    store, key = GuideStore.of_user(), guides_key(people, attributes, window, side, FRAME_SIZE)
    guides = store.load(key, count, side)
    if guides is None:
        guides = _render(people, attributes, window, side, canceled)
        store.save(key, *guides)
    crops, points = from_uint8(guides[0]), torch.from_numpy(guides[1])
    if side < size:
        crops = F.interpolate(crops, size=size, mode="bicubic", align_corners=False).clamp(-1.0, 1.0)
        points = points * (size / side)
    return AlignedFaces(crops, points)


def _render(
    people: Identities, attributes: Attributes, window: Tensor, size: int, canceled: Callable[[], bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, size, size, 3) uint8 and points (N, 5, 2) float32."""
    images, points = [], []
    with one_thread():
        for row in range(len(people)):
            if canceled():
                raise Canceled
            one = slice(row, row + 1)
            rendered = render(people[one], attributes[one], size=size, window=window[one], frame_size=FRAME_SIZE)
            images.append(rendered.image)
            points.append(rendered.points)
    return to_uint8(torch.cat(images)), torch.cat(points).numpy()


def split_held_out(count: int, share: float) -> tuple[list[int], list[int]]:
    """Split `count` guides into (guides to optimize on, held-out guides).

    The held-out ones are evenly spaced. From two guides on, each part has at least one.
    """
    held_out = min(max(1, round(count * share)), count - 1)
    chosen = {int((index + 0.5) * count / held_out) for index in range(held_out)} if held_out > 0 else set()
    return [index for index in range(count) if index not in chosen], sorted(chosen)


def shuffled_batches(rows: list[int], size: int, random: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of `size` rows, or of all rows if there are fewer; no row recurs before all have been drawn."""
    size = min(size, len(rows))
    waiting: list[int] = []
    while True:
        if len(waiting) < size:
            fresh = [rows[int(index)] for index in torch.randperm(len(rows), generator=random)]
            # Rows left over from the previous pass come first and are not drawn twice in one batch.
            waiting += [row for row in fresh if row not in waiting] + [row for row in fresh if row in waiting]
        yield waiting[:size]
        waiting = waiting[size:]
