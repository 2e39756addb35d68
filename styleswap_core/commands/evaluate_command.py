"""`styleswap evaluate`: runs an evaluation suite and writes its figures as JSON, a table and a contact sheet."""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from ..checkpoints import DEMO_MODEL
from ..devices import choose_device
from ..errors import StyleSwapError, printable
from ..faces.arcface import TorchRecognizer
from ..faces.detected import NO_RECOGNIZER, FaceAnalyzer
from ..faces.recognition import SHIPPED_JUDGE
from ..inversion import InversionSettings
from ..io.assets import ASSETS
from ..io.files import file_sha256
from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC
from ..metrics.attribute_regressors import load_regressor
from ..metrics.bounds import INVERSION_BOUNDS, MOTION_BOUNDS, SYNTHETIC_BOUNDS
from ..metrics.evaluated_swappers import aligned_swapper, check_pack, pipeline_swapper, takes_portrait
from ..metrics.evaluation_report import Report, check_out, markdown_table, sheet_path, write_report
from ..metrics.evaluation_sheet import swap_sheet
from ..metrics.inversion_table import inversion_table
from ..metrics.motion_table import motion_table
from ..metrics.render_workers import default_workers
from ..metrics.suite_inversion import InversionFiles, InversionSuite, evaluate_inversion
from ..metrics.suite_motion import MotionEvaluators, MotionSuite, evaluate_motion
from ..metrics.suite_synthetic import DEFAULT_SEED, SyntheticEvaluators, SyntheticSuite, evaluate_synthetic
from ..pipeline.swapper import Swapper
from ..swappers.network import SwappingNetwork
from .arguments import (
    Options,
    add_detection_arguments,
    add_device_argument,
    add_json_argument,
    add_model_argument,
    add_pack_arguments,
    add_seed_argument,
    fraction,
    whole_number,
)
from .evaluate_samples import add_sample_arguments, run_pairs, run_videos
from .face_files import load_analysis
from .found_models import find_model, load_network, model_folders

