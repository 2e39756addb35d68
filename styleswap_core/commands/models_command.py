"""`styleswap models`: lists the swapping networks on this machine, with family, size and license."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import add_json_argument
from .console import print_lines

if TYPE_CHECKING:
    from .found_models import FoundModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap models`."""
    parser.add_argument(
        "folders",
        type=Path,
        nargs="*",
        metavar="DIR",
        help="folders to look in (default: models/insightface, models/reswapper, models/hyperswap and models/styleswap "
        "of ComfyUI at COMFYUI_PATH and of the working directory)",
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list; returns 0."""
    from .found_models import list_models, model_folders

    folders = args.folders or model_folders()
    found = list_models(folders)
    if args.json:
        rows = [
            {"file": str(model.path), "family": model.family, "size": model.size, "license": model.license}
            for model in found
        ]
        print(json.dumps({"folders": [str(folder) for folder in folders], "models": rows}, indent=1))
    elif found:
        print_lines(*_lines(found))
    else:
        print_lines(f"no swapping networks in {', '.join(map(str, folders))}")
    return 0


def _lines(found: "Sequence[FoundModel]") -> list[str]:
    """One line per model, in columns, grouped by folder."""
    width = max(len(model.path.name) for model in found)
    families = max(len(model.family) for model in found)
    lines, folder = [], None
    for model in found:
        if model.path.parent != folder:
            folder = model.path.parent
            lines.append(f"{folder}:")
        lines.append(
            f"  {model.path.name:{width}}  {model.family:{families}}  {model.size:4} px  license: {model.license}"
        )
    return lines
