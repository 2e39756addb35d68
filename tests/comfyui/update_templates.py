"""Add the inputs that nodes have gained since a template was saved to both of its formats, widgets with defaults.

    python tests/comfyui/update_templates.py
    python tests/comfyui/update_templates.py --measure

Nodes grow by the height of the new inputs. All are stacked in the columns of their groups, with --measure with the
heights that they have in a browser; look at the templates in ComfyUI afterwards. Of a new template, the API format is
written.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

from browser import open_browser, open_page
from comfy_server import ComfyServer, link_pack
from template_layout import TITLE, stack
from workflow_files import (
    NOTES,
    PHOTOGRAPHS,
    TEMPLATES,
    load_workflow,
    template_names,
    to_prompt,
    widget_values,
)

WIDGET_HEIGHT, SOCKET_HEIGHT = 24, 20
OPTIONAL_SHAPE = 7
OWN = "StyleSwap_"


def main() -> None:
    """Update all templates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="run the templates in a browser to measure the nodes")
    measure = parser.parse_args().measure
    with tempfile.TemporaryDirectory() as base:
        link_pack(Path(base))
        with ComfyServer(Path(base)) as server:
            node_infos = server.get("/object_info")
            heights = needed_heights(server) if measure else {}
    for name in template_names():
        workflow = load_workflow(name)
        added = [
            added
            for node in workflow["nodes"]
            if node["type"] not in NOTES and node["type"].startswith(OWN)
            for added in add_inputs(node, node_infos[node["type"]])
        ]
        moved = stack(workflow, heights.get(name, {})) if measure or added else False
        if added or moved or not (TEMPLATES / "api" / f"{name}.json").is_file():
            _write(TEMPLATES / f"{name}.json", workflow)
            _write(TEMPLATES / "api" / f"{name}.json", to_prompt(workflow, node_infos))
            print(name, ", ".join(added) or "written")


def add_inputs(node: dict, info: Mapping[str, Mapping]) -> list[str]:
    """Add missing inputs to a UI-format node; returns their names."""
    slots = {slot["name"] for slot in node["inputs"]}
    widgets = {name for name, _ in widget_values(node, info)}
    added = []
    for name, (kind, *_) in info["input"].get("optional", {}).items():
        if name in slots or name in widgets:
            continue
        # Sockets come before widgets.
        place = sum("widget" not in slot for slot in node["inputs"])
        slot = {"localized_name": name, "name": name, "shape": OPTIONAL_SHAPE, "type": kind, "link": None}
        node["inputs"].insert(place, slot)
        node["size"][1] += SOCKET_HEIGHT
        added.append(f"{node['type']}.{name}")
    for name, value in widget_values(node, info):
        if name in slots:
            continue
        optional = name in info["input"].get("optional", {})
        kind = info["input"]["optional" if optional else "required"][name][0]
        shape = {"shape": OPTIONAL_SHAPE} if optional else {}
        slot = {"localized_name": name, "name": name, **shape, "type": "COMBO" if isinstance(kind, list) else kind}
        node["inputs"].append({**slot, "widget": {"name": name}, "link": None})
        node["widgets_values"].append(value)
        node["size"][1] += WIDGET_HEIGHT
        added.append(f"{node['type']}.{name}")
    return added


def needed_heights(server: ComfyServer) -> dict[str, dict[int, float]]:
    """Heights without titles that the nodes of the templates need in a browser, before and after a run.

    The larger of both kinds of nodes: drawn on the canvas, and elements of the page ("Nodes 2.0").
    """
    heights: dict[str, dict[int, float]] = {name: {} for name in template_names()}
    for vue in (False, True):
        with open_browser() as browser, open_page(browser, server, vue=vue) as page:
            for name in template_names():
                page.load(load_workflow(name))
                shown = [page.rectangles()]
                if name not in PHOTOGRAPHS:
                    page.run()
                    shown.append(page.rectangles())
                for rectangles in shown:
                    for number, (_, _, _, height) in rectangles.items():
                        heights[name][number] = max(heights[name].get(number, 0), height - TITLE)
    return heights


def _write(path: Path, content: Mapping) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
