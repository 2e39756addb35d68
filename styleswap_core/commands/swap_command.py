"""`styleswap swap`: swap faces in pictures and videos."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError, printable
from ..io.files import require_file
from ..pipeline.swap_options import SwapOptions
from ..swappers.swap_ranges import MAX_FACTOR, MAX_STRENGTH
from .arguments import (
    Options,
    add_json_argument,
    add_result_arguments,
    add_swapper_arguments,
    add_target_arguments,
    number,
    resolution,
    whole_number,
)
from .blend_arguments import add_blend_arguments, blending_of
from .choice_arguments import add_choice_arguments, choice_of
from .clip_arguments import add_clip_arguments, add_sharing_arguments, add_tracking_arguments
from .clip_files import ClipFiles, plan_clips, split_targets
from .console import EXIT_BAD_INPUT, EXIT_INTERRUPTED, print_lines, print_note
from .credential_arguments import add_credential_arguments, signer_of
from .mask_arguments import add_mask_arguments, load_masks
from .picture_files import SwapFiles, check_results, plan_files
from .source_arguments import add_source_arguments, load_sources, print_source_notes

if TYPE_CHECKING:
    from ..credentials.signing import ContentSigner
    from ..faces.choice import FaceChoice
    from ..identities.identity import Identity
    from .file_swapper import Blending, FaceReport, FileSwapper, SwapReport

# Baking an identity takes about as long as it saves on one or two pictures.
_MIN_PICTURES_TO_BAKE = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap swap`."""
    add_source_arguments(parser)
    add_target_arguments(parser, "pictures and videos, or folders of them, in which faces are swapped")
    add_result_arguments(
        parser,
        "picture or video",
        "also write the mask of the swapped region: of pictures a gray picture, of a video a gray video (without "
        "loss in .mkv) or, without a suffix, a folder of pictures; for several targets a folder",
    )
    _add_choice_arguments(parser.add_argument_group("choice of faces, like the node Swap Face"))
    _add_swap_arguments(parser.add_argument_group("swap, like the node Swap Face"))
    add_mask_arguments(parser.add_argument_group("masks, like the nodes Load Face Masks and Swap Face"))
    add_blend_arguments(parser.add_argument_group("blending, like the node Blend With Mask; applied if any is given"))
    add_clip_arguments(parser.add_argument_group("videos and animated pictures"))
    add_tracking_arguments(parser.add_argument_group("tracking of faces through videos"))
    add_sharing_arguments(parser.add_argument_group("videos on several processes or machines"))
    add_credential_arguments(parser.add_argument_group("Content Credentials, like the node Save Swapped Image"))
    add_swapper_arguments(parser)
    add_json_argument(parser)


def _add_choice_arguments(group: Options) -> None:
    add_choice_arguments(group, "largest")
    group.add_argument(
        "--in-turn",
        action="store_true",
        help="with several source people: they go in turn to the chosen faces that are present, starting over after "
        "the last one; otherwise the first one belongs to the first chosen face, even if that face is missing",
    )
    group.add_argument(
        "--only-in",
        type=Path,
        metavar="MASK",
        help="gray picture: only faces inside its white part are swapped, with the center or at least half of their "
        "box; scaled to each target; for a video also a gray video with one frame for each frame of the target",
    )


def _add_swap_arguments(group: Options) -> None:
    group.add_argument(
        "--strength",
        type=number(0.0, MAX_STRENGTH),
        default=SwapOptions.strength,
        metavar=f"0..{MAX_STRENGTH}",
        help="1 gives the identity of the source, 0 keeps that of the target; values above 1 exaggerate what sets the "
        "source apart from the target (default: %(default)s)",
    )
    group.add_argument(
        "--mask-grow",
        type=whole_number(-64, 64),
        default=SwapOptions.mask_grow,
        metavar="PX",
        help="grow the swapped region, or shrink it if negative, in pixels of the aligned crop (default: %(default)s)",
    )
    group.add_argument(
        "--mask-feather",
        type=number(0.0, 64.0),
        default=SwapOptions.mask_feather,
        metavar="PX",
        help="soften its outline, in pixels of the aligned crop (default: %(default)s)",
    )
    group.add_argument(
        "--resolution",
        type=resolution,
        default="automatic",
        metavar="FACTOR",
        help=f"size at which a face is swapped, in multiples of the model's size, 1 to {MAX_FACTOR}, for more "
        "detail than the model has: 2 takes four times as long as 1, 4 sixteen times; automatic: as fine as the "
        "picture, and always 1 for StyleSwap models (default: %(default)s)",
    )
    group.add_argument(
        "--swap-doubtful",
        action="store_true",
        help="also swap detections that can hardly be a face, for example with points in the wrong order, instead of "
        "leaving them as they are",
    )


