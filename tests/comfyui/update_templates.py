"""Add the inputs that nodes have gained since a template was saved to both of its formats, widgets with defaults.

    python tests/comfyui/update_templates.py

Nodes grow by the height of the new inputs and move down where they would overlap; look at the templates in ComfyUI
afterwards. Of a new template, the API format is written.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

from comfy_server import ComfyServer, link_pack
from workflow_files import NOTES, TEMPLATES, load_workflow, template_names, to_prompt, widget_values

WIDGET_HEIGHT, SOCKET_HEIGHT = 24, 20
# From the bottom of a node to the position of the next one, whose title is above it; and from there to that of a group.
NODE_GAP, GROUP_GAP = 70, 30
OPTIONAL_SHAPE = 7
OWN = "StyleSwap_"


def main() -> None:
    """Update all templates."""
    with tempfile.TemporaryDirectory() as base:
        link_pack(Path(base))
        with ComfyServer(Path(base)) as server:
            node_infos = server.get("/object_info")
    for name in template_names():
        workflow = load_workflow(name)
        added = [
            added
            for node in workflow["nodes"]
            if node["type"] not in NOTES and node["type"].startswith(OWN)
            for added in add_inputs(node, node_infos[node["type"]])
        ]
        moved = stack(workflow)
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


def stack(workflow: Mapping) -> bool:
    """Move nodes of a group down where they overlap, and fit the group; returns whether anything moved."""
    moved = False
    for group in workflow["groups"]:
        left, top, width, height = group["bounding"]
        inside = [
            node
            for node in workflow["nodes"]
            if left <= node["pos"][0] <= left + width and top <= node["pos"][1] <= top + height
        ]
        bottom = top
        for node in sorted(inside, key=lambda node: node["pos"][1]):
            least = bottom + NODE_GAP if bottom > top else node["pos"][1]
            if node["pos"][1] < least:
                node["pos"][1], moved = least, True
            bottom = node["pos"][1] + node["size"][1]
        if bottom + GROUP_GAP > top + height:
            group["bounding"][3], moved = bottom + GROUP_GAP - top, True
    return moved


def _write(path: Path, content: Mapping) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
