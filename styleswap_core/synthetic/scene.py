"""Small scenes of the face world by a few numbers: photos of a source, and a target that may move, with a second person.

Everything a user of the swap needs to try it, or to report what goes wrong, without a single file: people and
settings come from the test split, so no model has seen them. The same numbers give the same pictures.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import torch

from ..errors import StyleSwapError
from .parameters import ATTRIBUTE_SEEDS, EXPRESSION_NAMES, IDENTITY_SEEDS, Attributes, Identities
from .world import render, sensor_noise

PEOPLE = len(IDENTITY_SEEDS["test"]) // 2
"""Number of people to choose from; each has a companion, for scenes of two."""

SETTINGS = 500_000
"""Number of settings (pose, light, hair, background ...) to choose from."""

MAX_PHOTOS = 16
_MOVING = ("yaw", "pitch", "roll", "gaze_yaw", "gaze_pitch", *EXPRESSION_NAMES)
# What two people in one picture have in common.
_SHARED = (
    "light_azimuth",
    "light_elevation",
    "light_strength",
    "light_warmth",
    "ambient_strength",
    "ambient_warmth",
    "shadow",
    "background",
    "background_a",
    "background_b",
    "background_offset",
    "background_scale",
    "exposure",
    "saturation",
    "sensor_noise",
)
_TILE = 256
_WIDEST = 0.27  # frame_scale at which shoulders stay in a person's own half of the picture


OnTile = Callable[[], None]


@dataclass(frozen=True)
class SyntheticScene:
    """What is to be seen; checked on construction.

    Attributes:
        source_person, target_person: 0..PEOPLE-1.
        source_setting, target_setting: 0..SETTINGS-1.
        motion_setting: whose pose, expression and gaze the target takes on in the middle of the frames.
        size: side of one person's picture in pixels, even.
        frames: of the target.
        people: 1, or 2: the target's companion beside it.
        photos: of the source, under different settings.
    """

    source_person: int = 0
    target_person: int = 1
    source_setting: int = 0
    target_setting: int = 1
    motion_setting: int = 2
    size: int = 256
    frames: int = 1
    people: int = 1
    photos: int = 1

    def __post_init__(self) -> None:
        ranges = {
            "source_person": (0, PEOPLE - 1),
            "target_person": (0, PEOPLE - 1),
            "source_setting": (0, SETTINGS - 1),
            "target_setting": (0, SETTINGS - 1),
            "motion_setting": (0, SETTINGS - 1),
            "size": (64, 2048),
            "frames": (1, 100_000),
            "people": (1, 2),
            "photos": (1, MAX_PHOTOS),
        }
        for name, value in asdict(self).items():
            low, high = ranges[name]
            if not low <= value <= high:
                raise StyleSwapError(f"expected {name} from {low} to {high}, got {value}")
        if self.size % 2:
            raise StyleSwapError(f"expected an even size, got {self.size}")

    @property
    def width(self) -> int:
        """Of the target's pictures, in pixels."""
        return self.size * self.people

    def source_photos(self, companion: bool = False, on_tile: OnTile = lambda: None) -> Iterator[torch.Tensor]:
        """The source's pictures, one by one, or those of the source's companion: (3, S, S) in -1..1.

        on_tile: called before each tile of each picture, here and below; what it raises ends the rendering.
        """
        person = _person(self.source_person, companion)
        for photo in range(self.photos):
            setting = _setting(self.source_setting + photo * SETTINGS, companion)
            yield _render(person, setting, self.size, 0, person, on_tile)[0]

    def target_frame(self, frame: int, on_tile: OnTile = lambda: None) -> tuple[torch.Tensor, torch.Tensor]:
        """The target's picture (3, S, W) in -1..1 and the mask of its visible faces (1, S, W) in 0..1."""
        parts = [self._part(frame, self.target_person, right, on_tile) for right in self._places()]
        return tuple(torch.cat(rows, dim=2) for rows in zip(*parts, strict=True))

    def exact_frame(self, frame: int, on_tile: OnTile = lambda: None) -> torch.Tensor:
        """What a perfect swap gives, (3, S, W) in -1..1: the source's face left, the companion's right."""
        parts = [self._part(frame, self.source_person, right, on_tile) for right in self._places()]
        return torch.cat([image for image, _ in parts], dim=2)

    def _places(self) -> tuple[bool, ...]:
        return (False, True)[: self.people]

    def _part(self, frame: int, number: int, right: bool, on_tile: OnTile) -> tuple[torch.Tensor, torch.Tensor]:
        """One person's half, picture and face mask; the face of person `number` on the body of the target."""
        face, body = (_person(one, right) for one in (number, self.target_person))
        return _render(face, self._attributes(frame, right), self.size, self.size * right, body, on_tile)

    def _attributes(self, frame: int, right: bool) -> Attributes:
        """The target's setting in a frame: there, over to the motion setting, and back."""
        setting, motion = (_setting(seed, right) for seed in (self.target_setting, self.motion_setting))
        share = 0.5 - 0.5 * math.cos(2.0 * math.pi * frame / self.frames)
        fields = dict(setting.fields)
        for name in _MOVING:
            fields[name] = torch.lerp(fields[name], motion.fields[name], share)
        if self.people == 2:
            common = _setting(self.target_setting, False)
            fields |= {name: common.fields[name] for name in _SHARED}
            fields["vignette"] = torch.zeros_like(fields["vignette"])
            fields["frame_scale"] = fields["frame_scale"].clamp(max=_WIDEST)
            fields["frame_x"] = torch.full_like(fields["frame_x"], 1.5 if right else 0.5)
        return replace(setting, fields=fields, noise_seeds=setting.noise_seeds + frame)


def _render(
    person: Identities, setting: Attributes, size: int, left: int, body: Identities, on_tile: OnTile
) -> tuple[torch.Tensor, torch.Tensor]:
    """Picture (3, S, S) and face mask (1, S, S) from column `left` on, the same as in one piece.

    In tiles memory stays small at any size, and a user who cancels does not wait for a whole picture.
    """
    tile = min(size, _TILE)
    starts = sorted({min(start, size - tile) for start in range(0, size, tile)})
    quiet = replace(setting, fields={**setting.fields, "sensor_noise": torch.zeros_like(setting.sensor_noise)})
    image, mask = torch.empty(3, size, size), torch.empty(1, size, size)
    for y in starts:
        for x in starts:
            on_tile()
            window = torch.tensor([[[1.0, 0.0, -float(left + x)], [0.0, 1.0, -float(y)]]])
            shown = render(person, quiet, size=tile, window=window, body=body, frame_size=size)
            image[:, y : y + tile, x : x + tile] = shown.image[0]
            mask[:, y : y + tile, x : x + tile] = shown.face_mask[0]
    # The noise belongs to the whole picture's raster.
    return (image + sensor_noise(setting, size)[0]).clamp(-1.0, 1.0), mask


def _person(number: int, companion: bool) -> Identities:
    return Identities.from_seeds([IDENTITY_SEEDS["test"][number + PEOPLE * companion]])


def _setting(number: int, companion: bool) -> Attributes:
    pool = ATTRIBUTE_SEEDS["test"]
    return Attributes.from_seeds([pool[-1 - number] if companion else pool[number]])
