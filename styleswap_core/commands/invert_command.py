"""`styleswap invert`: half a minute once for a better likeness of one person in every later swap."""

import argparse
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..errors import StyleSwapError
from .arguments import fraction, whole_number
from .swap_command import add_model_arguments, load_swapper, pictures_in

EXIT_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap invert`."""
    add = parser.add_argument
    add(
        "--source",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="pictures of the person; all share one result",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.safetensors",
        help="identity file to write, for swap --identity",
    )
    add(
        "--guides",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="pictures of other people, or folders of them, to swap onto while optimizing, such as some frames of the video "
        "to come (default: rendered faces)",
    )
    add("--steps", type=whole_number(0, 2000), default=None, metavar="N", help="at most so many (default: 60)")
    add(
        "--trust",
        type=fraction,
        default=None,
        metavar="0..1",
        help="strength of the trust region: 1 stays at plain W, 0 is unbound; lower it for more likeness at the cost of pose "
        "and expression (default: 0.5)",
    )
    add("--seed", type=whole_number(0), default=0, metavar="N", help="the same seed gives the same identity (0)")
    add("--precision", choices=("auto", "bf16", "float32"), default="auto", help="of the networks (auto)")
    add(
        "--low-memory",
        action="store_true",
        help="one face at a time and gradient checkpointing: slower, less memory; done by itself where a GPU's memory "
        "does not suffice",
    )
    add("--curve", type=Path, metavar="FILE.png", help="also draw the likeness over the steps")
    add(
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="also show source, reconstruction and a swap onto a held-out guide, side by side",
    )
    add_model_arguments(parser)
    add("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Invert, write, report; 0, or 130 where Ctrl-C ended it early and what was found by then is written."""
    check_outputs(args.out, args.curve, args.preview)
    from ..identities.identity_format import save_identity
    from ..inversion import Callbacks, Canceled, InversionSettings
    from ..io.files import file_sha256
    from ..io.images import load_image
    from .swap_setup import say

    chosen = {name: getattr(args, name) for name in ("steps", "trust") if getattr(args, name) is not None}
    settings = InversionSettings(seed=args.seed, precision=args.precision, low_memory=args.low_memory, **chosen)
    sources = [load_image(path) for path in args.source]
    guides = [load_image(path) for folder in args.guides for path in pictures_in(folder)]
    swapper = load_swapper(args)
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
        say(note)
    report = _report(args, inversion, swapper)
    print(json.dumps(report, indent=1) if args.json else "\n".join([str(args.out), *inversion.summary()]))
    return EXIT_INTERRUPTED if inversion.canceled else 0


def _invert(swapper, sources, guides, settings, source_hashes, callbacks):
    """Invert; where a GPU's memory does not suffice, once more with little of it.

    Raises:
        StyleSwapError: not even that little memory is there.
    """
    import torch

    from ..inversion import invert
    from .swap_setup import say

    for low_memory in dict.fromkeys((settings.low_memory, True)):
        try:
            return invert(
                swapper.model.generator,
                swapper.analyzer,
                sources,
                guides,
                generator_sha256=swapper.model.sha256,
                settings=replace(settings, low_memory=low_memory),
                source_hashes=source_hashes,
                callbacks=callbacks,
            )
        except torch.cuda.OutOfMemoryError:
            if not low_memory:
                say("not memory enough for several faces at once; going on face by face")
    raise StyleSwapError(
        f"not memory enough on the GPU to invert an identity at {swapper.model.generator.config.size} px; close other "
        "programs, or use --device cpu"
    )


def check_outputs(out: Path, *pictures: Path | None) -> None:
    """Refuse files that could not be written, before the long work.

    Raises:
        StyleSwapError: a wrong suffix, or a folder that does not exist.
    """
    from ..io.images import check_image_suffix

    if out.suffix != ".safetensors":
        raise StyleSwapError(f"expected --out to end in .safetensors, got {str(out)!r}; rename it")
    for path in (out, *pictures):
        if path is not None and not path.parent.is_dir():
            raise StyleSwapError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
    for path in pictures:
        if path is not None:
            check_image_suffix(path)


class _Display:
    """A progress bar with the likeness."""

    def __init__(self, steps: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=steps, desc="invert", unit="step", disable=None)

    def __enter__(self) -> "_Display":
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()

    def show(self, progress) -> None:
        """Move the bar to a `Progress`."""
        self.bar.set_postfix_str(f"likeness {progress.likeness:.3f}", refresh=False)
        self.bar.update(progress.step - self.bar.n)


@contextmanager
def stop_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the inversion to stop and keep what it has; the second one ends the program."""
    pressed: list[int] = []

    def handle(number: int, frame) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _write_pictures(args: argparse.Namespace, outcome) -> None:
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


def _report(args: argparse.Namespace, inversion, swapper) -> dict:
    outcome = inversion.outcome

    def rounded(value: float) -> float | None:
        return round(value, 4) if value == value and abs(value) != float("inf") else None

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
        "bf16": outcome.bf16,
        "seconds": round(outcome.seconds, 2),
        "notes": inversion.notes(),
        "curve": [[step, rounded(value)] for step, value in outcome.curve],
        "model": swapper.model_card(),
    }
