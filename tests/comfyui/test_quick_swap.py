"""Quick Face Swap: the same as the four nodes that it stands for, and nothing is loaded or analyzed twice."""

import json
import shutil

import numpy as np
import pytest
from comfy_server import PACK, error_message
from workflow_files import QUICK, SWAP, SYNTHETIC, default_inputs, only, small_prompt, to_prompt, with_probe

from styleswap_core.checkpoints import DEMO_MODEL

ANALYSIS, EXTRACT = "StyleSwap_LoadFaceAnalysis", "StyleSwap_ExtractArcFaceID"
# Ids that stand for a subgraph's own inputs and outputs.
GRAPH_INPUT, GRAPH_OUTPUT = -10, -20
TEXTS = {"report": 3, "swap_info": 4}


def _with_quick(prompt, info, **values):
    """The prompt with a node `quick` for its source and target."""
    links = {
        "source": prompt[only(prompt, EXTRACT)]["inputs"]["image"],
        "target": prompt[only(prompt, SWAP)]["inputs"]["image"],
    }
    return {**prompt, "quick": {"class_type": QUICK, "inputs": {**default_inputs(info), **links, **values}}}


def _with_digests(prompt, key):
    """The prompt with the hash of a node's image and mask, and its texts, shown as KEY-image and so on."""
    for name, slot in (("image", 0), ("mask", 1)):
        kind = "Probe_PictureDigest" if name == "image" else "Probe_MaskDigest"
        prompt = {
            **prompt,
            f"{key}-{name}-made": {"class_type": kind, "inputs": {"value": [key, slot], "kind": "sha256"}},
        }
        prompt[f"{key}-{name}"] = {"class_type": "PreviewAny", "inputs": {"source": [f"{key}-{name}-made", 0]}}
    for name, slot in TEXTS.items():
        prompt = {**prompt, f"{key}-{name}": {"class_type": "PreviewAny", "inputs": {"source": [key, slot]}}}
    return prompt


CHANGES = [
    {},
    {"faces": "all", "strength": 0.7, "mask_grow": 3, "mask_feather": 2.0, "resolution": "2x", "order": "left-right"},
    {"faces": "by index", "index": "1", "detection_size": "320", "detection_threshold": 0.4},
]


@pytest.mark.parametrize("values", CHANGES, ids=["defaults", "all", "by index"])
def test_it_is_the_four_nodes_bit_by_bit(server, own_nodes, values):
    prompt = small_prompt(frames=2)
    swap = only(prompt, SWAP)
    prompt[only(prompt, SYNTHETIC)]["inputs"] |= {"people": 2, "size": 256}
    detection = {name: value for name, value in values.items() if name.startswith("detection")}
    prompt[only(prompt, ANALYSIS)]["inputs"] |= detection
    prompt[swap]["inputs"] |= default_inputs(own_nodes[SWAP])
    prompt[swap]["inputs"] |= {name: value for name, value in values.items() if name not in detection}
    prompt = _with_digests(_with_digests(_with_quick(prompt, own_nodes[QUICK], **values), swap), "quick")
    run = server.run(prompt)
    for name in ("image", "mask", *TEXTS):
        assert run.texts(f"quick-{name}") == run.texts(f"{swap}-{name}"), name
    assert "swapped" in run.texts("quick-report")[0] and "swapped 0" not in run.texts("quick-report")[0]


