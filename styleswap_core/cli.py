"""Entry point of the `styleswap` command: runs a subcommand and turns errors into one line and an exit code.

Exit codes: 0 for success; 2 for invalid input or usage, explained in one line on stderr; 130 for an interrupt; 141 if
the reader of the output closed the pipe. A package that
does not load is explained, too. Any other failure is a bug in the program and keeps its traceback.

A subcommand is a module with `add_arguments(parser)` and `run(args) -> int`. Only the module of the requested
subcommand is imported, so that `styleswap --help` is quick.
"""

import argparse
import atexit
import gc
import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from . import __version__
from .commands.console import EXIT_BAD_INPUT, EXIT_INTERRUPTED, print_error
from .errors import StyleSwapError
from .installation.import_failures import explain

EXIT_BROKEN_PIPE = 141


class Command(NamedTuple):
    """Module of a subcommand, relative to this package, and its line in `styleswap --help`."""

    module: str
    help: str


COMMANDS = {
    "demo": Command(".commands.demo_command", "render two faces, swap them, and show the result; requires no files"),
    "swap": Command(".commands.swap_command", "swap the face of one person into pictures and videos"),
    "detect": Command(".commands.detect_command", "list the faces in pictures, and draw their numbers"),
    "face-mask": Command(
        ".commands.face_mask_command", "write masks of the faces in pictures, or of regions such as eyes or hair"
    ),
    "align": Command(
        ".commands.align_command", "cut faces out of pictures as aligned crops, for face restoration and other programs"
    ),
    "paste": Command(".commands.paste_command", "put changed crops of faces back into their pictures"),
    "blend": Command(
        ".commands.blend_command", "blend swapped pictures over their targets under a mask: edges, colors, seams"
    ),
    "identity": Command(
        ".commands.identity_command", "make identity files from pictures, and blend, compare, show and convert them"
    ),
    "invert": Command(
        ".commands.invert_command",
        "optimize the identity of one person for a model, for a closer likeness in swaps",
    ),
    "evaluate": Command(
        ".commands.evaluate_command", "measure the quality of a model, of inversions, or of swapped pictures and videos"
    ),
    "render": Command(
        ".commands.render_command", "render synthetic faces as pictures, a contact sheet, or training data"
    ),
    "prepare": Command(".commands.prepare_command", "make a training set from your own pictures and videos"),
    "train": Command(".commands.train_command", "train a model on rendered faces or on a prepared training set"),
    "export": Command(".commands.export_command", "write the model of a training run to one file, or as ONNX"),
    "convert": Command(".commands.convert_command", "convert a checkpoint of another program to a model file"),
    "migrate": Command(
        ".commands.migrate_command", "move ComfyUI workflows of ReActor and other face swap packs over to these nodes"
    ),
    "train-recognizer": Command(".commands.train_recognizer_command", "train the face recognizer of the demo pack"),
    "train-detector": Command(".commands.train_detector_command", "train the face detector of the demo pack"),
    "train-regressors": Command(
        ".commands.train_regressors_command", "train the networks that measure pose, expression and gaze in evaluations"
    ),
    "credentials": Command(
        ".commands.credentials_command", "read and verify Content Credentials, or make a certificate to sign with"
    ),
    "models": Command(
        ".commands.models_command", "list the swapping networks on this machine, with family, size and license"
    ),
    "doctor": Command(
        ".commands.doctor_command",
        "check which required packages are broken or missing, and print everything that a bug report needs",
    ),
}


class _Parser(argparse.ArgumentParser):
    """Parser that reports invalid usage in one line, like all other invalid input."""

    def error(self, message: str) -> NoReturn:
        """Raise StyleSwapError instead of printing the usage and exiting."""
        raise StyleSwapError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse unknown arguments in the subcommand that they were given to, whose help lists the known ones."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Parser of the whole command, in which only the subcommand `chosen` has its arguments."""
    parser = _Parser(prog="styleswap", description="Swap faces with StyleSwap (ECCV 2022).")
    parser.add_argument("--version", action="version", version=f"styleswap {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        description = f"{command.help[0].upper()}{command.help[1:]}."
        subparser = subparsers.add_parser(name, help=command.help, description=description)
        if name == chosen:
            module = import_module(command.module, __package__)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `styleswap` and return its exit code.

    Args:
        argv: Words of the command line after the program's name; by default those of the process.

    Raises:
        SystemExit: With code 0, for `--help` and `--version`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _print_everything()
    # When Python ends, it searches all objects for cycles to collect; with torch, that takes longer than a swap.
    atexit.register(gc.freeze)
    try:
        code = _run(words)
        # Flushed here, so that a closed pipe is noticed inside this block.
        sys.stdout.flush()
        return code
    except StyleSwapError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("styleswap: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout again at exit, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if reason := _reason(error):
            return _fail(reason)
        raise


def _run(words: list[str]) -> int:
    chosen = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(words)
    with warnings.catch_warnings():
        # insightface calls a function that scikit-image deprecated; users cannot do anything about it.
        warnings.filterwarnings("ignore", category=FutureWarning, module="insightface")
        return args.run(args)


def _reason(error: Exception) -> str:
    """Sentence about an error that users can fix wherever it happened; empty for bugs."""
    if failure := explain(error):
        return failure.sentence()
    if isinstance(error, OSError):
        # A full disk, missing permissions or an unplugged drive.
        reason = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return f"{reason}; check the path, its permissions and the free space"
    return ""


def _fail(message: str) -> int:
    print_error(message)
    return EXIT_BAD_INPUT


def _print_everything() -> None:
    """Let streams escape what their encoding lacks, so that a name cannot end the program when its work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
