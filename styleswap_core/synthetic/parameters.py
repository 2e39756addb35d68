"""Identity and attribute parameters of the face world, drawn from integer seeds.

Two independent sets of parameters describe a picture: `Identities` say who it shows, `Attributes` everything else
(pose, expression, light, hair, accessories, clothes, background, framing).

Random numbers come from NumPy's PCG64, so a seed gives the same parameters on every device and with every version of
torch. Fields are drawn in the order in which they are listed: append new ones, never insert or reorder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IDENTITY_SEEDS = {
    "train": range(100_000),
    "validation": range(100_000, 110_000),
    "test": range(110_000, 200_000),
}
"""Identity seeds of each split."""

ATTRIBUTE_SEEDS = {
    "train": range(10_000_000),
    "validation": range(10_000_000, 11_000_000),
    "test": range(11_000_000, 20_000_000),
}
"""Attribute seeds of each split."""

IDENTITY_FIELDS: dict[str, tuple[float, float]] = {
    "jaw_width": (0.49, 0.64),
    "gonion_width": (0.27, 0.44),
    "gonion_height": (-0.60, -0.46),
    "jaw_length": (-1.02, -0.82),
    "chin_width": (0.10, 0.22),
    "chin_forward": (0.42, 0.58),
    "cheekbone": (0.13, 0.24),
    "cheekbone_height": (-0.22, -0.06),
    "cheek_fullness": (0.10, 0.25),
    "brow_ridge": (0.03, 0.115),
    "forehead": (0.50, 0.62),
    "eye_spacing": (0.255, 0.355),
    "eye_size": (0.118, 0.165),
    "eye_height": (-0.01, 0.09),
    "eye_tilt": (-0.26, 0.30),
    "eye_depth": (0.535, 0.60),
    "eye_roundness": (0.76, 1.28),
    "lid_fold": (0.0, 1.0),
    "nose_length": (0.28, 0.45),
    "nose_width": (0.085, 0.15),
    "nose_bridge": (0.67, 0.775),
    "nose_bridge_width": (0.045, 0.085),
    "nose_tip": (0.075, 0.125),
    "nose_projection": (0.87, 1.0),
    "nose_tip_lift": (-0.05, 0.05),
    "nose_bend": (-0.05, 0.05),
    "mouth_width": (0.185, 0.305),
    "mouth_height": (-0.64, -0.54),
    "upper_lip": (0.028, 0.085),
    "lower_lip": (0.04, 0.105),
    "cupid_bow": (0.0, 0.55),
    "mouth_forward": (0.53, 0.63),
    "ear_size": (0.8, 1.25),
    "ear_angle": (0.05, 0.75),
    "brow_height": (0.13, 0.23),
    "brow_thickness": (0.018, 0.06),
    "brow_arch": (0.0, 0.09),
    "brow_slope": (-0.22, 0.26),
    "brow_length": (0.13, 0.215),
    "brow_darkness": (0.35, 1.0),
    "brow_hue": (0.0, 1.0),
    "melanin": (0.0, 1.0),
    "undertone": (-1.0, 1.0),
    "ruddiness": (0.0, 1.0),
    "lip_redness": (0.0, 1.0),
    "iris_hue": (0.0, 1.0),
    "iris_lightness": (0.0, 1.0),
    "freckles": (-1.2, 1.0),
    "age": (-0.5, 1.0),
    "under_eye": (0.0, 1.0),
    "mole1_x": (-0.45, 0.45),
    "mole1_y": (-0.46, -0.16),
    "mole1_size": (-0.020, 0.040),
    "mole2_x": (-0.36, 0.36),
    "mole2_y": (-0.86, -0.70),
    "mole2_size": (-0.030, 0.036),
}
"""Smallest and largest value of each identity field.

