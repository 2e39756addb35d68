"""The pack's workflow files, and the conversion of a UI-format workflow to an API-format prompt.

In the browser, `app.graphToPrompt` converts; the conversion here checks the API-format files on machines without one.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from comfy_server import PACK

TEMPLATES = PACK / "workflows"
GOLDEN = Path(__file__).resolve().parent / "golden"

MUTED, BYPASSED = 2, 4
# Notes exist in the browser only.
NOTES = ("Note", "MarkdownNote")
CONTROL = "control_after_generate"
SWAP, SYNTHETIC = "StyleSwap_SwapFace", "StyleSwap_SyntheticFace"
SWAP_VIDEO = "StyleSwap_SwapVideo"
QUICK, PASTE = "StyleSwap_QuickSwap", "StyleSwap_PasteFaces"
# Templates that need files, which tests replace (`photograph_files`).
PHOTOGRAPHS = ("10_photographs", "11_photographs_free")
# Outputs of Synthetic Face.
SOURCE, TARGET, SOURCE_2 = 0, 1, 4


def template_names() -> list[str]:
    """Names of the templates, without suffix, in order."""
    return sorted(path.stem for path in TEMPLATES.glob("*.json"))


def self_contained() -> list[str]:
    """Names of the templates that need no file and no download, and so run as they are."""
    return [name for name in template_names() if name not in PHOTOGRAPHS]


def load_workflow(name: str) -> dict:
    """The UI-format workflow of a template."""
    return json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8"))


def load_prompt(name: str) -> dict:
    """The API-format prompt of a template."""
    return json.loads((TEMPLATES / "api" / f"{name}.json").read_text(encoding="utf-8"))


def to_prompt(workflow: Mapping, node_infos: Mapping[str, Mapping]) -> dict:
    """Convert a UI-format workflow without subgraphs or bypassed nodes to an API-format prompt.

    Args:
        workflow: The workflow.
        node_infos: Response of `/object_info`.
    """
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        assert node["mode"] != BYPASSED, f"node {node['id']} is bypassed, which is not supported"
        if node["mode"] == MUTED or node["type"] in NOTES:
            continue
        inputs = dict(widget_values(node, node_infos[node["type"]]))
        for slot in node["inputs"]:
            if slot.get("link") is not None:
                _, origin, origin_slot, *_ = links[slot["link"]]
                inputs[slot["name"]] = [str(origin), origin_slot]
        title = node.get("title") or node_infos[node["type"]]["display_name"]
        prompt[str(node["id"])] = {"inputs": inputs, "class_type": node["type"], "_meta": {"title": title}}
    return prompt


def widget_values(node: Mapping, info: Mapping) -> Iterator[tuple[str, object]]:
    """Name and value of every widget of a UI-format node; `widgets_values` is positional.

    A workflow saved before a widget was added has fewer values; that widget gets its default.
    """
    values = iter(node.get("widgets_values", []))
    for name, (kind, *options) in _declared_inputs(info):
        if not (isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")):
            continue
        options = options[0] if options else {}
        if options.get("forceInput"):
            continue
        yield name, next(values, options.get("default"))
        # The browser adds another widget after these.
        if options.get(CONTROL) or any(options.get(key) for key in ("image_upload", "video_upload")):
            next(values, None)


def _declared_inputs(info: Mapping) -> Iterator[tuple[str, list]]:
    for group in ("required", "optional"):
        for name in info["input_order"].get(group, []):
            yield name, info["input"][group][name]


def default_inputs(info: Mapping) -> dict:
    """Default values of a node's required widgets.

    Args:
        info: The node's entry in `/object_info`.
    """
    values = {}
    for key, (kind, *options) in info["input"].get("required", {}).items():
        options = options[0] if options else {}
        choices = options.get("options") or (kind if isinstance(kind, list) else None)
        if choices or "default" in options:
            values[key] = options.get("default", choices[0] if choices else None)
    return values


def as_saved(prompt: Mapping, saved: Mapping, node_infos: Mapping[str, Mapping]) -> dict:
    """A prompt without what pages and newer versions of ComfyUI add to the saved one.

    These are values of widgets that the page adds and no node takes, the pack of each node, and inputs of core nodes
    that are newer than the saved prompt, if they have their defaults.

    Args:
        prompt: The prompt of a page, or of `to_prompt`.
        saved: The prompt in API format.
        node_infos: Response of `/object_info`.
    """
    result = {}
    for key, node in prompt.items():
        info = node_infos[node["class_type"]]
        known = {name for group in info["input"].values() for name in group}
        new = set() if node["class_type"].startswith("StyleSwap_") else known - set(saved[key]["inputs"])
        declared = {name: options[0] if options else {} for name, (_, *options) in _declared_inputs(info)}
        defaults = default_inputs(info) | {name: one["default"] for name, one in declared.items() if "default" in one}
        inputs = {
            name: value
            for name, value in node["inputs"].items()
            if name in known and not (name in new and value == defaults.get(name))
        }
        meta = {"_meta": {"title": node["_meta"]["title"]}} if "_meta" in node else {}
        result[key] = {**node, "inputs": inputs, **meta}
    return result


def nodes_of(prompt: Mapping, class_type: str) -> list[str]:
    """Ids of the nodes of a class, in order."""
    return [key for key, node in prompt.items() if node["class_type"] == class_type]


def only(prompt: Mapping, class_type: str) -> str:
    """Id of the only node of a class."""
    (key,) = nodes_of(prompt, class_type)
    return key


def small_prompt(frames: int = 1, repeat: int = 1, **swap: object) -> dict:
    """The first template with small images, and a preview `shown` of the result as its only output.

    Args:
        frames: Number of rendered target frames.
        repeat: Number of times the frames are repeated.
        swap: Values for Swap Face.
    """
    prompt = load_prompt("01_first_swap")
    prompt[only(prompt, SYNTHETIC)]["inputs"] |= {"size": 192, "frames": frames, "exact": False}
    key = only(prompt, SWAP)
    inputs = prompt[key]["inputs"]
    inputs |= swap
    if repeat > 1:
        prompt["clip"] = {"class_type": "RepeatImageBatch", "inputs": {"image": inputs["image"], "amount": repeat}}
        inputs["image"] = ["clip", 0]
    needed = ancestors(prompt, key)
    return with_probe({name: node for name, node in prompt.items() if name in needed}, "shown", [key, 0])


def target_link() -> list:
    """Link to the target images of `small_prompt` before they are repeated."""
    prompt = load_prompt("01_first_swap")
    return prompt[only(prompt, SWAP)]["inputs"]["image"]


def ancestors(prompt: Mapping, key: str) -> set[str]:
    """Ids of a node and of all nodes that it depends on."""
    found = {key}
    for value in prompt[key]["inputs"].values():
        if isinstance(value, list):
            found |= ancestors(prompt, value[0])
    return found


def with_probe(prompt: Mapping, key: str, link: list, mask: bool = False) -> dict:
    """The prompt with an additional node `key` that previews an image or a mask."""
    added = {}
    if mask:
        added[f"{key}-picture"] = {"class_type": "MaskToImage", "inputs": {"mask": link}}
        link = [f"{key}-picture", 0]
    return {**prompt, **added, key: {"class_type": "PreviewImage", "inputs": {"images": link}}}


def with_probes(prompt: Mapping) -> dict:
    """A template's prompt with previews of its images and masks.

    They are named `source`, `source_2`, `target`, `swapped`, `mask`, and with Blend With Mask or Paste Faces `blended`
    and `final_mask`. `source_2` comes from the same Synthetic Face if that renders two people, otherwise from the last
    one. In the templates for photographs, both sources are the picture that the identity is extracted from. Of videos,
    all frames are shown; there is no mask.
    """
    first, second = _source_links(prompt)
    if nodes_of(prompt, SWAP_VIDEO):
        swap = only(prompt, SWAP_VIDEO)
        prompt = _with_frames(prompt, "target", prompt[swap]["inputs"]["video"])
        prompt = _with_frames(prompt, "swapped", [swap, 0])
        return with_probe(with_probe(prompt, "source", first), "source_2", second)
    (swap,) = nodes_of(prompt, SWAP) or nodes_of(prompt, QUICK)
    blends = nodes_of(prompt, "StyleSwap_BlendWithMask") or nodes_of(prompt, PASTE)
    given = prompt[swap]["inputs"]
    pictures = {
        "target": given["image"] if "image" in given else given["target"],
        "swapped": [swap, 0],
        "source": first,
        "source_2": second,
    }
    masks = {"mask": [swap, 1]}
    if blends:
        pictures["blended"], masks["final_mask"] = [blends[0], 0], [blends[0], 1]
    for key, link in pictures.items():
        prompt = with_probe(prompt, key, link)
    for key, link in masks.items():
        prompt = with_probe(prompt, key, link, mask=True)
    return prompt


def _with_frames(prompt: Mapping, key: str, link: list) -> dict:
    """The prompt with an additional node `key` that previews all frames of a video."""
    node = {"class_type": "GetVideoComponents", "inputs": {"video": link}}
    return with_probe({**prompt, f"{key}-frames": node}, key, [f"{key}-frames", 0])


def _source_links(prompt: Mapping) -> tuple[list, list]:
    worlds = nodes_of(prompt, SYNTHETIC)
    if not worlds:
        link = prompt[only(prompt, "StyleSwap_ExtractArcFaceID")]["inputs"]["image"]
        return link, link
    two = prompt[worlds[0]]["inputs"]["people"] == 2
    return [worlds[0], SOURCE], [worlds[0], SOURCE_2] if two else [worlds[-1], SOURCE]
