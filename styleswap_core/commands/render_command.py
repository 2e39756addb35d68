"""`styleswap render`: pictures, a sheet, or training data of the face world."""

from __future__ import annotations

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from ..io.files import atomic_write
from .arguments import whole_number

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "validation", "test")
MAX_SIDE = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap render` and of its three forms."""
    forms = parser.add_subparsers(dest="form", metavar="FORM", required=True)

    sheet = forms.add_parser("sheet", help="one picture: people in rows, pose, light and expression in columns")
    sheet.add_argument("--identities", type=whole_number(most=100), default=6, metavar="N", help="rows (6)")
    sheet.add_argument("--attributes", type=whole_number(most=100), default=6, metavar="N", help="columns (6)")
    sheet.set_defaults(render=_render_sheet)

    pictures = forms.add_parser("pictures", help="a folder of pictures, face masks and what is known about them")
    pictures.add_argument("--count", type=whole_number(), default=16, metavar="N", help="how many (16)")
    pictures.set_defaults(render=_render_pictures)

    columns = forms.add_parser("columns", help="training data: attribute settings, each with several identities")
    _add_column_arguments(columns)

    for form, out, size in ((sheet, "FILE", 192), (pictures, "FOLDER", 256), (columns, "FOLDER", 128)):
        form.add_argument("--out", type=Path, required=True, metavar=out, help="where to write")
        form.add_argument(
            "--size",
            type=whole_number(16, MAX_SIDE),
            default=size,
            metavar="PX",
            help=f"side of a picture, an even number ({size})",
        )
        form.add_argument(
            "--split",
            choices=SPLITS,
            default="train" if form is columns else "test",
            help="which people and settings are drawn from (disjoint ranges of seeds)",
        )
        form.add_argument(
            "--seed",
            type=whole_number(0),
            default=0,
            metavar="N",
            help="which of them; the same seed gives the same pictures (0)",
        )


def _add_column_arguments(columns: argparse.ArgumentParser) -> None:
    columns.add_argument("--columns", type=whole_number(), default=2000, metavar="N", help="attribute settings (2000)")
    columns.add_argument("--members", type=whole_number(), default=5, metavar="N", help="people per setting (5)")
    columns.add_argument(
        "--identities",
        type=whole_number(2),
        default=4000,
        metavar="N",
        help="people in all, from the start of the split; each appears equally often (4000)",
    )
    columns.add_argument(
        "--first-setting",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="where in the split's settings to start; the settings follow each other (0)",
    )
    columns.add_argument(
        "--template",
        default="ffhq",
        metavar="NAME",
        help="crop template that pictures are aligned to, `recognizer` for ArcFace crops (112 px), or "
        "`none` for whole pictures (ffhq)",
    )
    columns.add_argument(
        "--workers",
        type=whole_number(),
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that render (default: one per core)",
    )
    columns.add_argument(
        "--fuse",
        action="store_true",
        help="compile the renderer first (needs a C++ compiler; pays from some hundred pictures on)",
    )
    columns.set_defaults(render=_render_columns)


def run(args: argparse.Namespace) -> int:
    """Render what `args` asks for; returns the exit code."""
    return args.render(args)


def _beyond(split: str, identities: int, attributes: int) -> StyleSwapError:
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS

    return StyleSwapError(
        f"the {split} split holds {len(IDENTITY_SEEDS[split])} people and {len(ATTRIBUTE_SEEDS[split])} settings, "
        f"asked for {identities} and {attributes}; ask for fewer"
    )


def _draw(args: argparse.Namespace, identities: int, attributes: int):
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, pick_seeds

    people, settings = IDENTITY_SEEDS[args.split], ATTRIBUTE_SEEDS[args.split]
    if identities > len(people) or attributes > len(settings):
        raise _beyond(args.split, identities, attributes)
    return pick_seeds(people, identities, args.seed), pick_seeds(settings, attributes, args.seed)


def _render_sheet(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..devices import one_thread
    from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC, check_image_suffix, save_image, to_uint8
    from ..io.sheets import labeled_sheet
    from ..synthetic.parameters import Attributes, Identities
    from ..synthetic.world import render

    check_image_suffix(args.out)
    people, settings = _draw(args, args.identities, args.attributes)
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
    print(f"wrote {args.out}")
    return 0


def _render_pictures(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..devices import one_thread
    from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC, save_image, to_uint8
    from ..io.sheets import mask_picture
    from ..synthetic.parameters import Attributes, Identities
    from ..synthetic.world import render

    people, settings = _draw(args, args.count, args.count)
    args.out.mkdir(parents=True, exist_ok=True)
    known = []
    for index, (person, setting) in enumerate(zip(tqdm(people, desc="render", unit="picture"), settings, strict=False)):
        with one_thread():
            rendered = render(Identities.from_seeds([person]), Attributes.from_seeds([setting]), size=args.size)
        name = f"{index:05d}"
        provenance = {PROVENANCE_KEY: PROVENANCE_SYNTHETIC}
        save_image(args.out / f"{name}.png", to_uint8(rendered.image)[0], provenance)
        save_image(args.out / f"{name}_mask.png", mask_picture(rendered.face_mask[0, 0].cpu().numpy()), provenance)
        known.append(
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
        temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {args.count} pictures, their masks and pictures.json to {args.out}")
    return 0


def _render_columns(args: argparse.Namespace) -> int:
    from ..demo_pack.recognizer.recognizer_data import recognizer_window
    from ..devices import one_thread
    from ..faces.alignment import template_points
    from ..synthetic.columns import ColumnPlan, build_columns
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS

    settings = args.first_setting + args.columns
    if args.identities > len(IDENTITY_SEEDS[args.split]) or settings > len(ATTRIBUTE_SEEDS[args.split]):
        raise _beyond(args.split, args.identities, settings)
    align = None
    if args.template == "recognizer":
        align = recognizer_window
    elif args.template != "none":
        template_points(args.template, args.size)  # an unknown name is told before any work
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
    print(f"{args.out}: {args.columns} columns of {args.members} pictures, {args.size} px")
    return 0


def align_to_template(points: Tensor, template: str, size: int) -> Tensor:
    """Crop windows (N, 2, 3) that put five points (N, 5, 2) onto a generator's template in a crop of `size` px."""
    from ..faces.alignment import estimate_similarity, template_points

    return estimate_similarity(points, template_points(template, size))
