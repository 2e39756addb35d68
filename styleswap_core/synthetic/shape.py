"""Lengths and positions of heads, hair, bodies and accessories, for a batch of pictures.

Head frame: x to the right of the picture, y up, z toward the viewer, origin between the ears; the eyes lie near
y = 0.04, the chin near y = -1.0, the crown near y = 1.1. World frame: the same axes, but they do not turn with the
head. Lengths are in head units: a head is about 2.2 units tall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .parameters import HAIR_STYLES, IDENTITY_FIELDS, Attributes, Identities


@dataclass(frozen=True)
class Shape:
    """Scalars of a batch of pictures, each (B, 1).

    Names that end in x, y, z are coordinates, those in r, w, h radii, widths and heights. Fields of the head include
    the expression; those that `IDENTITY_FIELDS` lists have the identity's value.
    """

    # Jaw, chin, cheeks, forehead.
    jaw_width: Tensor
    jaw_drop: Tensor  # by how much the chin falls when the mouth opens, before scaling
    jaw_center_y: Tensor
    jaw_ry: Tensor
    gonion_width: Tensor
    gonion_y: Tensor
    chin_width: Tensor
    chin_y: Tensor
    chin_z: Tensor
    cheekbone: Tensor
    cheekbone_height: Tensor
    cheek_fullness: Tensor
    cheek_raise: Tensor
    brow_ridge: Tensor
    forehead: Tensor
    # Eyes and brows.
    eye_x: Tensor
    eye_y: Tensor
    eye_z: Tensor
    eye_r: Tensor
    eye_tilt: Tensor
    eye_roundness: Tensor
    lid_fold: Tensor
    lid_left: Tensor  # 0 open, 1 closed
    lid_right: Tensor
    brow_y: Tensor
    brow_thickness: Tensor
    brow_arch: Tensor
    brow_slope: Tensor
    brow_length: Tensor
    # Nose.
    nose_length: Tensor
    nose_width: Tensor
    nose_bridge: Tensor
    nose_bridge_width: Tensor
    nose_tip: Tensor
    nose_tip_lift: Tensor
    nose_bend: Tensor
    tip_y: Tensor
    tip_z: Tensor
    # Mouth.
    mouth_y: Tensor
    mouth_w: Tensor  # half the distance of the corners
    mouth_curve: Tensor  # by how much the corners lie above the middle
    mouth_forward: Tensor
    gap: Tensor  # height of the opening
    pout: Tensor
    lip_up: Tensor
    lip_low: Tensor
    cupid_bow: Tensor
    smile: Tensor
    # Ears.
    ear_size: Tensor
    ear_cos: Tensor
    ear_sin: Tensor
    # Hair; from the attributes alone.
    hair: Tensor  # 1 where there is any
    hair_thickness: Tensor
    hair_lump: Tensor
    hair_front: Tensor
    hair_slope: Tensor
    hair_tilt: Tensor
    hair_long: Tensor  # 1 where it falls beside the head
    hair_end: Tensor
    hair_bun: Tensor
    # Glasses, occluder and torso; from the attributes alone. Occluder and torso are in the world frame.
    glasses: Tensor  # 1 where there are any
    rim_w: Tensor
    rim_h: Tensor
    rim_round: Tensor
    rim_r: Tensor
    occluder: Tensor  # 1 where there is one
    bar_dx: Tensor
    bar_dy: Tensor
    bar_x: Tensor
    bar_y: Tensor
    bar_r: Tensor
    shoulders: Tensor

    def rows(self, index: slice) -> Shape:
        """The scalars of a part of the batch."""
        return Shape(**{entry.name: getattr(self, entry.name)[index] for entry in fields(Shape)})


def build_shape(identities: Identities, attributes: Attributes) -> Shape:
    """Shape of each picture: the identity's head with the attributes' expression, and all that surrounds it."""
    rest = {entry.name: identities.field(entry.name) for entry in fields(Shape) if entry.name in IDENTITY_FIELDS}
    return Shape(
        **rest,
        **_expression(identities, attributes),
        **_hair(attributes),
        **_accessories(attributes),
        shoulders=attributes.shoulders,
    )


def _expression(identities: Identities, attributes: Attributes) -> dict[str, Tensor]:
    """Head fields that follow from identity and expression together."""
    rest = identities.field
    opening, smile, rounding = attributes.mouth_open, attributes.smile, attributes.lip_round
    drop = 0.20 * opening
    eye_y, ear_angle = rest("eye_height"), rest("ear_angle")
    return {
        "jaw_drop": drop,
        "jaw_center_y": -0.26 - 0.5 * drop,
        "jaw_ry": 0.62 + (rest("jaw_length").abs() - 0.82) * 0.6 + 0.45 * drop,
        "chin_y": rest("jaw_length") + 0.10 - 0.9 * drop,
        "chin_z": rest("chin_forward") - 0.10 * drop,
        "gonion_y": rest("gonion_height") - 0.35 * drop,
        "cheek_raise": smile.relu() * 0.05,
        "eye_x": rest("eye_spacing"),
        "eye_y": eye_y,
        "eye_z": rest("eye_depth"),
        "eye_r": rest("eye_size"),
        "lid_left": attributes.lid_left,
        "lid_right": attributes.lid_right,
        "brow_y": eye_y + rest("brow_height") + 0.045 * attributes.brow_raise,
        "tip_y": eye_y - rest("nose_length"),
        "tip_z": rest("nose_projection"),
        "mouth_y": rest("mouth_height") - 0.04 * drop,
        "mouth_w": rest("mouth_width") * (1.0 + 0.16 * smile - 0.36 * rounding),
        "mouth_curve": 0.075 * smile,
        "gap": 0.235 * opening * (1.0 - 0.15 * rounding) + 0.05 * rounding,
        "pout": 0.05 * rounding,
        "lip_up": rest("upper_lip") * (1.0 - 0.22 * smile.relu() - 0.15 * opening),
        "lip_low": rest("lower_lip") * (1.0 - 0.15 * smile.relu()),
        "smile": smile,
        "ear_cos": ear_angle.cos(),
        "ear_sin": ear_angle.sin(),
    }


def _hair(attributes: Attributes) -> dict[str, Tensor]:
    style, volume = attributes.hair_style, attributes.hair_volume
    names = [HAIR_STYLES[int(v)] for v in style.flatten().tolist()]

    def per_style(table: dict[str, float], default: float) -> Tensor:
        values = [[table.get(name, default)] for name in names]
        return torch.tensor(values, dtype=style.dtype, device=style.device)

    thickness = per_style({"crew": 0.012, "short": 0.05, "curly": 0.19, "bun": 0.03, "long": 0.07}, 0.08)
    return {
        "hair": per_style({"bald": 0.0}, 1.0),
        "hair_thickness": thickness + volume * per_style({"crew": 0.012, "curly": 0.12}, 0.05),
        "hair_lump": per_style({"curly": 0.030, "crew": 0.0, "bun": 0.004}, 0.010),
        "hair_front": per_style({"fringe": 0.10, "long_fringe": 0.08, "crew": 0.27}, 0.20)
        - 0.035 * attributes.hairline,
        "hair_slope": per_style({"fringe": 0.35, "long_fringe": 0.30}, 0.62),
        "hair_tilt": attributes.hair_part * per_style({"parted": 0.30, "long": 0.18, "short": 0.10}, 0.02),
        "hair_long": per_style({"long": 1.0, "long_fringe": 1.0}, 0.0),
        "hair_end": -0.85 - 0.5 * volume,
        "hair_bun": per_style({"bun": 0.30}, 0.0) * (0.8 + 0.4 * volume),
    }


def _accessories(attributes: Attributes) -> dict[str, Tensor]:
    glasses, roundness = attributes.glasses, 1.0 - attributes.glasses_shape
    angle = attributes.occluder_angle * (math.pi / 180)
    return {
        "glasses": (glasses > 0).float(),
        "rim_w": 0.185 + 0.03 * attributes.glasses_shape,
        "rim_h": 0.11 + 0.05 * roundness,
        "rim_round": 0.04 + 0.09 * roundness,
        "rim_r": 0.014 + 0.012 * glasses,
        "occluder": (attributes.occluder > 0).float(),
        "bar_dx": attributes.occluder_side * angle.cos().abs(),
        "bar_dy": -angle.sin().abs() - 0.35,
        "bar_x": attributes.occluder_x,
        "bar_y": attributes.occluder_y,
        "bar_r": attributes.occluder_width,
    }
