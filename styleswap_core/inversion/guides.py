"""Targets that an identity is swapped onto while it is optimized.

Their own faces do not matter, only that they differ in pose, expression, light and shape. Where the user gives none,
the face world renders some: people and settings of its training split, which no evaluation uses.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import one_thread
from ..faces.alignment import estimate_similarity, template_points
from ..io.images import from_uint8, to_uint8
from ..model import GeneratorConfig
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities, pick_seeds
from ..synthetic.world import five_points, render
from .aligned_faces import AlignedFaces, Canceled
from .guide_store import GuideStore, guides_key

FRAME = 256
"""Side of the whole pictures that the crops are taken from, which decides how wide a background they have."""

LARGEST_RENDERED = 256
"""Side beyond which crops are rendered smaller and enlarged: a guide need not be sharp, and rendering takes longest."""


def render_guides(
    count: int, config: GeneratorConfig, seed: int = 0, canceled: Callable[[], bool] = lambda: False
) -> AlignedFaces:
    """`count` faces of the face world, each another person under another setting, as aligned crops of 8-bit values.

    They are rendered once and then come from the user's cache folder (guide_store.py), the very same.

    Raises:
        Canceled: `canceled`, asked before each face is rendered, said so.
    """
    people = Identities.from_seeds(pick_seeds(IDENTITY_SEEDS["train"], count, seed))
    settings = Attributes.from_seeds(pick_seeds(ATTRIBUTE_SEEDS["train"], count, seed))
    size = min(config.size, LARGEST_RENDERED)
    window = estimate_similarity(five_points(people, settings, FRAME), template_points(config.template, size))
    store, key = GuideStore.of_user(), guides_key(people, settings, window, size, FRAME)
    kept = store.load(key, count, size)
    if kept is None:
        kept = _render(people, settings, window, size, canceled)
        store.save(key, *kept)
    crops, points = from_uint8(kept[0]), torch.from_numpy(kept[1])
    if size < config.size:
        crops = F.interpolate(crops, size=config.size, mode="bicubic", align_corners=False).clamp(-1.0, 1.0)
        points = points * (config.size / size)
    return AlignedFaces(crops, points)


def _render(
    people: Identities, settings: Attributes, window: Tensor, size: int, canceled: Callable[[], bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, size, size, 3) uint8 and points (N, 5, 2) float32."""
    images, places = [], []
    with one_thread():
        for row in range(len(people)):
            if canceled():
                raise Canceled
            one = slice(row, row + 1)
            rendered = render(people[one], settings[one], size=size, window=window[one], frame_size=FRAME)
            images.append(rendered.image)
            places.append(rendered.points)
    return to_uint8(torch.cat(images)), torch.cat(places).numpy()


def split_held_out(count: int, share: float) -> tuple[list[int], list[int]]:
    """(guides to optimize on, held-out guides) out of `count`: spread evenly, at least one of each from two guides on."""
    held_out = min(max(1, round(count * share)), count - 1)
    chosen = {int((index + 0.5) * count / held_out) for index in range(held_out)} if held_out > 0 else set()
    return [index for index in range(count) if index not in chosen], sorted(chosen)


def shuffled_batches(rows: list[int], size: int, random: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of `size` rows (all of them where there are fewer); each row comes up once before any again."""
    size = min(size, len(rows))
    waiting: list[int] = []
    while True:
        if len(waiting) < size:
            fresh = [rows[int(index)] for index in torch.randperm(len(rows), generator=random)]
            # What is left of the last round goes first, and does not come twice in one batch.
            waiting += [row for row in fresh if row not in waiting] + [row for row in fresh if row in waiting]
        yield waiting[:size]
        waiting = waiting[size:]
