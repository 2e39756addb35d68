"""`styleswap evaluate`: a suite of measurements, as JSON, as a table, and as a picture sheet."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from ..checkpoints.native import load_generator
from ..devices import choose_device
from ..errors import StyleSwapError
from ..faces.analysis import InsightFaceAnalyzer, load_face_analysis
from ..faces.arcface import TorchRecognizer
from ..faces.recognition import SHIPPED_JUDGE
from ..inversion import InversionSettings
from ..io.assets import ASSETS
from ..io.files import file_sha256
from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC
from ..metrics.attribute_regressors import load_regressor
from ..metrics.bounds import INVERSION_BOUNDS, SYNTHETIC_BOUNDS
from ..metrics.evaluated_swappers import aligned_swapper, check_pack, pipeline_swapper
from ..metrics.evaluation_report import Report, check_out, markdown_table, sheet_path, write_report
from ..metrics.evaluation_sheet import swap_sheet
from ..metrics.inversion_table import inversion_table
from ..metrics.render_workers import default_workers
from ..metrics.suite_inversion import InversionFiles, InversionSuite, evaluate_inversion
from ..metrics.suite_synthetic import DEFAULT_SEED, SyntheticEvaluators, SyntheticSuite, evaluate_synthetic
from ..model import Generator
from .evaluate_samples import add_sample_arguments, run_pairs, run_videos

EXIT_MISSED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--suite", choices=sorted(SUITES), default="synthetic", help="what to measure on (default: %(default)s)")
    add("--identities", type=int, help="people, all unseen in training (default: 200; inversion: 50)")
    add("--settings", type=int, help="attribute settings per person (default: 8; inversion: 4)")
    add("--seed", type=int, default=DEFAULT_SEED, help="chooses people and settings (default: %(default)s)")
    add("--out", type=Path, metavar="FILE.json", help="write the figures here, the picture sheet beside them")
    add("--model", type=Path, default=ASSETS / "generator.safetensors", help="generator (default: the demo model)")
    add("--pack", type=Path, help="folder with detector and recognizer (default: the demo pack)")
    add(
        "--judge",
        type=Path,
        default=SHIPPED_JUDGE,
        help="second recognizer, an ONNX file; for pairs and videos also a pack (default: the shipped one, rendered faces)",
    )
    add(
        "--regressors",
        type=Path,
        default=ASSETS / "regressors.safetensors",
        help="judges of pose, expression and gaze (default: the demo pack's)",
    )
    add(
        "--protocol",
        choices=("aligned", "pipeline"),
        default="aligned",
        help="aligned: the generator on exact crops; pipeline: detect, swap and paste back in whole pictures",
    )
    add("--steps", type=int, help="inversion suite: steps of each inversion (default: those of `styleswap invert`)")
    add(
        "--trust",
        type=float,
        help="inversion suite: strength of the trust region (default: that of `styleswap invert`)",
    )
    add("--device", help="cpu or cuda (default: cuda where there is one)")
    add("--workers", type=int, help="processes that render; 0: none beside the main one (default: one per core)")
    add("--batch", type=int, default=16, help="cases at a time (default: %(default)s)")
    add("--check", action="store_true", help="exit with 1 if a figure misses what it must reach")
    add("--json", action="store_true", help="print the figures as JSON instead of a table")
    add_sample_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, write, print. 0, or 1 where `--check` finds a figure that misses its bound."""
    if args.out is not None:
        check_out(args.out)
    if args.batch < 1 or (args.workers is not None and args.workers < 0):
        raise StyleSwapError("expected --batch of 1 or more and --workers of 0 or more; change them")
    if args.input is not None and args.suite not in SAMPLE_SUITES:
        raise StyleSwapError(
            f"the {args.suite} suite renders what it measures and takes no file, got {args.input}; leave it out"
        )
    report = SUITES[args.suite](args)
    if args.out is not None:
        write_report(report, args.out)
        print(f"wrote {args.out} and {sheet_path(args.out)}", file=sys.stderr)
    print(report.to_json() if args.json else markdown_table(report), end="" if args.json else "\n")
    missed = [verdict.key for verdict in report.verdicts() if not verdict.passed]
    if args.check:
        print(f"missed: {', '.join(missed)}" if missed else "every bound is reached", file=sys.stderr)
    return EXIT_MISSED if args.check and missed else 0


