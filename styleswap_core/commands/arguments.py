"""Argument types, and options that several subcommands share under one name, default and wording."""

import argparse
import math
import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

from ..swappers.swap_ranges import AUTOMATIC, MAX_FACTOR

# argparse has no public name for the base class of parsers and argument groups.
Options = argparse._ActionsContainer
# Seeds of the nodes have the same limit, the largest integer that JavaScript represents exactly.
MAX_SEED = 2**53 - 1
# Written out, since the module that defines them imports torch, and --help should be quick; a test compares them.
FAMILIES = (
    "inswapper",
    "reswapper",
    "hyperswap",
    "ghost",
    "simswap",
    "simswap_unofficial",
    "hififace",
    "blendswap",
    "uniface",
    "dfm",
)


def whole_number(minimum: int = 1, maximum: int | None = None) -> Callable[[str], int]:
    """Argument type for integers from `minimum` to `maximum`."""
    bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def convert(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            value = None
        if value is None or value < minimum or (maximum is not None and value > maximum):
            raise ArgumentTypeError(f"expected a whole number {bounds}, got {word!r}")
        return value

    return convert


def number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Argument type for numbers from `minimum` to `maximum`."""

    def convert(word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not minimum <= value <= maximum:
            raise ArgumentTypeError(f"expected a number from {minimum:g} to {maximum:g}, got {word!r}")
        return value

    return convert


fraction = number(0.0, 1.0)
"""Argument type for numbers from 0 to 1."""


def resolution(word: str) -> int:
    """Argument type for "automatic", which is 0, or a factor from 1 to 8."""
    try:
        return AUTOMATIC if word == "automatic" else whole_number(1, MAX_FACTOR)(word.removesuffix("x"))
    except ArgumentTypeError:
        raise ArgumentTypeError(f"expected automatic or a whole number from 1 to {MAX_FACTOR}, got {word!r}") from None


def face_choice(word: str) -> str | list[int]:
    """Argument type for "largest", "all", or face numbers from 0 on, separated by commas."""
    if word in ("largest", "all"):
        return word
    if numbers := _face_numbers(word):
        return numbers
    raise ArgumentTypeError(f"expected largest, all, or face numbers such as 0,2; got {word!r}")


def face_numbers(word: str) -> list[int]:
    """Argument type for face numbers from 0 on, separated by commas."""
    if numbers := _face_numbers(word):
        return numbers
    raise ArgumentTypeError(f"expected face numbers such as 0 or 0,2; got {word!r}")


def _face_numbers(word: str) -> list[int]:
    """Face numbers separated by commas; none if the word is anything else."""
    parts = [part.strip() for part in word.split(",")]
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []


def age_range(word: str) -> tuple[int, int]:
    """Argument type for a range of ages such as 20-40."""
    parts = word.split("-")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts) or int(parts[0]) > int(parts[1]):
        raise ArgumentTypeError(f"expected a range of ages such as 20-40, got {word!r}")
    return int(parts[0]), int(parts[1])


def add_json_argument(options: Options) -> None:
    """Declare --json."""
    options.add_argument("--json", action="store_true", help="print the result as one JSON object")


def add_target_arguments(options: Options, description: str) -> None:
    """Declare --target, with a help text, and --recursive."""
    options.add_argument("--target", type=Path, nargs="+", required=True, metavar="FILE", help=description)
    options.add_argument(
        "--recursive",
        action="store_true",
        help="also enter the subfolders of targets; results keep their places in them",
    )


def add_result_arguments(options: Options, kind: str, mask: str) -> None:
    """Declare --out and --mask-out.

    Args:
        options: The parser or group.
        kind: What a result is, such as "picture".
        mask: Help text of --mask-out.
    """
    options.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"{kind} to write; for several targets a folder, in which results keep their names",
    )
    options.add_argument("--mask-out", type=Path, metavar="FILE", help=mask)


def add_order_argument(options: Options) -> None:
    """Declare --order."""
    from ..faces.detected import FACE_ORDERS

    options.add_argument(
        "--order",
        choices=FACE_ORDERS,
        default="largest",
        help="order in which faces are numbered (default: %(default)s)",
    )


def add_gender_argument(options: Options) -> None:
    """Declare --gender."""
    from ..faces.choice import GENDER_CHOICES

    options.add_argument(
        "--gender",
        choices=GENDER_CHOICES,
        default="any",
        help="consider only faces of this gender, as estimated by the face analysis (default: %(default)s)",
    )


def add_person_arguments(options: Options) -> None:
    """Declare --gender and --age."""
    add_gender_argument(options)
    options.add_argument(
        "--age",
        type=age_range,
        metavar="FROM-TO",
        help="consider only faces of this age in years, such as 20-40, as estimated by the face analysis",
    )


def add_faces_argument(options: Options, default: str) -> None:
    """Declare --faces."""
    options.add_argument(
        "--faces",
        type=face_choice,
        default=default,
        metavar="WHICH",
        help="which faces: largest, all, or numbers such as 0,2 in the order of --order (default: %(default)s)",
    )


def add_outliers_argument(options: Options) -> None:
    """Declare --outliers."""
    options.add_argument(
        "--outliers",
        choices=("keep", "leave-out"),
        default="keep",
        help="what to do with faces that look like a different person than the others, if there are three or more: "
        "keep them in the average, or leave them out; they are reported either way (default: %(default)s)",
    )


def add_reference_argument(options: Options) -> None:
    """Declare --reference."""
    options.add_argument(
        "--reference",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a person, as pictures or one saved identity: `swap`, `face-mask` and `align` choose the face most like "
        "this "
        "person instead, `detect` states the likeness of each face",
    )


def add_seed_argument(options: Options, what: str, default: int = 0) -> None:
    """Declare --seed; `what` says what the seed decides."""
    options.add_argument(
        "--seed",
        type=whole_number(0, MAX_SEED),
        default=default,
        metavar="N",
        help=f"{what}; the same seed gives the same result (default: %(default)s)",
    )


def add_workers_argument(options: Options) -> None:
    """Declare --workers."""
    options.add_argument(
        "--workers",
        type=whole_number(),
        default=os.cpu_count() or 1,
        metavar="N",
        help="number of processes (default: one per CPU core)",
    )


def add_device_argument(options: Options) -> None:
    """Declare --device."""
    options.add_argument(
        "--device",
        metavar="NAME",
        help="device of the networks, such as cpu or cuda (default: cuda if available, otherwise cpu)",
    )


def add_threads_argument(options: Options) -> None:
    """Declare --threads."""
    options.add_argument(
        "--threads",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="number of CPU threads; 0 lets PyTorch choose (default: %(default)s)",
    )


def add_model_argument(options: Options) -> None:
    """Declare --model, --family and --any-recognizer; no model stands for the demo model."""
    options.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="StyleSwap model, or network of another program such as inswapper_128.onnx: a file, or the name of one "
        "that `styleswap models` lists (default: the demo model)",
    )
    options.add_argument(
        "--family",
        choices=("automatic", *FAMILIES),
        default="automatic",
        help="family of another program's network, if it cannot be told from its file and name (default: %(default)s)",
    )
    options.add_argument(
        "--any-recognizer",
        action="store_true",
        help="for networks of other programs: also accept identities from a different recognizer than the one the "
        "network was trained with; the likeness is usually lost",
    )


def add_pack_arguments(options: Options) -> None:
    """Declare --pack and --download; no pack stands for the demo pack."""
    options.add_argument(
        "--pack",
        metavar="NAME",
        help="face analysis: opencv for OpenCV Zoo's networks, or an insightface pack, by name or folder; it must "
        "contain the recognizer that the model is trained with (default: the demo pack, for rendered faces)",
    )
    options.add_argument(
        "--download",
        action="store_true",
        help="download the pack if it is missing: OpenCV Zoo's files from their repository (MIT, Apache-2.0), others "
        "through insightface (licensed for non-commercial research only)",
    )


def add_detection_size_argument(options: Options) -> None:
    """Declare --detection-size."""
    options.add_argument(
        "--detection-size",
        type=whole_number(64),
        metavar="PX",
        help="side to which pictures are scaled for the detector, a multiple of 32; a larger one finds smaller "
        "faces, but takes longer (default: 640 and 256, and finer in pictures over 2048 px or with small faces)",
    )


def add_detection_arguments(options: Options) -> None:
    """Declare --detection-size and --detection-threshold."""
    add_detection_size_argument(options)
    options.add_argument(
        "--detection-threshold",
        type=number(0.05, 0.95),
        default=0.5,
        metavar="0..1",
        help="minimum confidence of the detector; a lower one finds more faces, but also more false positives "
        "(default: %(default)s)",
    )


def add_swapper_arguments(parser: ArgumentParser) -> None:
    """Declare the options that choose the model, the face analysis and the device."""
    group = parser.add_argument_group("model and face analysis")
    add_model_argument(group)
    add_pack_arguments(group)
    add_detection_arguments(group)
    add_device_argument(group)


def add_parsing_argument(options: Options) -> None:
    """Declare --parsing."""
    options.add_argument(
        "--parsing",
        type=Path,
        metavar="FILE.onnx",
        help="face parsing network, such as bisenet_resnet_34.onnx, as a file or by its name in one of ComfyUI's "
        "folders, that finds the regions of the face for its mask (default: none)",
    )