Lengths are in head units: a head is about 2.2 units tall and 1.5 wide. `ear_angle` is in radians, `eye_tilt` and
`brow_slope` are slopes. Freckles, age lines and moles are absent where their value is negative.
"""
IDENTITY_NAMES = tuple(IDENTITY_FIELDS)

EXPRESSION_NAMES = ("mouth_open", "smile", "lip_round", "lid_left", "lid_right", "brow_raise")
HAIR_STYLES = ("bald", "short", "crew", "fringe", "parted", "long", "long_fringe", "curly", "bun")
BACKGROUNDS = ("gradient", "bokeh", "wall", "stripes", "landscape")


def _as_list(seeds: Iterable[int] | Tensor) -> list[int]:
    values = seeds.tolist() if isinstance(seeds, Tensor) else list(seeds)
    return [int(v) for v in values]


@dataclass(frozen=True)
class Identities:
    """A batch of people.

    Attributes:
        values: (N, len(IDENTITY_NAMES)) float32, each uniform in -1..1.
    """

    values: Tensor

    @classmethod
    def from_seeds(cls, seeds: Iterable[int] | Tensor, device: torch.device | str = "cpu") -> Identities:
        """One person per seed; `IDENTITY_SEEDS` lists the seeds of each split."""
        rows = [np.random.default_rng([1, seed]).uniform(-1.0, 1.0, len(IDENTITY_NAMES)) for seed in _as_list(seeds)]
        return cls(torch.from_numpy(np.stack(rows)).float().to(device))

    def field(self, name: str) -> Tensor:
        """Value (N, 1) of a field, in its range of `IDENTITY_FIELDS`."""
        low, high = IDENTITY_FIELDS[name]
        column = self.values[:, IDENTITY_NAMES.index(name)].unsqueeze(1)
        return low + (column + 1.0) * (0.5 * (high - low))

    def __len__(self) -> int:
        return self.values.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Identities:
        return Identities(self.values[index])

    def to(self, device: torch.device | str) -> Identities:
        """The same people, on a device."""
        return Identities(self.values.to(device))


def _hair_color(rng: np.random.Generator) -> np.ndarray:
    palette = np.array(
        [
            [0.012, 0.010, 0.009],
            [0.035, 0.020, 0.012],
            [0.09, 0.045, 0.02],
            [0.20, 0.10, 0.04],
            [0.45, 0.29, 0.12],
            [0.62, 0.46, 0.24],
            [0.30, 0.09, 0.03],
            [0.42, 0.42, 0.43],
        ]
    )
    base = palette[rng.choice(len(palette), p=[0.17, 0.17, 0.18, 0.14, 0.1, 0.08, 0.08, 0.08])]
    return base * rng.uniform(0.8, 1.25)


Draw = dict[str, np.ndarray | float]
"""Values of one attribute setting by field, in the order in which they are drawn."""


def _sometimes(rng: np.random.Generator, share: float, low: float, high: float) -> float:
    """Uniform in low..high with probability `share`, otherwise 0; consumes two random numbers either way."""
    value = rng.uniform(low, high)
    return value if rng.uniform() < share else 0.0


def _draw_pose_and_expression(rng: np.random.Generator, draw: Draw) -> None:
    u, n = rng.uniform, rng.normal
    draw["yaw"] = float(np.clip(n(0, 17), -42, 42))
    draw["pitch"] = float(np.clip(n(0, 9), -20, 20))
    draw["roll"] = float(np.clip(n(0, 8), -22, 22))
    draw["mouth_open"] = _sometimes(rng, 0.45, 0.15, 1.0)
    draw["smile"] = float(np.clip(n(0.15, 0.5), -1, 1))
    draw["lip_round"] = _sometimes(rng, 0.22, 0.2, 1.0)
    blink = u() < 0.07
    wink = u() < 0.03
    squint = u(-0.15, 0.4)
    draw["lid_left"] = 1.0 if blink or (wink and u() < 0.5) else squint + u(-0.05, 0.05)
    draw["lid_right"] = 1.0 if blink else squint + u(-0.05, 0.05)
    draw["brow_raise"] = float(np.clip(n(0, 0.5), -1, 1))
    draw["gaze_yaw"] = float(np.clip(n(0, 12), -28, 28))
    draw["gaze_pitch"] = float(np.clip(n(0, 7), -16, 16))


def _draw_light(rng: np.random.Generator, draw: Draw) -> None:
    u, n = rng.uniform, rng.normal
    draw["light_azimuth"] = float(np.clip(n(0, 38), -80, 80))
    draw["light_elevation"] = u(5, 60)
    draw["light_strength"] = u(0.55, 1.05)
    draw["light_warmth"] = u(-1, 1)
    draw["ambient_strength"] = u(0.28, 0.55)
    draw["ambient_warmth"] = u(-1, 1)
    draw["shadow"] = u(0.55, 0.95)


def _draw_hair_and_accessories(rng: np.random.Generator, draw: Draw) -> None:
    u = rng.uniform
    draw["hair_style"] = float(rng.choice(len(HAIR_STYLES), p=[0.06, 0.15, 0.12, 0.12, 0.14, 0.14, 0.1, 0.09, 0.08]))
    draw["hair_color"] = _hair_color(rng)
    draw["hair_volume"] = u(0, 1)
    draw["hairline"] = u(-1, 1)
    draw["hair_part"] = u(-1, 1)
    draw["glasses"] = _sometimes(rng, 0.2, 0.5, 1.0)
    draw["glasses_shape"] = u(0, 1)
    draw["glasses_color"] = u(0.005, 0.35, 3) ** 1.5
    draw["occluder"] = _sometimes(rng, 0.13, 0.5, 1.0)
    draw["occluder_angle"] = u(-70, 70)
    draw["occluder_x"] = u(-0.55, 0.55)
    draw["occluder_y"] = u(-1.0, 0.35)
    draw["occluder_side"] = 1.0 if u() < 0.5 else -1.0
    draw["occluder_color"] = u(0.02, 0.7, 3)
    draw["occluder_width"] = u(0.07, 0.17)
    draw["beard"] = _sometimes(rng, 0.16, 0.35, 1.0)
    draw["lipstick"] = _sometimes(rng, 0.18, 0.3, 0.9)
    draw["lipstick_color"] = np.array([u(0.25, 0.6), u(0.01, 0.10), u(0.03, 0.16)])
    draw["eye_shadow"] = _sometimes(rng, 0.15, 0.2, 0.7)
    draw["eye_shadow_color"] = u(0.02, 0.3, 3)
    draw["gloss"] = u(0.2, 1.0)


def _draw_body_and_camera(rng: np.random.Generator, draw: Draw) -> None:
    u, n = rng.uniform, rng.normal
    draw["clothes_color"] = u(0.02, 0.65, 3) ** 1.3
    draw["clothes_pattern"] = u(0, 1)
    draw["neckline"] = u(0.0, 1.0)
    draw["shoulders"] = u(1.25, 1.6)
    draw["background"] = float(rng.integers(len(BACKGROUNDS)))
    draw["background_a"] = u(0.03, 0.75, 3)
    draw["background_b"] = u(0.03, 0.75, 3)
    draw["background_offset"] = u(0, 1, 2)
    draw["background_scale"] = u(0.5, 1.6)
    draw["frame_scale"] = u(0.225, 0.33)
    draw["frame_x"] = float(np.clip(n(0.5, 0.045), 0.36, 0.64))
    draw["frame_y"] = float(np.clip(n(0.46, 0.04), 0.36, 0.58))
    draw["exposure"] = u(0.85, 1.2)
    draw["saturation"] = u(0.75, 1.12)
    draw["vignette"] = u(0.0, 0.25)
    draw["sensor_noise"] = u(0.0, 0.018)


def _draw_attributes(seed: int) -> Draw:
    rng = np.random.default_rng([2, seed])
    draw: Draw = {}
    for part in (_draw_pose_and_expression, _draw_light, _draw_hair_and_accessories, _draw_body_and_camera):
        part(rng, draw)
    return draw


@dataclass(frozen=True)
class Attributes:
    """A batch of attribute settings: everything in a picture that does not depend on the identity.

    Fields can be read as attributes: `settings.yaw` is `settings.fields["yaw"]`.

    Attributes:
        fields: By name (N, 1), offsets (N, 2), or linear RGB colors (N, 3); float32.
        noise_seeds: Seeds (N,) of sensor noise, int64, always on the CPU.
    """

    fields: dict[str, Tensor]
    noise_seeds: Tensor

    @classmethod
    def from_seeds(
        cls, seeds: Iterable[int] | Tensor, device: torch.device | str = "cpu", **fixed: float
    ) -> Attributes:
        """One setting per seed; a keyword such as `yaw=0.0` fixes that field for all of them.

        Raises:
            KeyError: An unknown field.
        """
        seeds = _as_list(seeds)
        rows = [_draw_attributes(seed) for seed in seeds]
        unknown = sorted(set(fixed) - set(rows[0]))
        if unknown:
            raise KeyError(f"expected an attribute field out of {', '.join(rows[0])}, got {unknown[0]!r}")
        fields = {}
        for name in rows[0]:
            column = np.stack([np.atleast_1d(np.asarray(fixed.get(name, row[name]), dtype=np.float64)) for row in rows])
            fields[name] = torch.from_numpy(column).float().to(device)
        return cls(fields, torch.tensor(seeds, dtype=torch.int64))

    def __len__(self) -> int:
        return self.noise_seeds.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Attributes:
        seeds = self.noise_seeds[index.cpu() if isinstance(index, Tensor) else index]
        return Attributes({name: value[index] for name, value in self.fields.items()}, seeds)

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def color(self, name: str) -> Tensor:
        """A color field as (3, N, 1), which broadcasts over colors (3, N, P)."""
        return self.fields[name].t().unsqueeze(-1)

    def to(self, device: torch.device | str) -> Attributes:
        """The same settings, on a device; `noise_seeds` stay on the CPU, where the noise is drawn."""
        return Attributes({name: value.to(device) for name, value in self.fields.items()}, self.noise_seeds)

    @property
    def pose(self) -> Tensor:
        """Yaw, pitch and roll (N, 3) in degrees."""
        return torch.cat([self.yaw, self.pitch, self.roll], dim=1)

    @property
    def expression(self) -> Tensor:
        """Values (N, 6) in the order of `EXPRESSION_NAMES`; smile and brow_raise in -1..1, the others in about 0..1."""
        return torch.cat([self.fields[name] for name in EXPRESSION_NAMES], dim=1)

    @property
    def gaze(self) -> Tensor:
        """Yaw and pitch (N, 2) of the eyes relative to the head, in degrees."""
        return torch.cat([self.gaze_yaw, self.gaze_pitch], dim=1)


def pick_seeds(pool: Sequence[int], count: int, seed: int) -> list[int]:
    """Draw `count` distinct seeds from `pool`, such as the seeds of a split, in random order that `seed` determines."""
    rng = np.random.default_rng([3, seed])
    return [pool[int(i)] for i in rng.choice(len(pool), size=count, replace=False)]
