"""Behavior at run time: validation, cancellation, memory, and model files that change or disappear."""

import os
import shutil
import time

import numpy as np
import pytest
import torch
from comfy_server import PACK, PeakMemory, error_message
from safetensors.torch import save_file
from workflow_files import SWAP, SYNTHETIC, default_inputs, only, small_prompt, target_link, with_probe

from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.identity_format import save_identity

MODEL, ANALYSIS, DETECT, EXTRACT, BLEND = (
    f"StyleSwap_{name}"
    for name in ("LoadModel", "LoadFaceAnalysis", "DetectFaces", "ExtractArcFaceID", "BlendWithMask")
)
FRAMES = 240
MIB = 2**20


def _alone(name, info, changes):
    """Prompt of a node with default values, and an output node that uses its result."""
    prompt = {"node": {"class_type": name, "inputs": default_inputs(info) | changes}}
    if not info["output_node"]:
        prompt["seen"] = {"class_type": "PreviewAny", "inputs": {"source": ["node", 0]}}
    return prompt


def _errors_of(answer, key):
    errors = answer.get("node_errors", {}).get("node", {}).get("errors", [])
    return [error for error in errors if error["extra_info"].get("input_name") == key]


def test_wrong_numbers_are_refused(server, own_nodes):
    tried = 0
    for name, info in own_nodes.items():
        for key, (kind, *options) in info["input"].get("required", {}).items():
            if kind not in ("INT", "FLOAT"):
                continue
            for wrong in (options[0]["min"] - 1, options[0]["max"] + 1):
                status, answer = server.post("/prompt", {"prompt": _alone(name, info, {key: wrong})})
                assert status == 400 and _errors_of(answer, key), f"{name}.{key} = {wrong}"
                tried += 1
    assert tried > 30


def test_wrong_choices_are_refused(server, own_nodes):
    tried = 0
    for name, info in own_nodes.items():
        for key, (kind, *_options) in info["input"].get("required", {}).items():
            if not (isinstance(kind, list) or kind == "COMBO"):
                continue
            status, answer = server.post("/prompt", {"prompt": _alone(name, info, {key: "no such choice"})})
            errors = _errors_of(answer, key)
            assert status == 400 and errors, f"{name}.{key}"
            assert "no such choice" in errors[0]["details"]
            tried += 1
    assert tried >= 10


def test_widgets_that_a_prompt_lacks_are_named(server, own_nodes):
    for name, info in own_nodes.items():
        prompt = _alone(name, info, {})
        prompt["node"]["inputs"] = {}
        status, answer = server.post("/prompt", {"prompt": prompt})
        for key in default_inputs(info):
            kinds = [error["type"] for error in _errors_of(answer, key)]
            assert status == 400 and kinds == ["required_input_missing"], f"{name}.{key}: {answer}"


def test_a_missing_pack_is_refused_and_not_downloaded(server):
    prompt = small_prompt()
    key = only(prompt, ANALYSIS)
    prompt[key]["inputs"]["pack"] = "antelopev2"
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400
    # ComfyUI repeats the message for every argument of validate_inputs.
    for error in answer["node_errors"][key]["errors"]:
        assert "antelopev2" in error["details"] and "download" in error["details"]


def test_a_missing_face_is_an_error_only_if_requested(server):
    untouched = server.run(with_probe(small_prompt(faces="by index", index="7"), "target", target_link()))
    assert np.array_equal(untouched.pixels("shown"), untouched.pixels("target"))
    entry = server.await_end(server.queue(small_prompt(faces="by index", index="7", on_missing="error")))
    assert SWAP in error_message(entry) and "face" in error_message(entry)


@pytest.mark.parametrize("empty", ["first", "last", "all"])
def test_frames_without_a_face_are_returned_unchanged(server, empty):
    prompt = small_prompt(frames=2)
    swap = prompt[only(prompt, SWAP)]["inputs"]
    prompt["gray"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 192, "height": 192, "batch_size": 1, "color": 0x808080},
    }
    pair = {
        "first": (["gray", 0], swap["image"]),
        "last": (swap["image"], ["gray", 0]),
        "all": (["gray", 0], ["gray", 0]),
    }[empty]
    prompt["frames"] = {"class_type": "ImageBatch", "inputs": {"image1": pair[0], "image2": pair[1]}}
    swap["image"] = ["frames", 0]
    run = server.run(with_probe(prompt, "target", ["frames", 0]))
    before, after = run.pixels("target"), run.pixels("shown")
    assert before.shape == after.shape
    changed = [bool((one != other).any()) for one, other in zip(before, after, strict=True)]
    assert changed == {"first": [False, True, True], "last": [True, True, False], "all": [False, False]}[empty]