def run_synthetic(args: argparse.Namespace) -> Report:
    """The synthetic suite with the generator, recognizers and regressors that the options name."""
    generator, analyzer, evaluators = _load(args)
    aligned = args.protocol == "aligned"
    suite = SyntheticSuite(
        **_chosen(args, "identities", "settings"),
        seed=args.seed,
        batch=args.batch,
        sheet_rows=0 if args.out is None else 3,
        size=generator.config.size if aligned else None,
        template=generator.config.template,
    )
    if not aligned:
        evaluators = replace(evaluators, swapper=pipeline_swapper(generator, analyzer))
    evaluation = evaluate_synthetic(evaluators, suite, progress=True)
    figures = dict(evaluation.figures)
    if aligned:
        del figures["detector_recall"]
    facts = {"suite": "synthetic", "protocol": args.protocol, **_facts(args, generator, evaluators, suite)}
    title = (
        f"synthetic suite, {args.protocol}, {facts['count']} cases, seed {suite.seed}: "
        "best, median and worst by face PSNR"
    )
    sheet = swap_sheet(evaluation.rows, title=title) if evaluation.rows else None
    return Report(figures, facts, SYNTHETIC_BOUNDS, sheet, {PROVENANCE_KEY: PROVENANCE_SYNTHETIC})


def run_inversion(args: argparse.Namespace) -> Report:
    """The inversion suite with the generator, recognizers and regressors that the options name."""
    if args.protocol != "aligned":
        raise StyleSwapError("the inversion suite knows the aligned protocol alone; leave --protocol out")
    generator, analyzer, evaluators = _load(args)
    suite = InversionSuite(
        **_chosen(args, "identities", "settings"),
        seed=args.seed,
        batch=args.batch,
        sheet_rows=0 if args.out is None else 6,
        guided=InversionSettings(**_chosen(args, "steps", "trust")),
    )
    recognizer = evaluators.source_recognizer
    files = InversionFiles(args.model, analyzer.recognizer_path, recognizer.normalization, str(evaluators.device))
    evaluation = evaluate_inversion(evaluators, generator, files, suite, progress=True)
    facts = {
        "suite": "inversion",
        **_facts(args, generator, evaluators, suite),
        "steps": suite.guided.steps,
        "trust": suite.guided.trust,
        "guides": suite.guided.rendered_guides,
    }
    return Report(
        evaluation.figures,
        facts,
        INVERSION_BOUNDS,
        evaluation.sheet,
        {PROVENANCE_KEY: PROVENANCE_SYNTHETIC},
        inversion_table(evaluation.figures),
    )


def _chosen(args: argparse.Namespace, *names: str) -> dict[str, int | float]:
    """The options among `names` that were given; the others keep their suite's default."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _load(args: argparse.Namespace) -> tuple[Generator, InsightFaceAnalyzer, SyntheticEvaluators]:
    """What the options name; the evaluators's swapper is the aligned protocol's."""
    device = choose_device(args.device)
    generator, _ = load_generator(args.model)
    generator = generator.eval().to(device)
    analyzer = load_face_analysis(args.pack)
    recognizer, judge = analyzer.torch_recognizer().to(device), TorchRecognizer(args.judge).to(device)
    check_pack(generator, recognizer.recognizer_id)
    workers = default_workers(device) if args.workers is None else args.workers
    regressor = load_regressor(args.regressors).to(device)
    return (
        generator,
        analyzer,
        SyntheticEvaluators(aligned_swapper(generator), recognizer, judge, regressor, device, workers),
    )


def _facts(
    args: argparse.Namespace,
    generator: Generator,
    evaluators: SyntheticEvaluators,
    suite: SyntheticSuite | InversionSuite,
) -> dict:
    """What was measured, and with what."""
    return {
        "size": generator.config.size,
        "count": suite.identities * suite.settings,
        "identities": suite.identities,
        "settings": suite.settings,
        "seed": suite.seed,
        "model_sha256": file_sha256(args.model),
        "recognizer_sha256": evaluators.source_recognizer.sha256,
        "judge_sha256": evaluators.recognizer.sha256,
        "regressors_sha256": file_sha256(args.regressors),
        "torch": torch.__version__,
    }


SAMPLE_SUITES: dict[str, Callable[[argparse.Namespace], Report]] = {"pairs": run_pairs, "videos": run_videos}
"""Suites that judge pictures which the user names."""

SUITES: dict[str, Callable[[argparse.Namespace], Report]] = {
    "inversion": run_inversion,
    "synthetic": run_synthetic,
    **SAMPLE_SUITES,
}
"""Suites by name; another joins by a function from the parsed options to a `Report`."""
