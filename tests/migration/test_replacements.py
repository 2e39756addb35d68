"""Stand-ins that newer versions of ComfyUI offer for missing nodes: the same as a move of a plain node."""

import copy

import pytest

from styleswap_core.migration.migrate import migrate_workflow
from styleswap_core.migration.replacements import REPLACEMENTS

NAMES = [each.old.node_id for each in REPLACEMENTS]


@pytest.mark.parametrize("replacement", REPLACEMENTS, ids=NAMES)
def test_names_are_those_of_the_nodes(replacement):
    old = {*replacement.old.links, *replacement.widget_names}
    new = {given.name: given for given in replacement.new.inputs}
    assert replacement.inputs.keys() <= old
    assert {*replacement.inputs.values(), *replacement.values} <= new.keys()
    # A widget takes the place of a widget, which the frontend fills by its position.
    for before, after in replacement.inputs.items():
        assert new[after].is_widget == (before in replacement.widget_names)
    for before, after in replacement.outputs.items():
        kinds = replacement.old.outputs[before], replacement.new.outputs[after][1]
        assert kinds[0] == kinds[1] or (kinds[0].startswith("FACE") and kinds[1].startswith("STYLESWAP"))


def _replace(prompt, key, replacement):
    """What ComfyUI does with a prompt: only mapped inputs are kept."""
    given, inputs = prompt[key]["inputs"], {}
    for entry in replacement.input_mapping:
        inputs[entry["new_id"]] = entry["set_value"] if "set_value" in entry else given[entry["old_id"]]
    prompt[key] = {**prompt[key], "class_type": replacement.new.node_id, "inputs": inputs}


@pytest.mark.parametrize("replacement", REPLACEMENTS, ids=NAMES)
def test_a_replaced_node_is_a_moved_one(replacement):
    values = {"swap_model": "inswapper_128.onnx", "input_faces_index": "1", "face_model": "anna.safetensors"}
    inputs = {widget.name: values.get(widget.name, widget.default) for widget in replacement.old.widgets}
    inputs |= {name: ["1", 0] for name in replacement.inputs if name in replacement.old.links}
    if "source_image" in inputs:
        del inputs["face_model"]
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": replacement.old.node_id, "inputs": inputs},
    }
    moved = migrate_workflow(copy.deepcopy(prompt)).workflow["2"]
    inputs.setdefault("face_model", None)
    _replace(prompt, "2", replacement)
    replaced = {name: value for name, value in prompt["2"]["inputs"].items() if value is not None}
    assert moved["class_type"] == prompt["2"]["class_type"]
    common = {name: moved["inputs"][name] for name in replaced}
    assert common == replaced
