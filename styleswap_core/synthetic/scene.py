"""Scenes of the face world, described by a few numbers: photos of a source, and a target that may move or have company.

With them a swap can be tried, or a fault reported, without any file. People and settings come from the test split, so
that no model was trained on them. Equal numbers give equal pictures.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import torch

from ..errors import StyleSwapError
from .parameters import ATTRIBUTE_SEEDS, EXPRESSION_NAMES, IDENTITY_SEEDS, Attributes, Identities

PEOPLE = len(IDENTITY_SEEDS["test"]) // 2
"""Number of people to choose from; each has a companion for scenes of two people."""

SETTINGS = 500_000
"""Number of attribute settings (pose, light, hair, background and more) to choose from."""

MAX_PHOTOS = 16
"""Largest number of photos of a source."""

# Fields that motion changes.
_MOVING = ("yaw", "pitch", "roll", "gaze_yaw", "gaze_pitch", *EXPRESSION_NAMES)
# Fields that two people in one picture have in common.
SHARED_FIELDS = (
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
# Largest `frame_scale` at which the shoulders of two people stay in their own halves of the picture.
_MAX_SHARED_SCALE = 0.27

OnTile = Callable[[], None]
"""Function called before each tile of a picture is rendered; an exception that it raises ends the rendering."""


@dataclass(frozen=True)
class SyntheticScene:
    """Description of a scene, checked on construction.

    Attributes:
        source_person: Number of the person whose face is the source, below PEOPLE.
        target_person: Number of the person in the target, below PEOPLE.
        source_setting: Number of the attribute setting of the source's first photo, below SETTINGS.
        target_setting: Number of the attribute setting of the target, below SETTINGS.
        motion_setting: Setting whose pose, expression and gaze the target reaches in the middle of its frames.
        size: Side of one person's picture in pixels, even.
        frames: Number of frames of the target.
        people: Number of people in the target: 1, or 2 with the target's companion at the right.
        photos: Number of photos of the source, each under another setting.

    Raises:
        StyleSwapError: A number is out of range, or the size is odd.
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
        """Width of the target's frames in pixels."""
        return self.size * self.people

    def source_photos(self, companion: bool = False, on_tile: OnTile = lambda: None) -> Iterator[torch.Tensor]:
        """Photos (3, S, S) in -1..1 of the source, or of the source's companion, one by one."""
        person = _person(self.source_person, companion)
        for photo in range(self.photos):
            setting = _setting(self.source_setting + photo * SETTINGS, companion)
            yield _render(person, setting, self.size, 0, person, on_tile)[0]

    def target_frame(self, frame: int, on_tile: OnTile = lambda: None) -> tuple[torch.Tensor, torch.Tensor]:
        """Target frame (3, S, W) in -1..1, and the mask (1, S, W) of its visible faces in 0..1."""
        parts = [self._part(frame, self.target_person, right, on_tile) for right in self._places()]
        return torch.cat([image for image, _ in parts], dim=2), torch.cat([mask for _, mask in parts], dim=2)

    def exact_frame(self, frame: int, on_tile: OnTile = lambda: None) -> torch.Tensor:
        """Exact swap of a frame (3, S, W) in -1..1: the source's face at the left, its companion's at the right."""
        parts = [self._part(frame, self.source_person, right, on_tile) for right in self._places()]
        return torch.cat([image for image, _ in parts], dim=2)

    def _places(self) -> tuple[bool, ...]:
        """For each person in the target, whether it is at the right."""
        return (False, True)[: self.people]

    def _part(self, frame: int, number: int, right: bool, on_tile: OnTile) -> tuple[torch.Tensor, torch.Tensor]:
        """Picture and face mask of one person's half: the face of person `number` on the body of the target."""
        face, body = (_person(each, right) for each in (number, self.target_person))
        return _render(face, self._attributes(frame, right), self.size, self.size * right, body, on_tile)

    def _attributes(self, frame: int, right: bool) -> Attributes:
        """Attributes of the target in a frame, on the way from its setting to the motion setting and back."""
        setting, motion = (_setting(seed, right) for seed in (self.target_setting, self.motion_setting))
        share = 0.5 - 0.5 * math.cos(2.0 * math.pi * frame / self.frames)
        fields = dict(setting.fields)
        for name in _MOVING:
            fields[name] = torch.lerp(fields[name], motion.fields[name], share)
        if self.people == 2:
            common = _setting(self.target_setting, False)
            fields |= {name: common.fields[name] for name in SHARED_FIELDS}
            fields["vignette"] = torch.zeros_like(fields["vignette"])
            fields["frame_scale"] = fields["frame_scale"].clamp(max=_MAX_SHARED_SCALE)
            fields["frame_x"] = torch.full_like(fields["frame_x"], 1.5 if right else 0.5)
        return replace(setting, fields=fields, noise_seeds=setting.noise_seeds + frame)


def _render(
    person: Identities, setting: Attributes, size: int, left: int, body: Identities, on_tile: OnTile
) -> tuple[torch.Tensor, torch.Tensor]:
    """Picture (3, S, S) and face mask (1, S, S) from column `left` on, rendered in tiles.

    Tiles bound the memory at any size, and a user who cancels does not wait for a whole picture.
    """
    # Imported here: the numbers of a scene are asked for where nothing is rendered, such as when ComfyUI starts.
    from .world import render, sensor_noise

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
    # Sensor noise is drawn for the picture as a whole.
    return (image + sensor_noise(setting, size)[0]).clamp(-1.0, 1.0), mask


def _person(number: int, companion: bool) -> Identities:
    return Identities.from_seeds([IDENTITY_SEEDS["test"][number + PEOPLE * companion]])


def _setting(number: int, companion: bool) -> Attributes:
    pool = ATTRIBUTE_SEEDS["test"]
    return Attributes.from_seeds([pool[-1 - number] if companion else pool[number]])
