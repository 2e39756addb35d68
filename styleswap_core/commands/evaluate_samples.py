"""Suites `pairs` and `videos` of `styleswap evaluate`: their options, and the reports that they produce."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from ..devices import choose_device
from ..errors import StyleSwapError
from ..faces.analysis import load_face_analysis
from ..faces.detected import NO_RECOGNIZER, FaceAnalyzer
from ..faces.landmarks import SOLID, load_landmark_model
from ..faces.packs import find_pack
from ..faces.recognition import SHIPPED_JUDGE, OnnxRecognizer
from ..io.files import file_sha256
from ..metrics.attribute_evaluators import AttributeEvaluator, LandmarkEvaluator, PointsEvaluator, RegressorEvaluator
from ..metrics.attribute_regressors import load_regressor
from ..metrics.evaluated_swappers import check_pack, face_swapper, takes_portrait
from ..metrics.evaluation_report import Report
from ..metrics.figure_tables import format_figure
from ..metrics.frechet import PIXEL_RANGES, FeatureNetwork
from ..metrics.pair_files import read_pairs
from ..metrics.result_videos import videos_in
from ..metrics.samples import SampleEvaluation
from ..metrics.source_gallery import Evaluators
from ..metrics.suite_pairs import PairSuite, evaluate_pairs
from ..metrics.suite_videos import VideoSuite, evaluate_videos, pairs_of_results, pairs_of_rows
from ..swappers.network import SwappingNetwork
from .arguments import Options, whole_number
from .face_files import load_analysis
from .found_models import load_network

_SHEET_ROWS = 3
# Value of --fid without a file: features of the recognizer named by --judge.
_JUDGE_FEATURES = "judge"
_SHIPPED_NOTE = "included with the package, trained on rendered faces and meaningless for photographs"


def add_sample_arguments(group: Options) -> None:
    """Declare the options of these two suites."""
    add = group.add_argument
    add(
        "input",
        type=Path,
        nargs="?",
        metavar="FILE_OR_DIR",
        help="pairs: CSV or JSON lines with source, target and optionally result and person, with paths relative to "
        "the file; videos: a folder of results named target_source.mp4, or a folder of originals",
    )
    add("--originals", type=Path, metavar="DIR", help="videos: folder of originals that belong to the results")
    add(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="videos: list of pairs to swap, if FILE_OR_DIR contains originals: CSV, JSON lines, or a split file of "
        "FaceForensics++",
    )
    add(
        "--frames",
        type=whole_number(),
        default=10,
        metavar="N",
        help="videos: number of frames per video, evenly spaced (default: %(default)s)",
    )
    add(
        "--attributes",
        choices=("auto", "regressors", "landmarks", "points"),
        default="auto",
        help="what measures pose and expression: the --regressors (rendered faces), 3D landmarks of the pack, or the "
        "five points of the detector (pose only); auto: regressors with the demo pack, otherwise landmarks if the pack "
        "has them, otherwise points (default: %(default)s)",
    )
    add(
        "--fid",
        nargs="?",
        const=_JUDGE_FEATURES,
        metavar="FILE.onnx",
        help="also compute the Frechet distance between targets and results, in the features of this network (without "
        "a file: of the recognizer named by --judge)",
    )
    add(
        "--fid-pixels",
        choices=sorted(PIXEL_RANGES),
        default="signed",
        help="pixel values that the feature network expects: byte: 0..255; unit: 0..1; signed: -1..1; imagenet: "
        "normalized like ImageNet (default: %(default)s)",
    )


def run_pairs(args: argparse.Namespace) -> Report:
    """Run the suite of picture pairs."""
    path = _input(args, "a CSV or JSON lines file")
    rows, problems = read_pairs(path)
    has_result = {bool(row.result) for row in rows}
    evaluators, facts = _load(args, swaps=False in has_result)
    if len(has_result) == 2:
        facts["swapped_by"] = "this program where the list names no result"
    suite = PairSuite(rows, problems, path.parent, _sheet_rows(args))
    evaluation = evaluate_pairs(evaluators, suite, progress=True)
    return _report({"suite": "pairs", "list": path.name, "list_sha256": file_sha256(path)}, facts, evaluation)


def run_videos(args: argparse.Namespace) -> Report:
    """Run the suite of videos."""
    folder = _input(args, "a folder of videos")
    if (args.originals is None) == (args.pairs is None):
        raise StyleSwapError(
            "expected either --originals, if the videos are results named target_source.mp4, or --pairs, if they are "
            "originals; give one of the two"
        )
    videos = videos_in(folder)
    if args.originals is not None:
        problems: list[str] = []
        pairs, unmatched = pairs_of_results(videos, videos_in(args.originals))
    else:
        rows, problems = read_pairs(args.pairs)
        pairs, unmatched = pairs_of_rows(rows, videos)
    evaluators, facts = _load(args, swaps=args.originals is None)
    suite = VideoSuite(pairs, problems + unmatched, args.frames, _sheet_rows(args))
    evaluation = evaluate_videos(evaluators, suite, progress=True)
    evaluated = {(case["target"], case["source"]) for case in evaluation.cases}
    return _report({"suite": "videos", "frames": args.frames, "videos": len(evaluated)}, facts, evaluation)


def _input(args: argparse.Namespace, expected: str) -> Path:
    if args.input is None:
        raise StyleSwapError(f"expected {expected} for --suite {args.suite}; name it")
    if args.check:
        raise StyleSwapError(f"the {args.suite} suite has no bounds to check; omit --check")
    return args.input


def _sheet_rows(args: argparse.Namespace) -> int:
    return 0 if args.out is None else _SHEET_ROWS


def _load(args: argparse.Namespace, swaps: bool) -> tuple[Evaluators, dict[str, object]]:
    """Evaluators that the options name, and facts about them; the swapping network is loaded only if it is to swap."""
    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    recognizer = _load_judge(args.judge)
    attributes = _load_attributes(args)
    network = None if args.fid in (None, _JUDGE_FEATURES) else FeatureNetwork(args.fid, args.fid_pixels)
    facts: dict[str, object] = {
        "swapped_by": "this program" if swaps else "another program",
        "judge": recognizer.name,
        "judge_sha256": recognizer.sha256,
        "judge_note": _SHIPPED_NOTE if recognizer.sha256 == file_sha256(SHIPPED_JUDGE) else "",
        "attributes_by": attributes.name,
        "attributes_note": attributes.note,
    }
    swapping = None
    if swaps:
        swapping = _load_swapping(args, analyzer, recognizer)
        facts |= {
            "model": swapping.name,
            "model_sha256": swapping.sha256,
            "recognizer": analyzer.recognizer.name,
            "recognizer_sha256": analyzer.recognizer.sha256,
        }
    if network is not None:
        facts |= {
            "frechet_features": f"{network.name}, the network named by --fid",
            "frechet_features_sha256": network.sha256,
        }
    elif args.fid is not None:
        facts |= {
            "frechet_features": f"{recognizer.name}, the recognizer named by --judge, not the Inception network of FID",
            "frechet_features_sha256": recognizer.sha256,
        }
    evaluators = Evaluators(
        analyzer,
        recognizer,
        attributes,
        None if swapping is None else face_swapper(swapping, analyzer),
        args.fid is not None,
        network,
        swapping is not None and takes_portrait(swapping),
    )
    return evaluators, facts | {"torch": torch.__version__}


def _load_judge(path: Path) -> OnnxRecognizer:
    """Recognizer from an ONNX file, or that of a pack, by folder or name."""
    if path.suffix.lower() == ".onnx" or path.is_file():
        return OnnxRecognizer(path)
    recognizer = load_face_analysis(path).recognizer_path
    if recognizer is None:
        raise StyleSwapError(
            f"expected a recognizer (such as w600k_r50.onnx) in the pack {path}, found none; name another --judge"
        )
    return OnnxRecognizer(recognizer)


def _load_attributes(args: argparse.Namespace) -> AttributeEvaluator:
    kind = args.attributes
    if kind == "regressors" or (kind == "auto" and args.pack is None):
        device = choose_device(args.device)
        return RegressorEvaluator(load_regressor(args.regressors).to(device), device)
    landmarks = None if kind == "points" else load_landmark_model(find_pack(args.pack), files=(SOLID,))
    if landmarks is not None:
        return LandmarkEvaluator(landmarks)
    if kind == "landmarks":
        raise StyleSwapError(
            "expected a model of 3D landmarks (such as 1k3d68.onnx of buffalo_l) in the pack, found none; name another"
            " --pack, or use --attributes points"
        )
    return PointsEvaluator()


def _load_swapping(args: argparse.Namespace, analyzer: FaceAnalyzer, recognizer: OnnxRecognizer) -> SwappingNetwork:
    if analyzer.recognizer_path is None:
        raise StyleSwapError(NO_RECOGNIZER)
    if recognizer.recognizer_id.matches(analyzer.recognizer):
        raise StyleSwapError(
            f"expected another recognizer than that of the swap, {recognizer.name}, to measure identity; name another"
            " --judge"
        )
    network = load_network(args)
    check_pack(network, analyzer.recognizer)
    return network


def _report(suite: dict[str, object], facts: dict[str, object], evaluation: SampleEvaluation) -> Report:
    counts = {"count": len(evaluation.cases), "skipped": len(evaluation.problems)}
    return Report(
        evaluation.figures,
        {**suite, **counts, **facts},
        sheet=evaluation.sheet,
        table=sample_table(evaluation, facts),
        lists={"problems": evaluation.problems, "cases": evaluation.cases},
    )


def sample_table(evaluation: SampleEvaluation, facts: Mapping[str, object]) -> str:
    """Markdown table of all figures next to those of the unchanged targets, followed by facts about the evaluators."""
    lines = ["| key | copied target | result |", "| --- | ---: | ---: |"]
    lines += [
        f"| `{key}` | {format_figure(evaluation.figures.get(f'{key}_floor'))} | {format_figure(value)} |"
        for key, value in evaluation.figures.items()
        if not key.endswith("_floor")
    ]
    recognizer = f"{facts['judge']}{': ' if facts['judge_note'] else ''}{facts['judge_note']}"
    lines += [
        "",
        f"{len(evaluation.cases)} evaluated, {len(evaluation.problems)} skipped. Swapped by: {facts['swapped_by']}.",
        f"Identity by {recognizer}.",
        f"Pose and expression by {facts['attributes_by']}: {facts['attributes_note']}.",
    ]
    if "frechet_features" in facts:
        lines.append(f"Frechet distance in the features of {facts['frechet_features']}.")
    return "\n".join(lines)