def run(args: argparse.Namespace) -> int:
    """Swap the targets; returns 0, or 2 if any of several targets failed."""
    plan, clip_plan = _plan(args)
    signer = signer_of(args, [*(files.out for files in plan), *(files.out for files in clip_plan)])
    from .file_swapper import FileSwapper, is_rendered

    swapper = FileSwapper.from_arguments(args)
    identities, sources = load_sources(args, swapper)
    print_source_notes(sources, args)
    # A saved identity does not record whether it was made from rendered pictures.
    rendered = args.identity is None and all(is_rendered(path) for path in args.source)
    swapper = replace(swapper, masks=load_masks(args), only_in=args.only_in)
    choice, options = replace(choice_of(args, swapper.analyzer), in_turn=args.in_turn), _swap_options(args)
    swapper.check(identities, options)
    results, failed = _swap_all(swapper, identities, rendered, plan, choice, options, blending_of(args), signer)
    videos, failed_videos, interrupted = _swap_videos(swapper, identities, clip_plan, args, choice, options, signer)
    failed += failed_videos
    if len(plan) + len(clip_plan) == 1 and failed:
        raise StyleSwapError(failed[0]["error"])
    for result in results:
        if result["frames"] > 1:
            print_note(f"{result['target']} is an animation of {result['frames']} frames; only the first was swapped")
    notices = {result["notice"] for result in results if result["notice"]}
    notices |= {notice for notice in [swapper.network.notice(False)] if clip_plan and notice}
    for notice in [*sorted(notices), *([swapper.license_note] if swapper.license_note else [])]:
        print_note(notice)
    if args.json:
        report = {
            "results": results,
            "videos": videos,
            "failed": failed,
            "sources": [vars(source) for source in sources],
            "model": swapper.model_card(),
        }
        print(json.dumps(report, indent=1))
    else:
        _print_lines(results, videos, failed)
    return EXIT_INTERRUPTED if interrupted else EXIT_BAD_INPUT if failed else 0


def _plan(args: argparse.Namespace) -> tuple[list[SwapFiles], list[ClipFiles]]:
    """Pictures and videos with their results, checked before any work is done."""
    inputs = [
        *(args.source or ()),
        *(args.reference or args.everyone_but or ()),
        *(args.identity or ()),
        *(path for path in (args.keep, args.only_in) if path),
    ]
    excluded = [folder for folder in (args.out, args.mask_out) if folder is not None] if args.recursive else []
    pictures, clips = split_targets(args.target, args.recursive, excluded)
    several = len(args.target) > 1 or args.target[0].is_dir()
    plan = plan_files(pictures, args.out, args.mask_out, inputs, several, args.target) if pictures else []
    clip_plan = plan_clips(clips, args, several, inputs)
    planned = [(one.target, one.out) for one in plan] + [(clip.target, clip.out) for clip in clip_plan]
    sheets = [(Path(option), path) for option in ("preview", "doubtful") if (path := getattr(args, option)) is not None]
    check_results([*planned, *sheets], [*inputs, *(target for target, _ in planned)])
    # Before the networks are loaded, which takes seconds.
    for path in [*(args.source or ()), *([] if several else pictures)]:
        require_file(path, "a picture file")
    return plan, clip_plan


def _swap_options(args: argparse.Namespace) -> SwapOptions:
    return SwapOptions(
        args.strength,
        args.mask_grow,
        args.mask_feather,
        resolution=args.resolution,
        mask_padding=args.mask_padding,
        mask_edge=args.mask_edge,
        swap_doubtful=args.swap_doubtful,
    )


