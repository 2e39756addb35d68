"""Options of `styleswap swap` for videos."""

import argparse
import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Options, number, whole_number

if TYPE_CHECKING:
    from ..video.clip_plan import ClipOptions

# Written out, since the module that defines them is reached through torch, and --help should be quick; a test compares
# them.
MAX_INTERVAL, MAX_SMOOTHING = 30, 10.0


def seconds(word: str) -> float:
    """Argument type for a time: seconds, or hours, minutes and seconds separated by colons."""
    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", word)
    if found is None:
        raise ArgumentTypeError(f"expected a time such as 90, 90.5, 1:30 or 0:01:30, got {word!r}")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + rest


def add_clip_arguments(group: Options) -> None:
    """Declare the options for videos."""
    group.add_argument(
        "--codec",
        default="",
        metavar="NAME",
        help="h264, hevc, av1, vp9, prores, ffv1, or an encoder of FFmpeg such as h264_nvenc, hevc_qsv or "
        "h264_videotoolbox (default: the codec of the target if the file usually holds it)",
    )
    group.add_argument(
        "--quality",
        type=number(0.0, 100.0),
        metavar="N",
        help="constant quality on the encoder's own scale (CRF, CQ; lower is better; 0 to 100 with higher better for "
        "WebP) (default: visually close to the target)",
    )
    group.add_argument(
        "--lossless",
        action="store_true",
        help="encode without any loss: FFV1 in .mkv, lossless H.264 or VP9 in other files",
    )
    group.add_argument(
        "--start",
        type=seconds,
        default=0.0,
        metavar="TIME",
        help="skip everything before this time, in seconds or as 1:30 (default: 0)",
    )
    group.add_argument("--duration", type=seconds, metavar="TIME", help="length of the part to swap (default: all)")
    group.add_argument(
        "--preview",
        type=Path,
        metavar="PICTURE",
        help="swap a few frames only, and write a contact sheet of them instead of the video",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="continue an interrupted run that had the same options",
    )
    group.add_argument(
        "--doubtful",
        type=Path,
        metavar="PICTURE",
        help="also write a contact sheet of the frames in which the swap is least certain",
    )


def add_sharing_arguments(group: Options) -> None:
    """Declare the options for several workers."""
    group.add_argument(
        "--workers",
        type=whole_number(1),
        default=0,
        metavar="N",
        help="distribute the segments of a video among this many processes, and the GPUs of this machine among them "
        "(default: 1; with --ray one for each GPU of the cluster, or for each machine with --device cpu)",
    )
    group.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="distribute the segments among the machines of a Ray cluster, such as auto or ray://head:10001; local "
        "tries this on one machine",
    )


def add_tracking_arguments(group: Options) -> None:
    """Declare the options for tracks."""
    group.add_argument(
        "--no-tracking",
        action="store_true",
        help="choose and swap the faces of each frame independently",
    )
    group.add_argument(
        "--detection-interval",
        type=whole_number(1, MAX_INTERVAL),
        default=4,
        metavar="FRAMES",
        help="detect faces in every nth frame, and follow them in between; more often where they move fast (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--smoothing",
        type=number(0.0, MAX_SMOOTHING),
        default=4.0,
        metavar="FRAMES",
        help="average the points and colors of a face over about this many frames before and after, along its motion "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--bridge",
        type=whole_number(0),
        default=12,
        metavar="FRAMES",
        help="follow a face that the detector does not find for up to this many frames, until it is found again "
        "(default: %(default)s)",
    )


def clip_options(args: argparse.Namespace) -> "ClipOptions":
    """The options as given."""
    from ..media.encoders import EncodingOptions
    from ..tracking.tracking_options import TrackingOptions
    from ..video.clip_plan import ClipOptions
    from .blend_arguments import blending_of

    encoding = EncodingOptions(args.codec, args.quality, args.lossless)
    tracking = None
    if not args.no_tracking:
        tracking = TrackingOptions(args.detection_interval, args.smoothing, args.bridge)
    blending = blending_of(args)
    return ClipOptions(
        encoding,
        args.start,
        args.duration,
        tracking,
        blending=None if blending is None else blending.options,
        workers=args.workers,
        ray=args.ray,
    )
