"""`styleswap export`: writes the generator of a training run as one model file, or as ONNX in one of three forms."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from ..export.guest_forms import GUEST_FORMS
from ..installation.import_failures import require
from .arguments import add_detection_arguments, add_json_argument, add_pack_arguments
from .console import print_lines

if TYPE_CHECKING:
    from ..identities.identity import Identity
    from ..model import Generator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap export`."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder of `styleswap train`, or a model file")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write: .safetensors, or .onnx with --form")
    parser.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="data type of the stored weights; they are loaded as float32 (default: %(default)s)",
    )
    parser.add_argument(
        "--card", default="", metavar="TEXT", help="description of the model, stored in the file (default: none)"
    )
    parser.add_argument(
        "--baked",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="with the form baked: a saved identity, or pictures of the source person",
    )
    parser.add_argument(
        "--form",
        choices=("baked", *GUEST_FORMS),
        help="write ONNX: baked for one identity (--baked), or for any identity in the form of inswapper or hyperswap "
        "files, which other programs run (default: a model file, with --baked the form baked)",
    )
    parser.add_argument(
        "--template-ok",
        action="store_true",
        help="with the forms inswapper and hyperswap: also write models with a crop template other than arcface_128, "
        "although other programs only cut crops of that template",
    )
    add_pack_arguments(parser)
    add_detection_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file and print a report; returns 0.

    Raises:
        StyleSwapError: The run folder contains no generator, a file is of another kind, the suffix does not belong to
            the format, the identity does not fit the generator, or the package onnx is missing.
    """
    from ..checkpoints.native import load_generator
    from ..training.run_folder import RunFolder

    form = args.form or ("baked" if args.baked else None)
    _check_options(args, form)
    source = RunFolder(args.run_folder).generator if args.run_folder.is_dir() else args.run_folder
    generator, metadata = load_generator(source)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if form is None:
        report = _export_native(args, generator, metadata)
    elif form == "baked":
        report = _export_baked(args, generator, source)
    else:
        report = _export_guest(args, generator, source, form)
    if args.json:
        print(json.dumps(report))
    else:
        print_lines(f"wrote {report['file']}: " + ", ".join(_facts(report)))
    return 0


def _facts(report: Mapping[str, Any]) -> list[str]:
    """The report as phrases."""
    shapes: dict[str, Callable[[Any], str]] = {
        "bytes": lambda size: f"{size / 1e6:.1f} MB",
        "parameters": lambda count: f"{count:,} parameters",
        "sha256": lambda value: f"SHA-256 {value}",
        "form": lambda form: f"form {form}",
        "template": lambda template: f"crop template {template}",
        "identity": lambda value: f"identity {value}",
        "largest_difference_in_onnx_runtime": lambda value: f"differs in ONNX Runtime by at most {value:.1e}",
    }
    return [shape(report[key]) for key, shape in shapes.items() if key in report]


def _check_options(args: argparse.Namespace, form: str | None) -> None:
    expected = ".safetensors" if form is None else ".onnx"
    if args.out.suffix != expected:
        raise StyleSwapError(f"expected OUT to name a file that ends in {expected}, got {args.out}")
    if (form == "baked") != bool(args.baked):
        problem = "needs the identity" if form == "baked" else "takes any identity, not that"
        raise StyleSwapError(f"--form {form} {problem} of --baked FILE; give --baked for the form baked only")
    if args.template_ok and form not in GUEST_FORMS:
        raise StyleSwapError(f"--template-ok belongs to --form {' or '.join(GUEST_FORMS)}; leave it out")


def _export_native(
    args: argparse.Namespace, generator: "Generator", metadata: Mapping[str, object]
) -> dict[str, object]:
    from ..checkpoints.native import model_sha256, save_generator

    card = {"card": args.card} if args.card else {}
    save_generator(args.out, generator, {**metadata, **card}, args.dtype)
    return {
        "file": str(args.out),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "bytes": args.out.stat().st_size,
        "sha256": model_sha256(args.out),
    }


def _export_baked(args: argparse.Namespace, generator: "Generator", source: Path) -> dict[str, object]:
    from ..checkpoints.native import model_sha256
    from ..swappers.network import check_identity
    from ..swappers.styleswap_network import StyleSwapNetwork, bake_identity, identity_sha256

    require("onnx", purpose="ONNX files need")
    from ..export.baked_onnx import export_baked, onnx_difference

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


def _export_guest(args: argparse.Namespace, generator: "Generator", source: Path, form: str) -> dict[str, object]:
    from ..checkpoints.native import model_sha256

    require("onnx", purpose="ONNX files need")
    from ..export.guest_onnx import export_guest, guest_difference

    sha256 = model_sha256(source)
    generator = generator.eval()
    description = args.card or f"StyleSwap generator {sha256[:16]} in the form of {form} files"
    export_guest(args.out, generator, form, template_ok=args.template_ok, sha256=sha256, description=description)
    return {
        "file": str(args.out),
        "bytes": args.out.stat().st_size,
        "form": form,
        "template": generator.config.template,
        "largest_difference_in_onnx_runtime": float(f"{guest_difference(args.out, generator, form):.1e}"),
    }


def _identity(args: argparse.Namespace) -> "Identity":
    from ..identities.extraction import extract_identity
    from ..identities.reactor_files import load_any_identity

    if len(args.baked) == 1 and args.baked[0].suffix == ".safetensors":
        return load_any_identity(args.baked[0])
    from .face_files import load_analysis

    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    return extract_identity(args.baked, analyzer)[0]
