"""Rendered clips of the motion suite: who is swapped onto whom, the frames, and everything that is known about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..io.images import to_uint8
from ..synthetic.moving_people import KINDS, MovingClip, MovingStep, render_step
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities, pick_seeds
from ..synthetic.true_motion import SeenFace
from ..synthetic.world import render
from .identity_similarity import round_to_8_bits
from .render_workers import RenderWorkers

# Share of a face from which it counts as visible, as a share of the most that the clip shows of it.
_VISIBLE = 0.7


@dataclass(frozen=True)
class MovingCase:
    """A clip to render.

    Attributes:
        clip: Description of the clip.
        photos: Attribute seeds of the photo from which each identity is made.
        other_photos: Attribute seeds of the photo to which each result is compared.
    """

    clip: MovingClip
    photos: tuple[int, ...]
    other_photos: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RenderedCase:
    """A rendered clip.

    Attributes:
        case: Its description.
        steps: The steps, which the frames show.
        frames: (T, S, W, 3) uint8, with noise.
        exact_frames: (T, S, W, 3) uint8, the exact swap, with the same noise.
        photos: Pictures (P, 3, s, s) in -1..1 and their points (P, 5, 2), from which the identities are made.
        other_photos: The same of the other photos.
    """

    case: MovingCase
    steps: Sequence[MovingStep]
    frames: np.ndarray
    exact_frames: np.ndarray
    photos: tuple[Tensor, Tensor]
    other_photos: tuple[Tensor, Tensor]

    @property
    def people(self) -> int:
        """Number of people."""
        return len(self.case.clip.targets)

    def step(self, frame: int) -> MovingStep:
        """The step that a frame shows."""
        return self.steps[self.case.clip.step(frame)]

    def seen(self, frame: int, person: int) -> SeenFace:
        """A person of the exact swap in a frame."""
        number = self.case.clip.step(frame)
        step = self.steps[number]
        return SeenFace(self.case.clip.attributes(number)[person], step.depth[person], step.faces[person])

    def visible(self) -> np.ndarray:
        """Whether the face of each person is visible in each frame, (T, P) bool."""
        areas = torch.stack([step.faces.sum((1, 2)) for step in self.steps])
        shown = (areas >= _VISIBLE * areas.amax(0)).numpy()
        return shown[[self.case.clip.step(frame) for frame in range(len(self.frames))]]

    def true_points(self, exact: bool = False) -> np.ndarray:
        """True points of each person in each frame of the target, or of the exact swap, (T, P, 5, 2)."""
        steps = [self.step(frame) for frame in range(len(self.frames))]
        return torch.stack([step.exact_points if exact else step.points for step in steps]).numpy()


def draw_moving_cases(count: int, seed: int, size: int, kinds: Sequence[str] = tuple(KINDS)) -> list[MovingCase]:
    """`count` clips of each kind, all of other people."""
    people = sum(count * (2 if kind == "crossing" else 1) for kind in kinds)
    identities = pick_seeds(IDENTITY_SEEDS["test"], 2 * people, seed)
    settings = pick_seeds(ATTRIBUTE_SEEDS["test"], 3 * people, seed)
    cases = []
    for kind in kinds:
        for _ in range(count):
            shown = 2 if kind == "crossing" else 1
            targets, sources = (tuple(identities.pop() for _ in range(shown)) for _ in range(2))
            chosen, *photos = (tuple(settings.pop() for _ in range(shown)) for _ in range(3))
            cases.append(MovingCase(MovingClip(kind, targets, sources, chosen, size), *photos))
    return cases


def render_case(case: MovingCase, workers: RenderWorkers) -> RenderedCase:
    """Render a clip."""
    clip = case.clip
    parts = [torch.tensor([step]) for step in range(KINDS[clip.kind])]
    steps = [MovingStep(**part) for part in workers.map(partial(_step_part, clip), parts)]
    frames = np.empty((clip.frames, clip.size, clip.width, 3), np.uint8)
    exact = np.empty_like(frames)
    for frame in range(clip.frames):
        step, noise = steps[clip.step(frame)], clip.noise(frame)
        frames[frame], exact[frame] = to_uint8(torch.stack([step.target, step.exact]) + noise)
    photos, others = (_photos(clip.sources, settings, clip.size) for settings in (case.photos, case.other_photos))
    return RenderedCase(case, steps, frames, exact, photos, others)


def _step_part(clip: MovingClip, part: Tensor) -> dict[str, Tensor]:
    return vars(render_step(clip, int(part[0])))


def _photos(people: Sequence[int], settings: Sequence[int], size: int) -> tuple[Tensor, Tensor]:
    shown = render(Identities.from_seeds(people), Attributes.from_seeds(settings, occluder=0.0), size=size)
    return round_to_8_bits(shown.image), shown.points
