"""The `styleswap` command: finds the subcommand, runs it, turns errors into one line and an exit code.

Exit codes: 0 done; 2 wrong input or wrong usage (one line on stderr says what to do); 130 interrupted;
141 the reader of the output went away. Anything else is a fault of the program and keeps its traceback.

A subcommand is a module with `add_arguments(parser)` and `run(args) -> int`. Only the module of the
subcommand that was asked for is imported, which keeps `styleswap --help` quick.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from . import __version__
from .errors import StyleSwapError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class Command(NamedTuple):
    """Where a subcommand lives (module, relative to this package) and its line in `styleswap --help`."""

    module: str
    help: str


COMMANDS = {
    "demo": Command(".commands.demo_command", "render two faces, swap them and show what came out; needs no file"),
    "swap": Command(".commands.swap_command", "put the face of one picture into others"),
    "invert": Command(
        ".commands.invert_command", "optimize one person's identity for a model, once, for a better likeness later"
    ),
    "evaluate": Command(".commands.evaluate_command", "measure a generator against exact ground truth"),
    "render": Command(".commands.render_command", "pictures, sheets and training data of the face world"),
    "prepare": Command(".commands.prepare_command", "make a training set out of your own pictures and videos"),
    "train": Command(".commands.train_command", "train a generator"),
    "export": Command(".commands.export_command", "write a trained generator as one small file"),
    "convert": Command(".commands.convert_command", "turn a checkpoint of another program into a model file"),
    "train-recognizer": Command(".commands.train_recognizer_command", "train the face recognizer of the demo pack"),
    "train-detector": Command(".commands.train_detector_command", "train the face detector of the demo pack"),
    "train-regressors": Command(
        ".commands.train_regressors_command", "train the pose, expression and gaze regressors used in evaluation"
    ),
    "doctor": Command(".commands.doctor_command", "print what a bug report needs"),
}


class _Parser(argparse.ArgumentParser):
    """argparse, with wrong usage reported the way every other wrong input is: in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise StyleSwapError in place of printing the usage and leaving."""
        raise StyleSwapError(f"{message}; see {self.prog} --help")


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command, with the arguments of the subcommand `chosen` alone."""
    parser = _Parser(prog="styleswap", description="Swap faces with StyleSwap (ECCV 2022).")
    parser.add_argument("--version", action="version", version=f"styleswap {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help, description=command.help)
        if name == chosen:
            module = import_module(command.module, __package__)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `styleswap` with the words `argv` (default: the process's own) and return its exit code.

    Raises:
        SystemExit: after `--help` and `--version`, with code 0.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words)
        # Flushed here, so that a reader that went away is noticed inside this try.
        sys.stdout.flush()
        return code
    except StyleSwapError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("styleswap: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit; give it a place to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        # A full disk, a folder without rights, an unplugged drive: the user's to mend, wherever it happened.
        return _fail(f"the system refused: {error}; check the path, its rights and the free space")


def _run(words: list[str]) -> int:
    chosen = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(words)
    with warnings.catch_warnings():
        # insightface calls a function that scikit-image is going to rename, which is nothing to users.
        warnings.filterwarnings("ignore", category=FutureWarning, module="insightface")
        return args.run(args)


def _fail(message: str) -> int:
    print(f"styleswap: error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
