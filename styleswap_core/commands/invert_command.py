"""`styleswap invert`: optimizes the identity of one person for a model; writes it for `styleswap swap --identity`."""

import argparse
import json
import math
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from ..io.files import file_sha256
from .arguments import add_json_argument, add_seed_argument, add_swapper_arguments, fraction, whole_number
from .console import EXIT_INTERRUPTED, print_lines, print_note
from .identity_arguments import check_outputs
from .picture_files import check_results, pictures_in

if TYPE_CHECKING:
    import numpy as np

    from ..inversion import Callbacks, Inversion, InversionSettings, Outcome, Progress
    from .file_swapper import FileSwapper


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap invert`."""
    add = parser.add_argument
    add(
        "--source",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="pictures of the source person, which together give one identity",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.safetensors",
        help="identity file to write, for `styleswap swap --identity`",
    )
    add(
        "--guides",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="pictures of other people, or folders of pictures, to swap onto during optimization, such as frames of "
        "the target video (default: rendered faces)",
    )
    add("--steps", type=whole_number(0, 2000), metavar="N", help="maximum number of steps (default: 60)")
    add(
        "--trust",
        type=fraction,
        metavar="0..1",
        help="strength of the trust region: 1 keeps the plain identity, 0 is unbounded; lower it for a closer likeness "
        "at the cost of pose and expression (default: 0.5)",
    )
    add_seed_argument(parser, "seed of the optimization")
    add(
        "--precision",
        choices=("auto", "bf16", "float32"),
        default="auto",
        help="precision of the networks; auto is bf16 where the hardware supports it, and float32 for networks of "
        "other programs (default: %(default)s)",
    )
    add(
        "--low-memory",
        action="store_true",
        help="one face at a time, for StyleSwap models with gradient checkpointing: slower, but needs less memory; "
        "turned on automatically if a GPU runs out of memory",
    )
    add("--curve", type=Path, metavar="FILE.png", help="also write a chart of the likeness over the steps")
    add(
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="also write a picture of the source, its reconstruction, and a swap onto a held-out guide",
    )
    add_swapper_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Invert and write the identity; returns 0, or 130 if Ctrl-C ended it early, with the best state written."""
    check_outputs(args.out, args.curve, args.preview)
    named = {"--out": args.out, "--curve": args.curve, "--preview": args.preview}
    check_results([(Path(option), path) for option, path in named.items() if path is not None], args.source)
    from ..identities.identity_format import save_identity
    from ..inversion import Callbacks, Canceled, InversionSettings
    from ..io.images import load_image
    from .file_swapper import FileSwapper

    chosen = {name: getattr(args, name) for name in ("steps", "trust") if getattr(args, name) is not None}
    settings = InversionSettings(seed=args.seed, precision=args.precision, low_memory=args.low_memory, **chosen)
    sources = [load_image(path) for path in args.source]
    guides = [load_image(path) for folder in args.guides for path in pictures_in(folder)]
    swapper = FileSwapper.from_arguments(args)
    try:
        with _Display(settings.steps) as display, stop_on_ctrl_c() as canceled:
            inversion = _invert(
                swapper,
                sources,
                guides,
                settings,
                [file_sha256(path) for path in args.source],
                Callbacks(display.show, canceled),
            )
    except Canceled as error:
        raise KeyboardInterrupt from error
    save_identity(args.out, inversion.identity)
    _write_pictures(args, inversion.outcome)
    for note in inversion.notes():
        print_note(note)
    report = _report(args, inversion, swapper)
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print_lines(str(args.out), *inversion.summary())
    return EXIT_INTERRUPTED if inversion.canceled else 0


def _invert(
    swapper: "FileSwapper",
    sources: "Sequence[np.ndarray]",
    guides: "Sequence[np.ndarray]",
    settings: "InversionSettings",
    source_hashes: Sequence[str],
    callbacks: "Callbacks",
) -> "Inversion":
    """Invert; if a GPU runs out of memory, again in the low-memory form.

    Raises:
        StyleSwapError: The GPU runs out of memory even then.
    """
    import torch

    from ..inversion import invert, invertible

    network = invertible(swapper.network)
    for low_memory in dict.fromkeys((settings.low_memory, True)):
        try:
            return invert(
                network,
                swapper.analyzer,
                sources,
                guides,
                settings=replace(settings, low_memory=low_memory),
                source_hashes=source_hashes,
                callbacks=callbacks,
            )
        except torch.cuda.OutOfMemoryError:
            if not low_memory:
                print_note("the GPU has too little memory for several faces at once; starting again with one at a time")
    raise StyleSwapError(
        f"the GPU has too little memory to invert an identity at {network.size} px; close other programs, or use "
        "--device cpu"
    )


class _Display:
    """Progress bar that shows the likeness."""

    def __init__(self, steps: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=steps, desc="invert", unit="step", disable=None)

    def __enter__(self) -> "_Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def show(self, progress: "Progress") -> None:
        """Update the bar."""
        self.bar.set_postfix_str(f"likeness {progress.likeness:.3f}", refresh=False)
        self.bar.update(progress.step - self.bar.n)


@contextmanager
def stop_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Context in which the first Ctrl-C makes the yielded function return true, and the second one interrupts."""
    pressed: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _write_pictures(args: argparse.Namespace, outcome: "Outcome") -> None:
    import torch

    from ..identities.provenance import MARK
    from ..inversion.curve import curve_picture
    from ..io.images import save_image, to_uint8
    from ..io.sheets import labeled_sheet

    if args.curve is not None:
        save_image(args.curve, curve_picture(outcome))
    if args.preview is not None and outcome.pictures:
        row = list(to_uint8(torch.stack(outcome.pictures)))
        sheet = labeled_sheet([row], ("source", "reconstruction", "swap onto a held-out guide"))
        save_image(args.preview, sheet, {MARK: "face swapped"})


def _report(args: argparse.Namespace, inversion: "Inversion", swapper: "FileSwapper") -> dict[str, object]:
    outcome = inversion.outcome

    def rounded(value: float) -> float | None:
        return round(value, 4) if math.isfinite(value) else None

    return {
        "out": str(args.out),
        "ended": outcome.ended,
        "steps": outcome.steps_done,
        "best_step": outcome.best_step,
        "likeness_before": rounded(outcome.likeness_before),
        "likeness": rounded(outcome.likeness),
        "distance": rounded(outcome.distance),
        "distance_limit": rounded(outcome.distance_limit),
        "guides": outcome.guides,
        "held_out_guides": outcome.held_out,
        "guides_rendered": inversion.guides_rendered,
        "guides_skipped": inversion.guides_skipped,
        "bf16": outcome.precision.name == "bfloat16",
        "precision_reason": outcome.precision.reason,
        "seconds": round(outcome.seconds, 2),
        "notes": inversion.notes(),
        "curve": [[step, rounded(value)] for step, value in outcome.curve],
        "model": swapper.model_card(),
    }
