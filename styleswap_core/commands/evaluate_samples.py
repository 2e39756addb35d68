"""`styleswap evaluate --suite pairs` and `--suite videos`: options, and from options to a report."""

import argparse
from pathlib import Path

import torch

from ..checkpoints.native import load_generator
from ..devices import choose_device
from ..errors import StyleSwapError
from ..faces.analysis import InsightFaceAnalyzer, load_face_analysis
from ..faces.detected import NO_RECOGNIZER
from ..faces.landmarks import SOLID, load_landmark_model
from ..faces.packs import find_pack
from ..faces.recognition import SHIPPED_JUDGE, OnnxRecognizer
from ..io.files import file_sha256
from ..metrics.attribute_evaluators import AttributeEvaluator, LandmarkEvaluator, PointsEvaluator, RegressorEvaluator
from ..metrics.attribute_regressors import load_regressor
from ..metrics.evaluated_swappers import FaceSwapper, check_pack, face_swapper
from ..metrics.evaluation_report import Report, format_figure
from ..metrics.frechet import PIXEL_RANGES, FeatureNetwork
from ..metrics.pair_files import read_pairs
from ..metrics.result_videos import videos_in
from ..metrics.samples import Evaluators, SampleEvaluation
from ..metrics.suite_pairs import PairSuite, evaluate_pairs
from ..metrics.suite_videos import VideoSuite, evaluate_videos, pairs_of_results, pairs_of_rows

SHEET_ROWS = 3
_FEATURES_OF_JUDGE = "judge"
SHIPPED_NOTE = "the shipped judge, trained on rendered faces; it knows rendered faces only"


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of these two suites alone."""
    add = parser.add_argument_group("pairs and videos").add_argument
    add(
        "input",
        type=Path,
        nargs="?",
        metavar="FILE_OR_DIR",
        help="pairs: CSV or JSON lines with source, target and optionally result, paths relative to the file; videos: a "
        "folder of results named target_source.mp4, or of originals",
    )
    add("--originals", type=Path, metavar="DIR", help="videos: the originals of a folder of results")
    add("--pairs", type=Path, metavar="FILE", help="videos: who is swapped onto whom, out of a folder of originals")
    add("--frames", type=int, default=10, help="videos: frames of each video, evenly spaced (default: %(default)s)")
    add(
        "--attributes",
        choices=("auto", "regressors", "landmarks", "points"),
        default="auto",
        help="what reads pose and expression: the demo pack's regressors (rendered faces), the pack's 3D landmarks, or the "
        "five points; auto: the first with the demo pack, else the second where the pack has them",
    )
    add(
        "--fid",
        nargs="?",
        const=_FEATURES_OF_JUDGE,
        metavar="FILE.onnx",
        help="also the Frechet distance of targets and results, in the features of this network (default: the judge's)",
    )
    add(
        "--fid-pixels",
        choices=sorted(PIXEL_RANGES),
        default="signed",
        help="what the feature network wants: -1..1, 0..1, 0..255, or ImageNet's normalization (default: %(default)s)",
    )


def run_pairs(args: argparse.Namespace) -> Report:
    """The suite of picture pairs."""
    path = _input(args, "a CSV or JSON lines file")
    rows, problems = read_pairs(path)
    given = {bool(row.result) for row in rows}
    evaluators, facts = _load(args, False in given)
    if len(given) == 2:
        facts["swapped_by"] = "this program where the list names no result"
    suite = PairSuite(rows, problems, path.parent, _sheet_rows(args))
    evaluation = evaluate_pairs(evaluators, suite, progress=True)
    return _report({"suite": "pairs", "list": path.name, "list_sha256": file_sha256(path)}, facts, evaluation)


def run_videos(args: argparse.Namespace) -> Report:
    """The suite of videos."""
    folder = _input(args, "a folder of videos")
    if (args.originals is None) == (args.pairs is None):
        raise StyleSwapError(
            "expected --originals with the folder of originals, where the videos are results named "
            "target_source.mp4, or --pairs with a list, where they are originals; give one of the two"
        )
    if args.frames < 1:
        raise StyleSwapError(f"expected --frames of 1 or more, got {args.frames}")
    videos = videos_in(folder)
    if args.originals is not None:
        problems: list[str] = []
        pairs, unknown = pairs_of_results(videos, videos_in(args.originals))
    else:
        rows, problems = read_pairs(args.pairs)
        pairs, unknown = pairs_of_rows(rows, videos)
    evaluators, facts = _load(args, args.originals is None)
    evaluation = evaluate_videos(
        evaluators, VideoSuite(pairs, problems + unknown, args.frames, _sheet_rows(args)), progress=True
    )
    judged = {(case["target"], case["source"]) for case in evaluation.cases}
    return _report({"suite": "videos", "frames": args.frames, "videos": len(judged)}, facts, evaluation)


def _input(args: argparse.Namespace, wanted: str) -> Path:
    if args.input is None:
        raise StyleSwapError(f"expected {wanted} after --suite {args.suite}; name it")
    if args.check:
        raise StyleSwapError(f"the {args.suite} suite has no bounds to check; leave --check out")
    return args.input


def _sheet_rows(args: argparse.Namespace) -> int:
    return 0 if args.out is None else SHEET_ROWS


def _load(args: argparse.Namespace, swaps: bool) -> tuple[Evaluators, dict[str, object]]:
    """What the options name, and what to say of it; the generator only where there is something to swap."""
    analyzer = load_face_analysis(args.pack)
    judge = _load_judge(args.judge)
    attributes = _load_attributes(args)
    network = None if args.fid in (None, _FEATURES_OF_JUDGE) else FeatureNetwork(args.fid, args.fid_pixels)
    facts: dict[str, object] = {
        "swapped_by": "this program" if swaps else "another program",
        "judge": judge.name,
        "judge_sha256": judge.sha256,
        "judge_note": SHIPPED_NOTE if judge.sha256 == file_sha256(SHIPPED_JUDGE) else "",
        "attributes_by": attributes.name,
        "attributes_note": attributes.note,
    }
    swapper = None
    if swaps:
        swapper = _load_swapper(args, analyzer, judge)
        facts |= {
            "model_sha256": file_sha256(args.model),
            "recognizer": analyzer.recognizer.name,
            "recognizer_sha256": analyzer.recognizer.sha256,
        }
    if args.fid is not None:
        named: FeatureNetwork | OnnxRecognizer = network or judge
        what = (
            "the network named with --fid"
            if network
            else "the judge's embedding, not the Inception network of FID figures"
        )
        facts |= {"frechet_features": f"{named.name}, {what}", "frechet_features_sha256": named.sha256}
    return Evaluators(analyzer, judge, attributes, swapper, args.fid is not None, network), facts | {
        "torch": torch.__version__
    }


def _load_judge(path: Path) -> OnnxRecognizer:
    """A recognizer's own file, or the recognizer of a pack by folder or name."""
    if path.suffix.lower() == ".onnx" or path.is_file():
        return OnnxRecognizer(path)
    recognizer = load_face_analysis(path).recognizer_path
    if recognizer is None:
        raise StyleSwapError(
            f"the pack {path} has no recognizer to judge with (such as w600k_r50.onnx); name another --judge"
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
            "this pack has no 3D landmarks (such as 1k3d68.onnx in buffalo_l); name another --pack, or use"
            " --attributes points"
        )
    return PointsEvaluator()


