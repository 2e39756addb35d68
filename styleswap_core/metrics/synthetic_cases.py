"""Who is swapped onto whom in the synthetic suite, and the pictures of it.

All people and all attribute settings come from the test split, chosen by one seed. Each of N people is a source K
times, each time under an attribute setting of its own; the target of such a case is another of the N people. One
photo of each person is the source photo and stands in the gallery, a second one is the `other photo`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, template_points
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities, pick_seeds
from ..synthetic.world import five_points, render
from .identity_similarity import eight_bit
from .streams import Renderer

FRAME = 256
"""Side in pixels of a whole picture: of every photo, and of the targets of the pipeline protocol."""

# (function of rows, parts of rows) -> what it gives for each part, in order
Runner = Callable[[Renderer, Sequence[Tensor]], Iterator[dict[str, Tensor]]]


@dataclass(frozen=True)
class Cases:
    """N people, C = N * K cases; `source` and `target` (C,) int64 are rows of the people."""

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
    """Pictures (B,3,S,S) of 8-bit values in -1..1, face masks (B,1,S,S) 0..1, points (B,5,2) in px of the picture.

    `exact` is the exact swap: the source's identity under the target's attributes, window and body. `pose` (B,3)
    deg with the roll that is left in an ffhq window of the target, `expression` (B,E), `gaze` (B,2) deg: the truth.
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
    """The cases of `identities` people under `settings` attribute settings each, ordered by source.

    Raises:
        StyleSwapError: less than 2 people or 1 setting, more than the test split holds, or a negative seed.
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
        # A circle of all people in random order, turned by a random step: nobody meets himself.
        circle = random.permutation(identities)
        target[circle, column] = np.roll(circle, int(random.integers(1, identities)))
    return Cases(
        identity_seeds=pick_seeds(people, identities, seed),
        photo_seeds=drawn[:identities],
        other_photo_seeds=drawn[identities : 2 * identities],
        attribute_seeds=drawn[2 * identities :],
        source=torch.arange(identities).repeat_interleave(settings),
        target=torch.from_numpy(target.reshape(-1)),
    )


def photos(cases: Cases, other: bool, batch: int, device: torch.device, run: Runner) -> Iterator[tuple[Tensor, Tensor]]:
    """Source photos, or other photos, in parts of `batch` people.

    Whole pictures (B,3,FRAME,FRAME) of 8-bit values in -1..1, and their true points (B,5,2).
    """
    call = partial(_photo_part, cases.identity_seeds, cases.other_photo_seeds if other else cases.photo_seeds, device)
    for part in run(call, torch.arange(len(cases.identity_seeds)).split(batch)):
        yield part["pictures"], part["points"]


def case_batches(
    cases: Cases, parts: Sequence[Tensor], size: int | None, template: str, device: torch.device, run: Runner
) -> Iterator[CaseBatch]:
    """One batch for each part, rows (B,) of the cases, as `render_cases` makes it, computed through `run`."""
    call = partial(_case_part, cases, size, template, device)
    for part in run(call, parts):
        yield CaseBatch(**part)


def render_cases(cases: Cases, rows: Tensor, size: int | None, template: str, device: torch.device) -> CaseBatch:
    """The cases `rows` (B,) as aligned crops of `size` px, or as whole pictures of FRAME px where `size` is None.

    The crop's window aligns the target's own true points with the template; the exact swap has the same window.
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
    form = {"size": size or FRAME, "window": window, "frame_size": FRAME}
    target = render(targets, attributes, **form)
    exact = render(sources, attributes, **form, body=targets)
    ffhq = estimate_similarity(frame_points, template_points("ffhq", FRAME).to(device))
    return CaseBatch(
        target=eight_bit(target.image),
        exact=eight_bit(exact.image),
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
    return {"pictures": eight_bit(rendered.image), "points": rendered.points}


def _case_part(cases: Cases, size: int | None, template: str, device: torch.device, rows: Tensor) -> dict[str, Tensor]:
    return vars(render_cases(cases, rows, size, template, device))


def crop_pose(pose: Tensor, matrix: Tensor) -> Tensor:
    """Pose (B,3) yaw, pitch, roll in degrees of a picture, as seen in the crop that `matrix` (B,2,3) cuts from it.

    A similarity turns the picture in its plane. Its angle counts clockwise on the screen, a roll counter-clockwise.
    """
    turn = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    return torch.stack([pose[:, 0], pose[:, 1], pose[:, 2] - turn], dim=1)
