"""Render the images that ship with the pack, from real results in a running ComfyUI.

    python tests/comfyui/draw.py thumbnails   workflows/*.jpg
    python tests/comfyui/draw.py help         web/docs/images/*.jpg, each node as it looks after a run
    python tests/comfyui/draw.py readme       docs/images/*.jpg, screenshots
    python tests/comfyui/draw.py clicks       docs/images/first_swap_clicks.jpg, each click of the quick start
    python tests/comfyui/draw.py golden       tests/comfyui/golden/*/*.png

Run it again after a change of the demo model, the face world or a template, and look at the images before committing.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

sys.path.append(str(Path(__file__).resolve().parent))

from browser import EMPTY, open_browser, open_page
from comfy_server import PACK, PACK_NAME, ComfyServer, Run, link_pack
from newcomer import first_swap
from photograph_files import with_files, write_files
from workflow_files import (
    GOLDEN,
    PHOTOGRAPHS,
    TEMPLATES,
    load_prompt,
    load_workflow,
    only,
    template_names,
    with_probes,
)

if TYPE_CHECKING:
    from playwright.sync_api import Route

SIDE = 512
BORDER = 4
QUALITY = 85
HELP_IMAGES = PACK / "web" / "docs" / "images"
# Heights in pixels of a page whose template browser, which is lower than the page, shows all thumbnails: of what is
# around them, and of a row of them.
BROWSER_HEAD, BROWSER_ROW = 420, 470
README_IMAGES = PACK / "docs" / "images"
CLICKS_VIEW = {"width": 1600, "height": 1000}
# Radius in pixels.
RING = 34


def main() -> None:
    """Command line."""
    kinds: dict[str, Callable[[ComfyServer, str], None]] = {
        "thumbnails": draw_thumbnails,
        "help": draw_help,
        "readme": draw_readme,
        "clicks": draw_clicks,
        "golden": draw_golden,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="+", choices=kinds)
    parser.add_argument("--only", default="", metavar="TEXT", help="only files whose names contain this")
    args = parser.parse_args()
    for what in args.what:
        # A new server for each, because nodes show no image if their result comes from the cache of another run.
        with tempfile.TemporaryDirectory() as base:
            link_pack(Path(base))
            write_files(Path(base))
            with ComfyServer(Path(base)) as server:
                kinds[what](server, args.only)


def draw_thumbnails(server: ComfyServer, only_name: str) -> None:
    """The result of each template, with its sources and target in the corners."""
    for name in filter(lambda name: only_name in name, template_names()):
        prompt = with_files(name) if name in PHOTOGRAPHS else load_prompt(name)
        run = server.run(with_probes(prompt))
        _save(TEMPLATES / f"{name}.jpg", _thumbnail(name, run))


def _thumbnail(name: str, run: Run) -> Image.Image:
    def shown(key: str) -> list[Image.Image]:
        return [picture.convert("RGB") for picture in run.pictures(key)]

    results = shown("blended") if run.files("blended") else shown("swapped")
    target, sources = shown("target")[0], shown("source")
    if len(results) > 1 and target.width > target.height:
        chosen = [results[0], results[len(results) // 2]]
        return _with_insets(_grid(chosen, 1), sources[:1] + shown("source_2")[:1], rows=2)
    if len(results) > 1:
        chosen = results[:: max(1, len(results) // 4)][:4]
        return _with_insets(_grid(chosen, 2), sources[:1], rows=2)
    if target.width > target.height:
        second = shown("source_2")[:1] if "two" in name else []
        return _with_insets(_grid([target, results[0]], 1), sources[:1] + second, rows=2)
    if "mix" in name:
        return _with_insets(_square(results[0], SIDE), sources[:1] + shown("source_2")[:1])
    if len(sources) > 3:
        strip = _grid(sources, len(sources), width=SIDE)
        poster = _square(results[0], SIDE)
        poster.paste(strip, (0, SIDE - strip.height))
        return poster
    return _with_insets(_square(results[0], SIDE), [sources[0], target])


def _square(picture: Image.Image, side: int) -> Image.Image:
    return ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)


def _grid(pictures: Sequence[Image.Image], columns: int, width: int = SIDE) -> Image.Image:
    """Images of the same size in rows of `width` pixels."""
    cell = (width // columns, round(width / columns * pictures[0].height / pictures[0].width))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (width, cell[1] * rows))
    for number, picture in enumerate(pictures):
        place = (number % columns * cell[0], number // columns * cell[1])
        sheet.paste(picture.resize(cell, Image.Resampling.LANCZOS), place)
    return sheet


def _with_insets(poster: Image.Image, insets: Sequence[Image.Image], rows: int = 1) -> Image.Image:
    """Add small framed images in the lower corners of the first row."""
    side = SIDE // 4 if rows == 1 else SIDE // 6
    for number, picture in enumerate(insets):
        framed = ImageOps.expand(_square(picture, side - 2 * BORDER), BORDER, "white")
        x = poster.width - side - 8 if number else 8
        poster.paste(framed, (x, poster.height // rows - side - 8))
    return poster


def draw_golden(server: ComfyServer, only_name: str) -> None:
    """The result of every golden workflow."""
    for path in sorted(path for path in GOLDEN.glob("*/*.api.json") if only_name in path.name):
        prompt = json.loads(path.read_text(encoding="utf-8"))
        pixels = server.run(prompt).pixels(only(prompt, "StyleSwap_SaveImage"))
        tall = np.concatenate(list(pixels))
        Image.fromarray(tall).save(path.with_name(path.name.removesuffix(".api.json") + ".png"), optimize=True)


def draw_help(server: ComfyServer, only_name: str) -> None:
    """Screenshot of each node in the first template that has it, after a run; of the others, as they are when added.

    Those for photographs do not run without the files that they need.
    """
    done: set[str] = set()
    with open_browser() as browser, open_page(browser, server, width=1400, height=1500) as page:
        for name in filter(lambda name: name not in PHOTOGRAPHS, template_names()):
            workflow = load_workflow(name)
            new = {
                node["type"]: node["id"]
                for node in reversed(workflow["nodes"])
                if node["type"].startswith("StyleSwap_") and only_name in node["type"] and node["type"] not in done
            }
            if not new:
                continue
            page.load(workflow)
            page.run()
            for node_type, node_id in new.items():
                _save(HELP_IMAGES / f"{node_type}.jpg", page.screenshot_of(node_id))
            done |= set(new)
        for node_type in sorted(server.get("/object_info")):
            if node_type.startswith("StyleSwap_") and only_name in node_type and node_type not in done:
                page.page.evaluate("workflow => app.loadGraphData(workflow)", EMPTY)
                _save(HELP_IMAGES / f"{node_type}.jpg", page.screenshot_of(page.add(node_type)))


def draw_readme(server: ComfyServer, only_name: str) -> None:
    """Screenshots of the first template after a run, and of the template browser."""
    with open_browser() as browser, open_page(browser, server) as page:
        if only_name in "01_first_swap":
            page.load(load_workflow("01_first_swap"))
            page.run()
            _save_screenshot("01_first_swap", page.screenshot(), (1600, 900))
        if only_name in "templates":
            # High enough for all templates, in rows of four.
            height = BROWSER_HEAD + BROWSER_ROW * -(-len(template_names()) // 4)
            page.page.set_viewport_size({"width": 1920, "height": height})
            page.page.route("**/workflow_templates", _sort_names)
            page.browse_templates(PACK_NAME)
            dialog = page.page.get_by_role("dialog").bounding_box()
            _save_screenshot("templates", page.screenshot(dialog), (1400, 2100))


def _sort_names(route: "Route") -> None:
    """Answer with the templates of each pack in order; ComfyUI lists them as the file system does."""
    route.fulfill(json={pack: sorted(names) for pack, names in route.fetch().json().items()})


def draw_clicks(server: ComfyServer, only_name: str) -> None:
    """The page before each click of the quick start, with a ring around the place, and after the last one."""
    shots: list[Image.Image] = []
    with open_browser() as browser, open_page(browser, server, **CLICKS_VIEW) as page:

        def on_click(place: tuple[float, float]) -> None:
            shots.append(_with_ring(page.screenshot().convert("RGB"), place, len(shots) + 1))

        first_swap(page, on_click)
        page.fit()
        shots.append(page.screenshot().convert("RGB"))
    _save(README_IMAGES / "first_swap_clicks.jpg", _grid(shots[:4], 2, width=1600))
    _save(README_IMAGES / "first_swap_result.jpg", ImageOps.contain(shots[-1], (1200, 750), Image.Resampling.LANCZOS))


def _with_ring(picture: Image.Image, place: tuple[float, float], number: int) -> Image.Image:
    """A screenshot with a ring around the place of a click, and its number."""
    draw, (x, y), color = ImageDraw.Draw(picture), place, (255, 196, 0)
    draw.ellipse((x - RING, y - RING, x + RING, y + RING), outline=color, width=5)
    font = ImageFont.load_default(size=40)
    left, top, right, bottom = font.getbbox(str(number))
    corner = min(x + RING, picture.width - 60), max(y - RING - 40, 4)
    draw.rectangle((*corner, corner[0] + right - left + 24, corner[1] + bottom - top + 24), fill=color)
    draw.text((corner[0] + 12 - left, corner[1] + 12 - top), str(number), fill=(0, 0, 0), font=font)
    return picture


def _save_screenshot(name: str, picture: Image.Image, size: tuple[int, int]) -> None:
    _save(README_IMAGES / f"{name}.jpg", ImageOps.contain(picture, size, Image.Resampling.LANCZOS))


def _save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    print(path.relative_to(PACK), picture.size, path.stat().st_size // 1024, "KiB")


if __name__ == "__main__":
    main()
