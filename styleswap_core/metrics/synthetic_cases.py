"""Cases of the synthetic suite: which person is swapped onto which, and their rendered pictures.

All people and attribute settings come from the test split; one seed chooses them. Each of N people is the source of K
cases. The target of a case is another one of the N people, under an attribute setting that no other case has. Each
person has two photos: the source photo, which is also in the gallery, and an unseen one, the other photo.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, template_points
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities, pick_seeds
from ..synthetic.world import five_points, render
from .identity_similarity import round_to_8_bits
from .render_workers import RenderWorkers

FRAME = 256
"""Side in pixels of whole pictures: photos, and the targets of the pipeline protocol."""


@dataclass(frozen=True)
class Cases:
    """N people and C = N * K cases; `source` and `target` (C,) int64 are indices of people."""

    identity_seeds: list[int]
    photo_seeds: list[int]
    other_photo_seeds: list[int]
    attribute_seeds: list[int]
    source: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.attribute_seeds)


@dataclass(frozen=True)
class CaseBatch:
    """Targets and exact swaps of B cases, with ground truth.

    Attributes:
        target: (B, 3, S, S) RGB in -1..1, rounded to 8 bits.
        exact: Exact swap: the source's identity with the target's attributes, window and body.
        target_face: (B, 1, S, S) face mask of the target, 0..1.
        exact_face: Face mask of the exact swap.
        target_points: (B, 5, 2) in pixels of the picture.
        exact_points: Points of the exact swap.
        pose: (B, 3) in degrees; roll relative to the ffhq crop of the target.
        expression: (B, E) expression parameters.
        gaze: (B, 2) in degrees.
    """

    target: Tensor
    exact: Tensor
    target_face: Tensor
    exact_face: Tensor
    target_points: Tensor
    exact_points: Tensor
    pose: Tensor
    expression: Tensor
    gaze: Tensor


def draw_cases(identities: int, settings: int, seed: int) -> Cases:
    """Cases of `identities` people with `settings` attribute settings each, ordered by source.

    Raises:
        StyleSwapError: Fewer than 2 people or 1 setting, more than the test split holds, or a negative seed.
    """
    people, attributes = IDENTITY_SEEDS["test"], ATTRIBUTE_SEEDS["test"]
    needed = identities * (settings + 2)
    if not 2 <= identities <= len(people) or settings < 1 or needed > len(attributes) or seed < 0:
        raise StyleSwapError(
            f"expected 2 to {len(people)} identities, 1 or more settings and a seed of 0 or more, got "
            f"{identities}, {settings} and {seed}; change --identities, --settings or --seed"
        )
    drawn = pick_seeds(attributes, needed, seed)
    random = np.random.default_rng([4, seed])
    target = np.empty((identities, settings), dtype=np.int64)
    for column in range(settings):
        # Shifting a random order of people against itself assigns nobody to themselves.
        order = random.permutation(identities)
        target[order, column] = np.roll(order, int(random.integers(1, identities)))
    return Cases(
        identity_seeds=pick_seeds(people, identities, seed),
        photo_seeds=drawn[:identities],
        other_photo_seeds=drawn[identities : 2 * identities],
        attribute_seeds=drawn[2 * identities :],
        source=torch.arange(identities).repeat_interleave(settings),
        target=torch.from_numpy(target.reshape(-1)),
    )


def photos(
    cases: Cases, other: bool, batch: int, device: torch.device, workers: RenderWorkers
) -> Iterator[tuple[Tensor, Tensor]]:
    """Source photos, or the other photos, of all people in batches.

    Yields:
        Whole pictures (B, 3, FRAME, FRAME) in -1..1, rounded to 8 bits, and their true points (B, 5, 2).
    """
    render_part = partial(
        _photo_part, cases.identity_seeds, cases.other_photo_seeds if other else cases.photo_seeds, device
    )
    for part in workers.map(render_part, torch.arange(len(cases.identity_seeds)).split(batch)):
        yield part["pictures"], part["points"]


def case_batches(
    cases: Cases, parts: Sequence[Tensor], size: int | None, template: str, device: torch.device, workers: RenderWorkers
) -> Iterator[CaseBatch]:
    """`render_cases` for each part, a tensor of case indices (B,); `workers` render ahead."""
    render_part = partial(_case_part, cases, size, template, device)
    for part in workers.map(render_part, parts):
        yield CaseBatch(**part)


def render_cases(cases: Cases, rows: Tensor, size: int | None, template: str, device: torch.device) -> CaseBatch:
    """Render cases as aligned crops of `size` pixels, or as whole pictures of FRAME pixels if `size` is None.

    Target and exact swap have the same window: the one that aligns the target's true points with the template.

    Args:
        cases: All cases.
        rows: (B,) indices of the cases to render.
        size: Side of the crops, or None.
        template: Crop template.
        device: Where to render.
    """
    source_seeds = [cases.identity_seeds[int(i)] for i in cases.source[rows]]
    target_seeds = [cases.identity_seeds[int(i)] for i in cases.target[rows]]
    sources = Identities.from_seeds(source_seeds, device)
    targets = Identities.from_seeds(target_seeds, device)
    attributes = Attributes.from_seeds([cases.attribute_seeds[int(i)] for i in rows], device)
    frame_points = five_points(targets, attributes, FRAME)
    window = None
    if size is not None:
        window = estimate_similarity(frame_points, template_points(template, size).to(device))
    side = size or FRAME
    target = render(targets, attributes, side, window, frame_size=FRAME)
    exact = render(sources, attributes, side, window, body=targets, frame_size=FRAME)
    ffhq = estimate_similarity(frame_points, template_points("ffhq", FRAME).to(device))
    return CaseBatch(
        target=round_to_8_bits(target.image),
        exact=round_to_8_bits(exact.image),
        target_face=target.face_mask,
        exact_face=exact.face_mask,
        target_points=target.points,
        exact_points=exact.points,
        pose=crop_pose(attributes.pose, ffhq),
        expression=attributes.expression,
        gaze=attributes.gaze,
    )


def _photo_part(
    identity_seeds: list[int], attribute_seeds: list[int], device: torch.device, rows: Tensor
) -> dict[str, Tensor]:
    identities, attributes = ([seeds[int(i)] for i in rows] for seeds in (identity_seeds, attribute_seeds))
    rendered = render(Identities.from_seeds(identities, device), Attributes.from_seeds(attributes, device), size=FRAME)
    return {"pictures": round_to_8_bits(rendered.image), "points": rendered.points}


def _case_part(cases: Cases, size: int | None, template: str, device: torch.device, rows: Tensor) -> dict[str, Tensor]:
    return vars(render_cases(cases, rows, size, template, device))


def crop_pose(pose: Tensor, matrix: Tensor) -> Tensor:
    """Yaw, pitch and roll (B, 3) in degrees relative to aligned crops.

    A similarity transform rotates the picture in its plane, by an angle that is clockwise on the screen; roll is
    counterclockwise.

    Args:
        pose: (B, 3) yaw, pitch and roll in degrees in the whole pictures.
        matrix: (B, 2, 3) similarity transforms from pictures to crops.
    """
    rotation = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    return torch.stack([pose[:, 0], pose[:, 1], pose[:, 2] - rotation], dim=1)