def _swap_videos(
    swapper: "FileSwapper",
    identities: "Sequence[Identity]",
    plan: Sequence[ClipFiles],
    args: argparse.Namespace,
    choice: "FaceChoice",
    options: SwapOptions,
    signer: "ContentSigner | None",
) -> "tuple[list[dict[str, Any]], list[dict[str, str]], bool]":
    """Reports on the videos, target and error of those that failed, and whether Ctrl-C ended the work."""
    if not plan:
        return [], [], False
    from .clip_runner import preview_clip, swap_clips

    if args.preview is not None:
        preview_clip(swapper, identities, plan[0], args, choice, options)
        if not args.json:
            print_lines(f"{args.preview}: preview of {plan[0].target}")
        return [], [], False
    done = swap_clips(swapper, identities, plan, args, choice, options, signer)
    return done.reports, done.failed, done.interrupted


def _swap_all(
    swapper: "FileSwapper",
    identities: "Sequence[Identity]",
    rendered: bool,
    plan: Sequence[SwapFiles],
    choice: "FaceChoice",
    options: SwapOptions,
    blending: "Blending | None",
    signer: "ContentSigner | None",
) -> "tuple[list[SwapReport], list[dict[str, str]]]":
    """Reports on the pictures that were swapped, and target and error of those that failed."""
    from tqdm import tqdm

    results: list[SwapReport] = []
    failed: list[dict[str, str]] = []
    swapper = swapper.baked() if len(plan) >= _MIN_PICTURES_TO_BAKE else swapper
    with tqdm(plan, desc="swap", unit="picture", disable=len(plan) <= 1) as bar:
        for files in bar:
            try:
                results.append(
                    swapper.swap_file(
                        identities,
                        files,
                        faces=choice,
                        options=options,
                        blending=blending,
                        rendered_source=rendered,
                        signer=signer,
                    )
                )
            # After an OSError too: a disk that is full for one picture may have room for the next one.
            except (StyleSwapError, OSError) as error:
                text = str(error) if str(files.target) in str(error) else f"{files.target}: {error}"
                failed.append({"target": str(files.target), "error": text})
                if len(plan) > 1:
                    bar.write(f"styleswap: error: {printable(text)}", file=sys.stderr)
    return results, failed


def _print_lines(
    results: "Sequence[SwapReport]", videos: Sequence[dict[str, Any]], failed: Sequence[dict[str, str]]
) -> None:
    for result in results:
        faces = [f"face {face['index']} ({_describe(face)})" for face in result["faces"]]
        faces += [f"{doubt}, not swapped" for doubt in result["left_out"]]
        print_lines(f"{result['out']}: {'; '.join(faces)}; {result['seconds']:.1f} s{_signed(result['signed_by'])}")
    for video in videos:
        frames = f"faces swapped in {video['swapped_frames']} of {video['frames']} frames"
        print_lines(
            f"{video['out']}: {frames}{_describe_video(video)}; {video['seconds']:.1f} s{_signed(video['signed_by'])}"
        )
    done = len(results) + len(videos)
    if done + len(failed) > 1:
        names = f"; failed: {', '.join(row['target'] for row in failed)}" if failed else ""
        kind = "files" if videos else "pictures"
        print_lines(f"{done} of {done + len(failed)} {kind} swapped{names}")


def _signed(name: str | None) -> str:
    return "" if name is None else f"; signed by {name}"


def _describe_video(video: Mapping[str, Any]) -> str:
    """Text on the mean similarities before and after the swap, if they were measured."""
    if video["similarity"] is None:
        return ""
    return f" (similarity to the source {video['similarity_before']:.2f} -> {video['similarity']:.2f})"


def _describe(face: "FaceReport") -> str:
    """Text on the similarities before and after the swap, if they were measured, and on the resolution."""
    before, after, to_target = face["similarity_before"], face["similarity"], face["similarity_to_target"]
    parts = [] if before is None or after is None else [f"similarity to the source {before:.2f} -> {after:.2f}"]
    parts += [] if to_target is None else [f"to the target 1.00 -> {to_target:.2f}"]
    return ", ".join([*parts, f"resolution {face['resolution']}x"])
