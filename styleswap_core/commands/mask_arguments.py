"""Options that choose which part of a face is swapped, like the node Load Face Masks."""

import argparse
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from ..masking.regions import OUTLINES, REGIONS, SWAPPED, parse_regions
from ..pipeline.swap_options import MAX_SHARE, SwapOptions
from .arguments import Options, add_parsing_argument, number

if TYPE_CHECKING:
    from ..masking.face_masks import FaceMasks


def regions(text: str, areas: Sequence[str] = ()) -> str:
    """Argument type for regions of a face, by name, one of further `areas`, or number of their class."""
    try:
        parse_regions(text, areas)
    except StyleSwapError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


def add_mask_arguments(group: Options) -> None:
    """Declare the options for masks of a swap."""
    add_outline_arguments(group)
    group.add_argument(
        "--mask-padding",
        type=number(0.0, MAX_SHARE),
        default=SwapOptions.mask_padding,
        metavar=f"0..{MAX_SHARE}",
        help="keep the swapped region away from the border of the aligned crop, by this fraction of its side "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--mask-edge",
        type=number(0.0, MAX_SHARE),
        default=SwapOptions.mask_edge,
        metavar=f"0..{MAX_SHARE}",
        help="width over which the swapped region fades out inside its edge, as a fraction of the aligned crop's "
        "side (default: %(default)s)",
    )


def add_outline_arguments(group: Options) -> None:
    """Declare the options for masks that the node Load Face Masks has."""
    add_parsing_argument(group)
    group.add_argument(
        "--regions",
        "--parsing-classes",
        type=regions,
        default=SWAPPED,
        metavar="NAMES",
        help=f"for --parsing: the regions in the mask, chosen from {', '.join(REGIONS)}; for networks that do not "
        "have 19 classes, class numbers such as 1,2 (default: %(default)s)",
    )
    add_occlusion_argument(group)
    group.add_argument(
        "--outline",
        choices=OUTLINES,
        default=OUTLINES[0],
        help="automatic: the outline of the face is the mask if neither the model nor face parsing has one; the "
        "others limit the mask to that part of the face, with any model (default: %(default)s)",
    )


def add_occlusion_argument(group: Options) -> None:
    """Declare --occlusion."""
    group.add_argument(
        "--occlusion",
        type=Path,
        metavar="FILE.onnx",
        help="occlusion network, such as xseg_1.onnx, as a file or by its name in one of ComfyUI's folders: keep what "
        "covers the face, such as hands, hair or glasses",
    )


def load_masks(args: argparse.Namespace) -> "FaceMasks | None":
    """The masks that the options of `add_outline_arguments` choose; None if they choose none.

    Raises:
        StyleSwapError: A file is missing, damaged or no such network, or does not have the regions.
    """
    return named_masks(args, args.regions, args.outline)


def named_masks(args: argparse.Namespace, swapped: str, outline: str) -> "FaceMasks | None":
    """Masks with the networks that --parsing and --occlusion name; None if they limit nothing.

    Args:
        args: Arguments with these options and --device.
        swapped: Regions for the parsing network.
        outline: One of OUTLINES.

    Raises:
        StyleSwapError: As for `load_masks`.
    """
    if args.parsing is None and args.occlusion is None and outline == OUTLINES[0]:
        return None
    from ..devices import choose_device
    from ..masking.face_masks import load_face_masks
    from .found_models import find_mask_network

    parsing, occlusion = (None if name is None else find_mask_network(name) for name in (args.parsing, args.occlusion))
    return load_face_masks(parsing, swapped, occlusion, outline, choose_device(args.device))