def test_alpha_is_kept(server):
    prompt = small_prompt()
    swap = prompt[only(prompt, SWAP)]["inputs"]
    prompt["half"] = {"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 192, "height": 192}}
    prompt["rgba"] = {"class_type": "JoinImageWithAlpha", "inputs": {"image": swap["image"], "alpha": ["half", 0]}}
    swap["image"] = ["rgba", 0]
    (picture,) = server.run(prompt).pictures("shown")
    assert picture.mode == "RGBA"
    assert abs(float(np.asarray(picture)[..., 3].mean()) - 127.5) < 2


def _long_prompt(node, own_nodes):
    """Prompt in which a node processes FRAMES frames, and the id of the node."""
    prompt = small_prompt(frames=FRAMES) if node == SYNTHETIC else small_prompt(frames=2, repeat=FRAMES // 2)
    # A person that no other test uses, so that nothing is cached.
    prompt[only(prompt, SYNTHETIC)]["inputs"]["target_person"] = 4321
    if node in (SYNTHETIC, SWAP):
        return prompt, only(prompt, node)
    links = prompt.pop(only(prompt, SWAP))["inputs"]
    links |= {"target": links["image"], "swapped": links["image"], "mask": ["mask", 0]}
    wanted = {key: links[key] for key in own_nodes[node]["input"]["required"] if isinstance(links.get(key), list)}
    prompt["mask"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 192, "height": 192}}
    prompt["node"] = {"class_type": node, "inputs": default_inputs(own_nodes[node]) | wanted}
    prompt["shown"]["inputs"]["images"] = ["node", own_nodes[node]["output"].index("IMAGE")]
    return prompt, "node"


@pytest.mark.parametrize("node", [SYNTHETIC, SWAP, DETECT, EXTRACT, BLEND])
def test_interrupt_ends_a_long_batch_within_one_frame(server, own_nodes, node):
    prompt, key = _long_prompt(node, own_nodes)
    prompt_id = server.queue(prompt)
    server.await_working(prompt_id, key)
    entry, steps = server.interrupt(prompt_id, key)
    assert error_message(entry) == "interrupted"
    assert steps <= 1
    server.run(small_prompt())


def test_memory_is_flat_over_long_batches(server):
    server.post("/free", {"free_memory": True})
    peaks, rests = [], []
    # A different parameter each time, so that the result does not come from the cache.
    for feather in (0.0, 0.5, 1.0):
        with PeakMemory(server) as memory:
            run = server.run(small_prompt(frames=4, repeat=FRAMES // 4, mask_feather=feather))
        assert len(run.files("shown")) == FRAMES
        peaks.append(memory.peak // MIB)
        rests.append(server.rss() // MIB)
    # The first run is the warm-up. If each frame kept one small image, 100 MiB would be added.
    assert peaks[2] <= peaks[1] + 32 and rests[2] <= rests[1] + 32, f"peak MiB {peaks}, MiB after the run {rests}"


def test_free_unloads_the_models_and_the_next_run_loads_them(server):
    prompt = small_prompt()
    server.run(prompt)
    assert "Generator" in server.get("/probe/models")["loaded"]
    server.post("/free", {"unload_models": True, "free_memory": True})
    deadline = time.monotonic() + 120
    while server.get("/probe/models")["loaded"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.get("/probe/models")["loaded"] == []
    run = server.run(prompt)
    assert run.executed() == set(prompt)


@pytest.fixture
def model_file(server):
    """A copy of the demo generator in the server's models/styleswap."""
    path = server.base / "models" / "styleswap" / "copied.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(PACK / "styleswap_core" / "assets" / "generator.safetensors", path)
    yield path
    path.unlink(missing_ok=True)


def test_a_changed_model_file_is_loaded_again_and_a_deleted_one_is_refused(server, model_file):
    prompt = small_prompt()
    loader = only(prompt, MODEL)
    prompt[loader]["inputs"]["model_name"] = model_file.name
    server.run(prompt)
    assert server.run(prompt).executed() == set()
    os.utime(model_file, (1, 1))
    assert {loader, only(prompt, SWAP)} <= server.run(prompt).executed()
    model_file.write_bytes(b"not a model")
    message = error_message(server.await_end(server.queue(prompt)))
    assert MODEL in message and model_file.name in message
    model_file.unlink()
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400
    assert model_file.name in str(answer["node_errors"][loader]["errors"])


def test_a_file_that_another_node_names_is_loaded_again_if_it_changes(server):
    path = server.base / "models" / "styleswap" / "identities" / "named.safetensors"
    prompt = {
        "name": {"class_type": "PrimitiveString", "inputs": {"value": path.name}},
        "load": {"class_type": "StyleSwap_LoadIdentity", "inputs": {"identity_file": path.name, "file": ["name", 0]}},
        "seen": {"class_type": "PreviewAny", "inputs": {"source": ["load", 1]}},
    }
    seen = set()
    for seed in range(2):
        embedding = torch.randn(512, generator=torch.Generator().manual_seed(seed))
        save_identity(path, Identity(embedding, RecognizerId("any")))
        seen.add(server.run(prompt).texts("seen")[0])
        assert server.run(prompt).executed() == set()
    path.unlink()
    assert len(seen) == 2


@pytest.mark.parametrize("name", ["foreign.pth", "foreign.safetensors"])
def test_foreign_weights_are_listed_and_the_error_says_how_to_convert_them(server, name):
    path = server.base / "models" / "styleswap" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save = torch.save if path.suffix == ".pth" else save_file
    save({"weight": torch.zeros(2)}, path)
    prompt = small_prompt()
    prompt[only(prompt, MODEL)]["inputs"]["model_name"] = name
    message = error_message(server.await_end(server.queue(prompt)))
    listed = str(server.get(f"/object_info/{MODEL}"))
    path.unlink()
    assert f"styleswap convert {path}" in message
    assert name in listed
