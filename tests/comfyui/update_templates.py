"""Add the widgets that nodes have gained since a template was saved, with their defaults, to both of its formats.

    python tests/comfyui/update_templates.py

Nodes grow by the height of the new widgets; look at the templates in ComfyUI afterwards.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

from comfy_server import ComfyServer, link_pack
from workflow_files import NOTES, TEMPLATES, load_workflow, template_names, to_prompt, widget_values

WIDGET_HEIGHT = 24
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
            for added in add_widgets(node, node_infos[node["type"]])
        ]
        if added:
            _write(TEMPLATES / f"{name}.json", workflow)
            _write(TEMPLATES / "api" / f"{name}.json", to_prompt(workflow, node_infos))
            print(name, ", ".join(added))


def add_widgets(node: dict, info: Mapping[str, Mapping]) -> list[str]:
    """Add missing widgets to a UI-format node; returns their names."""
    slots = {slot["name"] for slot in node["inputs"]}
    added = []
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


def _write(path: Path, content: Mapping) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