EXIT_MISSED = 1
_SYNTHETIC_SHEET_ROWS = 3
_INVERSION_SHEET_ROWS = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap evaluate`."""
    add = parser.add_argument
    add(
        "--suite",
        choices=sorted(SUITES),
        default="synthetic",
        help="synthetic: swaps compared with exact swaps; motion: steadiness of swapped clips; inversion: gain of "
        "`styleswap invert`; pairs, videos: pictures or videos of your own (default: %(default)s)",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE.json",
        help="write the figures to this file, and a contact sheet next to it (default: print the figures only)",
    )
    add(
        "--judge",
        type=Path,
        default=SHIPPED_JUDGE,
        metavar="FILE.onnx",
        help="recognizer that measures identity, other than that of the model; for pairs and videos also a pack "
        "(default: the included one, for rendered faces)",
    )
    add(
        "--regressors",
        type=Path,
        default=ASSETS / "regressors.safetensors",
        metavar="FILE",
        help="networks that measure pose, expression and gaze (default: the included ones, for rendered faces)",
    )
    add("--check", action="store_true", help="exit with code 1 if a figure misses its bound")
    add_model_argument(parser)
    add_pack_arguments(parser)
    add_detection_arguments(parser)
    add_device_argument(parser)
    add_json_argument(parser)
    _add_rendered_arguments(parser.add_argument_group("suites synthetic, motion and inversion"))
    add_sample_arguments(parser.add_argument_group("suites pairs and videos"))


def _add_rendered_arguments(group: Options) -> None:
    add = group.add_argument
    add(
        "--identities",
        type=whole_number(),
        metavar="N",
        help=f"number of people, none of them in the training set (default: {SyntheticSuite.identities}; inversion: "
        f"{InversionSuite.identities}); motion: clips of each kind (default: {MotionSuite.identities})",
    )
    add(
        "--settings",
        type=whole_number(),
        metavar="N",
        help=f"number of attribute settings per person (default: {SyntheticSuite.settings}; inversion: "
        f"{InversionSuite.settings})",
    )
    add_seed_argument(group, "chooses people and settings", DEFAULT_SEED)
    add(
        "--protocol",
        choices=("aligned", "pipeline"),
        default="aligned",
        help="aligned: the model on exact crops; pipeline: whole pictures, in which faces are detected, swapped and "
        "pasted (default: %(default)s)",
    )
    add(
        "--steps",
        type=whole_number(0, 2000),
        default=InversionSettings.steps,
        metavar="N",
        help="inversion: maximum number of steps (default: %(default)s)",
    )
    add(
        "--trust",
        type=fraction,
        default=InversionSettings.trust,
        metavar="0..1",
        help="inversion: strength of the trust region (default: %(default)s)",
    )
    add("--batch", type=whole_number(), default=16, metavar="N", help="cases per batch (default: %(default)s)")
    add(
        "--workers",
        type=whole_number(0),
        metavar="N",
        help="number of rendering processes; 0 renders in the main process (default: one per CPU core, 0 with a GPU)",
    )


def run(args: argparse.Namespace) -> int:
    """Run a suite, write and print its report; returns 0, or 1 if `--check` finds a figure that misses its bound."""
    if args.out is not None:
        check_out(args.out)
    if args.input is not None and args.suite not in SAMPLE_SUITES:
        raise StyleSwapError(f"the {args.suite} suite takes no file, since it renders its pictures; omit {args.input}")
    report = SUITES[args.suite](args)
    if args.out is not None:
        write_report(report, args.out)
        written = f"{args.out} and {sheet_path(args.out)}" if report.sheet is not None else f"{args.out}"
        print(f"wrote {printable(written)}", file=sys.stderr)
    print(report.to_json() if args.json else markdown_table(report), end="" if args.json else "\n")
    missed = [verdict.key for verdict in report.verdicts() if not verdict.passed]
    if args.check:
        print(f"missed: {', '.join(missed)}" if missed else "all bounds are kept", file=sys.stderr)
    return EXIT_MISSED if args.check and missed else 0


def run_synthetic(args: argparse.Namespace) -> Report:
    """Run the synthetic suite with the networks that the options name."""
    loaded = _load(args)
    aligned = args.protocol == "aligned"
    suite = SyntheticSuite(
        identities=args.identities or SyntheticSuite.identities,
        settings=args.settings or SyntheticSuite.settings,
        seed=args.seed,
        size=loaded.network.size if aligned else None,
        template=loaded.network.template,
        batch=args.batch,
        sheet_rows=0 if args.out is None else _SYNTHETIC_SHEET_ROWS,
    )
    evaluators = loaded.evaluators
    if not aligned:
        evaluators = replace(evaluators, swapper=pipeline_swapper(loaded.network, loaded.analyzer))
    evaluation = evaluate_synthetic(evaluators, suite, progress=True)
    figures, bounds = dict(evaluation.figures), dict(SYNTHETIC_BOUNDS)
    if aligned:
        del figures["detector_recall"]
        if not loaded.network.has_mask:
            del figures["mask_iou"], bounds["mask_iou"]
    facts = {"suite": "synthetic", "protocol": args.protocol, **_facts(args, loaded, suite)}
    title = (
        f"synthetic suite, {args.protocol}, {facts['count']} cases, seed {suite.seed}: "
        "best, median and worst by face PSNR"
    )
    sheet = swap_sheet(evaluation.rows, title=title) if evaluation.rows else None
    return Report(figures, facts, bounds, sheet, {PROVENANCE_KEY: PROVENANCE_SYNTHETIC})


def run_inversion(args: argparse.Namespace) -> Report:
    """Run the inversion suite with the networks that the options name."""
    if args.protocol != "aligned":
        raise StyleSwapError("the inversion suite has the aligned protocol only; omit --protocol")
    loaded = _load(args)
    suite = InversionSuite(
        identities=args.identities or InversionSuite.identities,
        settings=args.settings or InversionSuite.settings,
        seed=args.seed,
        batch=args.batch,
        sheet_rows=0 if args.out is None else _INVERSION_SHEET_ROWS,
        guided=InversionSettings(steps=args.steps, trust=args.trust),
    )
    evaluation = evaluate_inversion(loaded.evaluators, loaded.network, loaded.files, suite, progress=True)
    facts = {
        "suite": "inversion",
        **_facts(args, loaded, suite),
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


def run_motion(args: argparse.Namespace) -> Report:
    """Run the motion suite with the networks that the options name."""
    if args.protocol != "aligned":
        raise StyleSwapError("the motion suite always swaps whole clips; omit --protocol")
    loaded = _load(args)
    suite = MotionSuite(identities=args.identities or MotionSuite.identities, seed=args.seed, batch=args.batch)
    evaluators = MotionEvaluators(
        Swapper(loaded.network, loaded.analyzer),
        loaded.evaluators.source_recognizer,
        loaded.evaluators.recognizer,
        loaded.evaluators.portraits,
        loaded.evaluators.workers,
    )
    evaluation = evaluate_motion(evaluators, suite, progress=True)
    facts = {"suite": "motion", "clips": len(evaluation.clips), "size": suite.size, "seed": suite.seed}
    return Report(
        evaluation.figures,
        {**facts, **_files(args, loaded)},
        MOTION_BOUNDS,
        table=motion_table(evaluation.figures),
        lists={"cases": evaluation.clips},
    )


class _Loaded(NamedTuple):
    """What the options name; the swapper of the evaluators is that of the aligned protocol."""

    network: SwappingNetwork
    analyzer: FaceAnalyzer
    evaluators: SyntheticEvaluators
    files: InversionFiles


def _load(args: argparse.Namespace) -> _Loaded:
    device = choose_device(args.device)
    network = load_network(args)
    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    if analyzer.recognizer_path is None:
        raise StyleSwapError(NO_RECOGNIZER)
    recognizer = analyzer.torch_recognizer().to(device)
    check_pack(network, recognizer.recognizer_id)
    evaluators = SyntheticEvaluators(
        swapper=aligned_swapper(network),
        source_recognizer=recognizer,
        recognizer=TorchRecognizer(args.judge).to(device),
        regressor=load_regressor(args.regressors).to(device),
        device=device,
        portraits=takes_portrait(network),
        workers=default_workers(device) if args.workers is None else args.workers,
    )
    files = InversionFiles(
        DEMO_MODEL if args.model is None else find_model(args.model),
        analyzer.recognizer_path,
        recognizer.normalization,
        str(device),
        "" if args.family == "automatic" else args.family,
        model_folders(),
        args.any_recognizer,
    )
    return _Loaded(network, analyzer, evaluators, files)


def _facts(args: argparse.Namespace, loaded: _Loaded, suite: SyntheticSuite | InversionSuite) -> Mapping[str, object]:
    """What was measured, and with which files."""
    return {
        "size": loaded.network.size,
        "count": suite.identities * suite.settings,
        "identities": suite.identities,
        "settings": suite.settings,
        "seed": suite.seed,
        **_files(args, loaded),
    }


def _files(args: argparse.Namespace, loaded: _Loaded) -> Mapping[str, object]:
    """The files with which was measured."""
    return {
        "model": loaded.network.name,
        "model_sha256": loaded.network.sha256,
        "recognizer_sha256": loaded.evaluators.source_recognizer.sha256,
        "judge_sha256": loaded.evaluators.recognizer.sha256,
        "regressors_sha256": file_sha256(args.regressors),
        "torch": torch.__version__,
    }


SAMPLE_SUITES: dict[str, Callable[[argparse.Namespace], Report]] = {"pairs": run_pairs, "videos": run_videos}
"""Suites of pictures and videos that the user names."""

SUITES: dict[str, Callable[[argparse.Namespace], Report]] = {
    "inversion": run_inversion,
    "motion": run_motion,
    "synthetic": run_synthetic,
    **SAMPLE_SUITES,
}
"""All suites by name; each turns the parsed options into a report."""
