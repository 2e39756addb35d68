"""`styleswap export`: a training run's generator as the one small file that is passed on, or baked as ONNX."""

import argparse
import json
from pathlib import Path

from ..errors import StyleSwapError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap export`."""
    parser.add_argument(
        "run_folder", type=Path, metavar="RUN", help="run folder of `styleswap train`, or a generator's file"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write: .safetensors, or .onnx with --baked")
    parser.add_argument(
        "--baked",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="write the generator of one identity as ONNX: an identity's .safetensors, or pictures of a person",
    )
    parser.add_argument(
        "--pack",
        metavar="NAME",
        help="insightface pack that recognizes the pictures of --baked (default: the demo pack)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="how weights are stored; they are read back as float32 (float16)",
    )
    parser.add_argument("--card", default="", metavar="TEXT", help="a line about the model for whoever opens the file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write the file and say what it is; returns 0.

    Raises:
        StyleSwapError: no generator in the run folder, another kind of file, another suffix than the format has,
            an identity that does not fit the generator, or no `onnx` to write ONNX with.
    """
    from ..checkpoints.native import load_generator
    from ..training.run_folder import RunFolder

    expected = ".onnx" if args.baked else ".safetensors"
    if args.out.suffix != expected:
        raise StyleSwapError(f"expected a file name that ends in {expected}, got {args.out}; change it")
    source = RunFolder(args.run_folder).generator if args.run_folder.is_dir() else args.run_folder
    generator, metadata = load_generator(source)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = _export_baked(args, generator, source) if args.baked else _export_native(args, generator, metadata)
    if args.json:
        print(json.dumps(report))
    else:
        print(
            f"wrote {report.pop('file')}: "
            + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in report.items())
        )
    return 0


def _export_native(args: argparse.Namespace, generator, metadata: dict) -> dict:
    from ..checkpoints.native import model_sha256, save_generator

    if args.card:
        metadata["card"] = args.card
    save_generator(args.out, generator, metadata, args.dtype)
    return {
        "file": str(args.out),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "bytes": args.out.stat().st_size,
        "sha256": model_sha256(args.out),
    }


def _export_baked(args: argparse.Namespace, generator, source: Path) -> dict:
    from ..checkpoints.native import model_sha256
    from ..swappers.network import check_identity
    from ..swappers.styleswap_network import StyleSwapNetwork, bake_identity, identity_sha256

    try:
        from ..export.baked_onnx import export_baked, onnx_difference
    except ImportError as error:
        raise StyleSwapError(f"writing ONNX files needs the package onnx ({error}): pip install onnx") from error
    sha256 = model_sha256(source)
    identity = _identity(args)
    check_identity(StyleSwapNetwork(generator, sha256=sha256), identity)
    baked = bake_identity(generator.eval(), identity, packed=False)
    export_baked(args.out, baked, args.card or f"StyleSwap generator {sha256[:16]} baked for one identity")
    return {
        "file": str(args.out),
        "bytes": args.out.stat().st_size,
        "identity": identity_sha256(identity)[:16],
        "largest_difference_in_onnx_runtime": float(f"{onnx_difference(args.out, baked):.1e}"),
    }


def _identity(args: argparse.Namespace):
    from ..identities.extraction import extract_identity
    from ..identities.identity_format import load_identity

    if len(args.baked) == 1 and args.baked[0].suffix == ".safetensors":
        return load_identity(args.baked[0])
    from ..faces.analysis import load_face_analysis

    return extract_identity(args.baked, load_face_analysis(args.pack))[0]