def _load_swapper(args: argparse.Namespace, analyzer: InsightFaceAnalyzer, judge: OnnxRecognizer) -> FaceSwapper:
    if analyzer.recognizer_path is None:
        raise StyleSwapError(NO_RECOGNIZER)
    if judge.recognizer_id.matches(analyzer.recognizer):
        raise StyleSwapError(
            f"the judge {judge.name!r} is the recognizer that the swap itself goes by, which proves nothing;"
            " name another --judge"
        )
    generator, _ = load_generator(args.model)
    generator = generator.eval().to(choose_device(args.device))
    check_pack(generator, analyzer.recognizer)
    return face_swapper(generator, analyzer)


def _report(what: dict[str, object], facts: dict[str, object], evaluation: SampleEvaluation) -> Report:
    counts = {"count": len(evaluation.cases), "skipped": len(evaluation.problems)}
    lists = {"problems": evaluation.problems, "cases": evaluation.cases}
    # The lists last among the facts would hide the figures under them: they go to the end of the file.
    return Report(
        evaluation.figures,
        {**what, **counts, **facts},
        sheet=evaluation.sheet,
        table=sample_table(evaluation, facts),
        lists=lists,
    )


def sample_table(evaluation: SampleEvaluation, facts: dict[str, object]) -> str:
    """Markdown of every figure beside that of the copied target, and below it who judged."""
    lines = ["| key | copied target | result |", "| --- | ---: | ---: |"]
    lines += [
        f"| `{key}` | {format_figure(evaluation.figures.get(f'{key}_floor'))} | {format_figure(value)} |"
        for key, value in evaluation.figures.items()
        if not key.endswith("_floor")
    ]
    judge = f"{facts['judge']}{': ' if facts['judge_note'] else ''}{facts['judge_note']}"
    lines += [
        "",
        f"{len(evaluation.cases)} judged, {len(evaluation.problems)} skipped. Swapped by: {facts['swapped_by']}.",
        f"Identity by {judge}.",
        f"Pose and expression by {facts['attributes_by']}: {facts['attributes_note']}.",
    ]
    if "frechet_features" in facts:
        lines.append(f"Frechet distance in the features of {facts['frechet_features']}.")
    return "\n".join(lines)
