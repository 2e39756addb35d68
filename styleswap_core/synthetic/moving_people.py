"""Clips of the face world in which people move, with exact swaps and noise like that of a camera.

Every clip runs through its steps and back again, so that each step is rendered once and shown twice, with other noise.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError
from .parameters import Attributes, Identities
from .scene import SHARED_FIELDS
from .world import render

FRAMES_PER_SECOND = 30
TURN_DEGREES_PER_SECOND = 60.0
_NOISE = 0.02
_HALF_TURN = 30.0
# Width of frames with two people, in heights.
_WIDE = 1.75

KINDS = {
    "still": 1,
    "turning": 1 + round(2 * _HALF_TURN / TURN_DEGREES_PER_SECOND * FRAMES_PER_SECOND),
    "talking": 16,
    "hand": 20,
    "crossing": 26,
}
"""Number of steps of each kind of clip.

| kind | shows |
| --- | --- |
| still | a head that holds still; only the noise changes |
| turning | a head that turns from -30 to 30 degrees at `TURN_DEGREES_PER_SECOND` |
| talking | a face that talks, nods and comes closer |
| hand | a forearm that passes before a face |
| crossing | two people of about equal size who pass each other |
"""

_STILL_FRAMES = 24

_Way = dict[str, tuple[float, float]]
_WAYS: dict[str, _Way] = {
    "still": {},
    "turning": {"yaw": (-_HALF_TURN, _HALF_TURN), "pitch": (0.0, 0.0), "roll": (0.0, 0.0)},
    "talking": {
        "yaw": (-8.0, 8.0),
        "pitch": (-6.0, 8.0),
        "roll": (-6.0, 6.0),
        "mouth_open": (0.0, 0.9),
        "smile": (-0.2, 0.6),
        "brow_raise": (-0.3, 0.5),
        "frame_x": (0.46, 0.54),
        "frame_scale": (0.25, 0.28),
    },
    "hand": {
        "yaw": (0.0, 0.0),
        "occluder": (1.0, 1.0),
        "occluder_x": (-1.5, 1.5),
        "occluder_y": (0.1, 0.1),
        "occluder_angle": (70.0, 70.0),
        "occluder_width": (0.2, 0.2),
    },
    "crossing": {"frame_x": (0.45, _WIDE - 0.45), "yaw": (12.0, 12.0), "frame_scale": (0.25, 0.25)},
}
_SECOND_WAY: _Way = {"frame_x": (_WIDE - 0.45, 0.45), "yaw": (-12.0, -12.0), "frame_scale": (0.24, 0.24)}


@dataclass(frozen=True)
class MovingClip:
    """Description of a clip.

    Attributes:
        kind: One of KINDS.
        targets: Identity seeds of the people in it: two for "crossing", the first one in front, and one otherwise.
        sources: Identity seeds of the people they become.
        settings: Attribute seeds, one per person.
        size: Height of the frames in pixels, even.

    Raises:
        StyleSwapError: An unknown kind, or another number of people.
    """

    kind: str
    targets: tuple[int, ...]
    sources: tuple[int, ...]
    settings: tuple[int, ...]
    size: int = 256

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise StyleSwapError(f"expected a kind of clip out of {', '.join(KINDS)}, got {self.kind!r}")
        people = 2 if self.kind == "crossing" else 1
        if not len(self.targets) == len(self.sources) == len(self.settings) == people:
            raise StyleSwapError(f"expected {people} targets, sources and settings for a {self.kind} clip")

    @property
    def frames(self) -> int:
        """Number of frames."""
        return _STILL_FRAMES if self.kind == "still" else 2 * KINDS[self.kind] - 2

    @property
    def width(self) -> int:
        """Width of the frames in pixels."""
        return self.size if len(self.targets) == 1 else round(self.size * _WIDE / 2) * 2

    def step(self, frame: int) -> int:
        """The step that a frame shows."""
        steps = KINDS[self.kind]
        return 0 if steps == 1 else frame if frame < steps else 2 * steps - 2 - frame

    def attributes(self, step: int) -> list[Attributes]:
        """Attributes of each person at a step."""
        found = []
        share = step / max(KINDS[self.kind] - 1, 1)
        first = _plain(self.settings[0])
        for number, seed in enumerate(self.settings):
            own = _plain(seed)
            way = _WAYS[self.kind] if number == 0 else _SECOND_WAY
            moved = {name: torch.full((1, 1), low + share * (high - low)) for name, (low, high) in way.items()}
            shared = {name: first.fields[name] for name in SHARED_FIELDS}
            quiet = {"sensor_noise": torch.zeros(1, 1)}
            found.append(replace(own, fields={**own.fields, **shared, **moved, **quiet}))
        return found

    def noise(self, frame: int) -> Tensor:
        """Noise (3, S, W) of a frame."""
        random = np.random.default_rng([5, *self.settings, frame])
        return torch.from_numpy(random.standard_normal((3, self.size, self.width), np.float32)) * _NOISE


@dataclass(frozen=True)
class MovingStep:
    """A step of a clip, without noise.

    Attributes:
        target: (3, S, W) in -1..1.
        exact: The exact swap.
        faces: (P, S, W) in 0..1, where the exact swap shows the face of each person.
        depth: (P, S, W), distance of each person in the exact swap, in head units; 0 beside the person.
        points: (P, 5, 2), five points of the target.
        exact_points: (P, 5, 2), those of the exact swap.
    """

    target: Tensor
    exact: Tensor
    faces: Tensor
    depth: Tensor
    points: Tensor
    exact_points: Tensor


def render_step(clip: MovingClip, step: int) -> MovingStep:
    """Render a step of a clip."""
    people = clip.attributes(step)
    size, shape = clip.size, (clip.size, clip.width)
    empty = None if len(people) == 1 else _background(people[0], shape)
    pictures = {name: torch.zeros(3, *shape) if empty is None else empty.clone() for name in ("target", "exact")}
    faces: list[Tensor] = []
    depth: list[Tensor] = []
    points: dict[str, list[Tensor]] = {"target": [], "exact": []}
    # The first person is in front.
    for number in reversed(range(len(people))):
        left = 0 if empty is None else round(float(people[number].frame_x) * size) - size // 2
        window = torch.tensor([[[1.0, 0.0, -float(left)], [0.0, 1.0, 0.0]]])
        body = Identities.from_seeds([clip.targets[number]])
        for name, seed in (("target", clip.targets[number]), ("exact", clip.sources[number])):
            shown = render(
                Identities.from_seeds([seed]), people[number], size=size, window=window, body=body, frame_size=size
            )
            distance = _placed(shown.depth[0], left, shape)
            picture = _placed(shown.image[0], left, shape)
            if empty is None:
                pictures[name] = picture
            else:
                cover = _coverage(distance)
                pictures[name] += torch.where(cover > 0, picture - empty + cover * (empty - pictures[name]), 0.0)
            points[name].insert(0, shown.points[0] + torch.tensor([float(left), 0.0]))
        cover = _coverage(distance)
        faces = [_placed(shown.face_mask[0], left, shape), *(face * (1.0 - cover) for face in faces)]
        depth.insert(0, distance)
    return MovingStep(
        pictures["target"],
        pictures["exact"],
        torch.cat(faces),
        torch.cat(depth),
        torch.stack(points["target"]),
        torch.stack(points["exact"]),
    )


def _plain(seed: int) -> Attributes:
    """A setting without an occluder, in the middle of the frame."""
    return Attributes.from_seeds([seed], occluder=0.0, frame_x=0.5, frame_y=0.48, vignette=0.0)


def _background(setting: Attributes, shape: tuple[int, int]) -> Tensor:
    """(3, S, W) without people."""
    size = shape[0]
    away = replace(setting, fields={**setting.fields, "frame_x": torch.full((1, 1), -9.0)})
    person = Identities.from_seeds([0])
    parts = []
    for left in range(0, shape[1], size):
        window = torch.tensor([[[1.0, 0.0, -float(left)], [0.0, 1.0, 0.0]]])
        parts.append(render(person, away, size=size, window=window, frame_size=size).image[0])
    return torch.cat(parts, dim=2)[..., : shape[1]]


def _placed(tile: Tensor, left: int, shape: tuple[int, int]) -> Tensor:
    """A tile (C, S, S) from column `left` on in (C, S, W), with zeros around it."""
    size = tile.shape[-1]
    wide = F.pad(tile, (size, shape[1] + size))
    return wide[..., size - left : size - left + shape[1]]


def _coverage(depth: Tensor) -> Tensor:
    """Share (1, S, W) of each pixel that a person covers, from the mean distance of its rays, 0 for those that miss."""
    nearby = F.max_pool2d(depth[None], 3, 1, 1)[0]
    return (depth / nearby.clamp(min=1e-6)).clamp(0.0, 1.0)
