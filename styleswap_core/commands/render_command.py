"""`styleswap render`: renders synthetic faces as pictures, a contact sheet, or training data."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from ..io.files import atomic_write
from .arguments import add_seed_argument, add_workers_argument, whole_number
from .console import print_lines

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "validation", "test")
_MIN_SIDE, _MAX_SIDE = 16, 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap render` and of its three forms."""
    forms = parser.add_subparsers(dest="form", metavar="FORM", required=True)

    sheet = _add_form(forms, "sheet", "one contact sheet: people in rows; pose, light and expression in columns")
    sheet.add_argument(
        "--identities",
        type=whole_number(maximum=100),
        default=6,
        metavar="N",
        help="number of people, in rows (default: %(default)s)",
    )
    sheet.add_argument(
        "--attributes",
        type=whole_number(maximum=100),
        default=6,
        metavar="N",
        help="number of attribute settings, in columns (default: %(default)s)",
    )
    sheet.set_defaults(render=_render_sheet)

    pictures = _add_form(forms, "pictures", "a folder of pictures with face masks and a JSON file of ground truth")
    pictures.add_argument(
        "--count", type=whole_number(), default=16, metavar="N", help="number of pictures (default: %(default)s)"
    )
    pictures.set_defaults(render=_render_pictures)

    columns = _add_form(forms, "columns", "training data: attribute settings, each with several people")
    _add_column_arguments(columns)

    for form, out, size in ((sheet, "FILE", 192), (pictures, "FOLDER", 256), (columns, "FOLDER", 128)):
        form.add_argument(
            "--out",
            type=Path,
            required=True,
            metavar=out,
            help="picture to write" if form is sheet else "folder to write to",
        )
        form.add_argument(
            "--size",
            type=_side,
            default=size,
            metavar="PX",
            help="side of each picture, an even number (default: %(default)s)",
        )
        form.add_argument(
            "--split",
            choices=SPLITS,
            default="train" if form is columns else "test",
            help="split that people and attribute settings come from; splits are disjoint (default: %(default)s)",
        )
        add_seed_argument(form, "chooses people and attribute settings within the split")


