"""Options that blend results over their targets, like the node Blend With Mask."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Options, fraction, number, whole_number

if TYPE_CHECKING:
    from ..compositing.composite import BlendOptions
    from .file_swapper import Blending

# Written out, since the modules that define them import torch, and --help should be quick; a test compares them.
COLOR_MATCHES = ("none", "mean-std", "linear", "histogram")
BLEND_METHODS = ("alpha", "multi-band", "seamless")
_BLEND_OPTIONS = ("grow", "feather", "color_match", "color_strength", "method")
_FEATHER = 4.0
"""Default of the nodes Blend With Mask and Paste Faces; its other defaults are those of `BlendOptions`."""


def add_blend_arguments(group: Options, videos: bool = True) -> None:
    """Declare the options for blending; `videos`: whether targets may be videos."""
    group.add_argument(
        "--grow",
        type=whole_number(-256, 256),
        metavar="PX",
        help="grow the mask, or shrink it if negative, in pixels (default: 0)",
    )
    group.add_argument(
        "--feather",
        type=number(0.0, 256.0),
        metavar="PX",
        help=f"soften its outline, in pixels (default: {_FEATHER})",
    )
    group.add_argument(
        "--color-match",
        choices=COLOR_MATCHES,
        help="match the colors of the face to the target: mean-std (Lab), linear (Monge-Kantorovich) or "
        "histogram (default: none)",
    )
    group.add_argument(
        "--color-strength",
        type=fraction,
        metavar="0..1",
        help="strength of the color match (default: 1.0)",
    )
    group.add_argument(
        "--method",
        choices=BLEND_METHODS,
        help="alpha: weighted mean; multi-band: wide transitions for coarse structures, narrow ones for details; "
        "seamless: Poisson blending, which adopts the target's tone (default: alpha)",
    )
    group.add_argument(
        "--keep",
        type=Path,
        metavar="MASK",
        help="gray picture, white where the target is kept, such as hands, hair or glasses; scaled to each target"
        + ("; for a video also a gray video with one frame for each frame of the target" if videos else ""),
    )


def blend_options(args: argparse.Namespace) -> "BlendOptions":
    """How to blend, by default as the nodes Blend With Mask and Paste Faces."""
    from ..compositing.composite import BlendOptions

    return replace(BlendOptions(feather=_FEATHER), **_given(args))


def blending_of(args: argparse.Namespace) -> "Blending | None":
    """Blending that the options request; None if none of them is given."""
    from .file_swapper import Blending

    if not _given(args) and args.keep is None:
        return None
    return Blending(blend_options(args), args.keep)


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The options that are given."""
    return {name: getattr(args, name) for name in _BLEND_OPTIONS if getattr(args, name) is not None}