def _with_blueprint(prompt, node_infos, links):
    """The prompt with the nodes of the subgraph blueprint for a source and a target, named as in the page."""
    (path,) = (PACK / "subgraphs").glob("*.json")
    (graph,) = json.loads(path.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    inner = to_prompt(
        {"nodes": graph["nodes"], "links": [[link[key] for key in keys] for link in graph["links"]]}, node_infos
    )
    entered = {str(GRAPH_INPUT): [links[one["name"]] for one in graph["inputs"]]}
    for key, node in inner.items():
        for name, value in node["inputs"].items():
            if isinstance(value, list):
                origin, slot = value
                node["inputs"][name] = entered[origin][slot] if origin in entered else [f"1:{origin}", slot]
        prompt = {**prompt, f"1:{key}": node}
    left = [link for link in graph["links"] if link["target_id"] == GRAPH_OUTPUT]
    named = {
        graph["outputs"][link["target_slot"]]["name"]: [f"1:{link['origin_id']}", link["origin_slot"]] for link in left
    }
    return prompt, named


def test_the_blueprint_is_the_same(server, own_nodes, node_infos):
    prompt = _with_quick(small_prompt(), own_nodes[QUICK])
    prompt, outputs = _with_blueprint(prompt, node_infos, prompt["quick"]["inputs"])
    assert list(outputs) == ["image", "mask", "identity", "report", "swap_info"]
    prompt = _with_digests(prompt, "quick")
    prompt["graph-made"] = {
        "class_type": "Probe_PictureDigest",
        "inputs": {"value": outputs["image"], "kind": "sha256"},
    }
    for key, link in (("graph-image", ["graph-made", 0]), ("graph-report", outputs["report"])):
        prompt[key] = {"class_type": "PreviewAny", "inputs": {"source": link}}
    run = server.run(prompt)
    for name in ("image", "report"):
        assert run.texts(f"quick-{name}") == run.texts(f"graph-{name}")


def test_its_identity_is_that_of_extract_and_takes_the_place_of_a_source(server, own_nodes):
    prompt = small_prompt()
    extract = only(prompt, EXTRACT)
    prompt = _with_quick(prompt, own_nodes[QUICK])
    prompt["compare"] = {
        "class_type": "StyleSwap_CompareIdentity",
        "inputs": {"identity_a": ["quick", 2], "identity_b": [extract, 0]},
    }
    prompt["text"] = {"class_type": "PreviewAny", "inputs": {"source": ["compare", 1]}}
    inputs = {**prompt["quick"]["inputs"], "identity": [extract, 0]}
    del inputs["source"]
    prompt["again"] = {"class_type": QUICK, "inputs": inputs}
    run = server.run(with_probe(with_probe(prompt, "first", ["quick", 0]), "second", ["again", 0]))
    assert "likeness 1.000" in run.texts("text")[0]
    assert np.array_equal(run.pixels("first"), run.pixels("second"))


def _alone(info, person, **values):
    """Prompt with Quick Face Swap alone, for a target person."""
    prompt = small_prompt()
    prompt[only(prompt, SYNTHETIC)]["inputs"] |= {"target_person": person}
    prompt = _with_quick(prompt, info, **values)
    needed = {"quick", only(prompt, SYNTHETIC)}
    return with_probe({key: node for key, node in prompt.items() if key in needed}, "shown", ["quick", 0])


def test_another_target_neither_loads_nor_analyzes_again(server, own_nodes):
    server.run(_alone(own_nodes[QUICK], 61))
    kept = server.get("/probe/kept")
    assert [len(kept[name]) for name in ("models", "analyses")] == [1, 1]
    server.run(_alone(own_nodes[QUICK], 62))
    assert server.get("/probe/kept") == kept


def test_a_changed_model_file_is_loaded_again(server, own_nodes):
    path = server.base / "models" / "styleswap" / "quick.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEMO_MODEL, path)
    prompt = _alone(own_nodes[QUICK], 63, model_name="quick.safetensors")
    server.run(prompt)
    kept = server.get("/probe/kept")["models"]
    assert len(kept) == 1
    assert server.run(prompt).executed() == set()
    shutil.copyfile(DEMO_MODEL, path)
    assert "quick" in server.run(prompt).executed()
    assert server.get("/probe/kept")["models"] != kept
    path.unlink()
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400 and "quick.safetensors" in str(answer["node_errors"]["quick"])


def test_without_a_source_it_says_what_to_connect(server, own_nodes):
    prompt = _alone(own_nodes[QUICK], 64)
    del prompt["quick"]["inputs"]["source"]
    message = error_message(server.await_end(server.queue(prompt)))
    assert message.startswith(f"{QUICK}: nobody to swap in: connect an image of a person to source")


def test_missing_faces(server, own_nodes):
    prompt = _alone(own_nodes[QUICK], 65, source_face=5)
    message = error_message(server.await_end(server.queue(prompt)))
    assert message.startswith(f"{QUICK}: ") and "no face 5" in message
    prompt = _alone(own_nodes[QUICK], 65, faces="by index", index="7", on_missing="error")
    assert "no face 7" in error_message(server.await_end(server.queue(prompt)))


def test_the_settings_for_experts_are_advanced(own_nodes):
    info = own_nodes[QUICK]["input"]["required"]
    hidden = {name for name, (_, *options) in info.items() if options and options[0].get("advanced")}
    assert hidden == {
        "source_face",
        "order",
        "resolution",
        "mask_grow",
        "mask_feather",
        "detection_size",
        "detection_threshold",
        "run_on",
        "on_missing",
    }