def _add_form(
    forms: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    return forms.add_parser(name, help=what, description=f"Render {what}.")


def _add_column_arguments(columns: argparse.ArgumentParser) -> None:
    columns.add_argument(
        "--columns",
        type=whole_number(),
        default=2000,
        metavar="N",
        help="number of attribute settings (default: %(default)s)",
    )
    columns.add_argument(
        "--members",
        type=whole_number(),
        default=5,
        metavar="N",
        help="number of people per attribute setting (default: %(default)s)",
    )
    columns.add_argument(
        "--identities",
        type=whole_number(2),
        default=4000,
        metavar="N",
        help="number of people in total, from the start of the split; all appear equally often (default: %(default)s)",
    )
    columns.add_argument(
        "--first-setting",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="number of the first attribute setting in the split; the others follow it (default: %(default)s)",
    )
    columns.add_argument(
        "--template",
        default="ffhq",
        metavar="NAME",
        help="crop template; `recognizer` for ArcFace crops, with --size 112; `none` for whole pictures (default: "
        "%(default)s)",
    )
    add_workers_argument(columns)
    columns.add_argument(
        "--fuse",
        action="store_true",
        help="compile the renderer first; requires a C++ compiler, and pays off from some hundred pictures on",
    )
    columns.set_defaults(render=_render_columns)


def run(args: argparse.Namespace) -> int:
    """Render; returns 0."""
    args.render(args)
    return 0


def _side(word: str) -> int:
    """Argument type for the side of rendered pictures."""
    side = whole_number(_MIN_SIDE, _MAX_SIDE)(word)
    if side % 2:
        raise argparse.ArgumentTypeError(f"expected an even number, got {word!r}")
    return side


def _too_many(split: str, identities: int, attributes: int) -> StyleSwapError:
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS

    return StyleSwapError(
        f"expected at most {len(IDENTITY_SEEDS[split])} people and {len(ATTRIBUTE_SEEDS[split])} attribute settings, "
        f"which the {split} split has, got {identities} and {attributes}; request fewer"
    )


def _draw_seeds(args: argparse.Namespace, identities: int, attributes: int) -> tuple[list[int], list[int]]:
    """Seeds of people and of attribute settings."""
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, pick_seeds

    people, settings = IDENTITY_SEEDS[args.split], ATTRIBUTE_SEEDS[args.split]
    if identities > len(people) or attributes > len(settings):
        raise _too_many(args.split, identities, attributes)
    return pick_seeds(people, identities, args.seed), pick_seeds(settings, attributes, args.seed)


def _render_sheet(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..devices import one_thread
    from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC, check_image_suffix, save_image, to_uint8
    from ..io.sheets import labeled_sheet
    from ..synthetic.parameters import Attributes, Identities
    from ..synthetic.world import render

    check_image_suffix(args.out)
    people, settings = _draw_seeds(args, args.identities, args.attributes)
    attributes = Attributes.from_seeds(settings)
    rows = []
    for person in tqdm(people, desc="render", unit="row"):
        with one_thread():
            rendered = render(Identities.from_seeds([person] * len(settings)), attributes, size=args.size)
        rows.append(list(to_uint8(rendered.image)))
    labels = [str(seed) for seed in settings], [str(seed) for seed in people]
    sheet = labeled_sheet(rows, *labels, cell=args.size)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_image(args.out, sheet, {PROVENANCE_KEY: PROVENANCE_SYNTHETIC})
    print_lines(f"wrote {args.out}")


def _render_pictures(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..devices import one_thread
    from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC, save_image, to_uint8
    from ..io.sheets import mask_picture
    from ..synthetic.parameters import Attributes, Identities
    from ..synthetic.world import render

    people, settings = _draw_seeds(args, args.count, args.count)
    args.out.mkdir(parents=True, exist_ok=True)
    ground_truth = []
    seeds = zip(tqdm(people, desc="render", unit="picture"), settings, strict=True)
    for index, (person, setting) in enumerate(seeds):
        with one_thread():
            rendered = render(Identities.from_seeds([person]), Attributes.from_seeds([setting]), size=args.size)
        name = f"{index:05d}"
        provenance = {PROVENANCE_KEY: PROVENANCE_SYNTHETIC}
        save_image(args.out / f"{name}.png", to_uint8(rendered.image)[0], provenance)
        save_image(args.out / f"{name}_mask.png", mask_picture(rendered.face_mask[0, 0].cpu().numpy()), provenance)
        ground_truth.append(
            {
                "picture": f"{name}.png",
                "mask": f"{name}_mask.png",
                "identity_seed": person,
                "attribute_seed": setting,
                "points": rendered.points[0].tolist(),
                "pose_deg": rendered.pose[0].tolist(),
                "expression": rendered.expression[0].tolist(),
                "gaze_deg": rendered.gaze[0].tolist(),
            }
        )
    with atomic_write(args.out / "pictures.json") as temporary:
        temporary.write_text(json.dumps(ground_truth, indent=1) + "\n", encoding="utf-8")
    print_lines(f"wrote {args.count} pictures, their masks and pictures.json to {args.out}")


def _render_columns(args: argparse.Namespace) -> None:
    from ..demo_pack.recognizer.recognizer_data import recognizer_window
    from ..demo_pack.recognizer.recognizer_network import CROP_SIZE
    from ..devices import one_thread
    from ..faces.alignment import template_points
    from ..synthetic.columns import Align, ColumnPlan, build_columns
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS

    settings = args.first_setting + args.columns
    if args.identities > len(IDENTITY_SEEDS[args.split]) or settings > len(ATTRIBUTE_SEEDS[args.split]):
        raise _too_many(args.split, args.identities, settings)
    align: Align | None = None
    if args.template == "recognizer":
        if args.size != CROP_SIZE:
            raise StyleSwapError(f"expected --size {CROP_SIZE} with --template recognizer, got {args.size}; change it")
        align = recognizer_window
    elif args.template != "none":
        template_points(args.template, args.size)  # raises for an unknown name before any work
        align = partial(align_to_template, template=args.template, size=args.size)
    plan = ColumnPlan(
        columns=args.columns,
        members=args.members,
        size=args.size,
        identities=args.identities,
        split=args.split,
        first_attribute=args.first_setting,
        seed=args.seed,
    )
    with one_thread():
        build_columns(args.out, plan, align, workers=args.workers, fuse=args.fuse)
    print_lines(f"{args.out}: {args.columns} columns of {args.members} pictures, {args.size} px")


def align_to_template(points: Tensor, template: str, size: int) -> Tensor:
    """Similarity transforms (N, 2, 3) from five points (N, 5, 2) to a crop template of `size` px."""
    from ..faces.alignment import estimate_similarity, template_points

    return estimate_similarity(points, template_points(template, size))
