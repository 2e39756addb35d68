"""`styleswap export`: a training run's generator as the one small file that is passed on."""

import argparse
import json
from pathlib import Path

from ..errors import StyleSwapError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap export`."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder of `styleswap train`, or a generator's file")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="file to write")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16",
                        help="how weights are stored; they are read back as float32 (float16)")
    parser.add_argument("--card", default="", metavar="TEXT", help="a line about the model for whoever opens the file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write the file and say what it is; returns 0.

    Raises:
        StyleSwapError: no generator in the run folder, another kind of file, a suffix other than .safetensors.
    """
    from ..checkpoints.native import load_generator, model_sha256, save_generator
    from ..training.records import RunFolder

    if args.out.suffix != ".safetensors":
        raise StyleSwapError(f"expected a file name that ends in .safetensors, got {args.out}; change it")
    source = RunFolder(args.run_folder).generator if args.run_folder.is_dir() else args.run_folder
    generator, metadata = load_generator(source)
    if args.card:
        metadata["card"] = args.card
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_generator(args.out, generator, metadata, args.dtype)
    report = {
        "file": str(args.out),
        "bytes": args.out.stat().st_size,
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "sha256": model_sha256(args.out),
    }
    print(json.dumps(report) if args.json else
          f"wrote {report['file']}: {report['parameters']} parameters, {report['bytes']} bytes, sha256 {report['sha256']}")
    return 0
