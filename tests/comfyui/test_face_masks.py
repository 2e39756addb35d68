"""Load Face Masks and the masks of Swap Face."""

import numpy as np
import pytest
from comfy_server import error_message
from mask_forms import write_occlusion, write_parsing
from workflow_files import SWAP, default_inputs, only, small_prompt, target_link, with_probe

MASKS = "StyleSwap_LoadFaceMasks"


@pytest.fixture(scope="module")
def networks(server):
    """Networks in folders of this pack and of others, under names that do not tell their kind."""
    models = server.base / "models"
    write_parsing(models / "facefusion" / "network.onnx", {0: (110, 80, 60), 1: (230, 200, 190)}, side=128)
    write_parsing(models / "styleswap" / "masks" / "seven.onnx", {0: (0, 0, 0)}, classes=7, side=64)
    write_occlusion(models / "xseg" / "nothing is visible.onnx", side=64, level=0.0)
    write_occlusion(models / "face_parsing" / "all is visible.onnx", side=64)
    yield
    for folder in ("facefusion", "styleswap/masks", "xseg", "face_parsing"):
        for file in (models / folder).glob("*.onnx"):
            file.unlink()


@pytest.fixture
def prompt(networks, own_nodes):
    """Function that returns a small prompt whose Swap Face gets masks, with probes of its results."""

    def make(keep=None, swap=None, **masks):
        made = small_prompt(**(swap or {}))
        key = only(made, SWAP)
        made["masks"] = {"class_type": MASKS, "inputs": default_inputs(own_nodes[MASKS]) | masks}
        made[key]["inputs"]["masks"] = ["masks", 0]
        if keep:
            made["keep"] = {"class_type": "Probe_Mask", "inputs": {"value": target_link(), "kind": keep}}
            made[key]["inputs"]["keep"] = ["keep", 0]
        made = with_probe(with_probe(made, "mask", [key, 1], mask=True), "target", target_link())
        return {**made, "info": {"class_type": "PreviewAny", "inputs": {"source": ["masks", 1]}}}

    return make


def test_networks_are_listed_by_kind_wherever_they_lie(server, networks):
    inputs = server.get(f"/object_info/{MASKS}")[MASKS]["input"]["required"]
    choices = {name: inputs[name][1]["options"] if inputs[name][0] == "COMBO" else inputs[name][0] for name in inputs}
    assert choices["parsing"] == ["none", "network.onnx", "seven.onnx"]
    assert choices["occlusion"] == ["none", "all is visible.onnx", "nothing is visible.onnx"]


def test_masks_limit_what_is_swapped(server, prompt):
    whole = server.run(prompt())
    assert whole.texts("info") == ["outline: automatic"]
    mask = whole.pixels("mask").astype(int)
    assert mask.max() == 255

    hidden = server.run(prompt(occlusion="nothing is visible.onnx"))
    assert hidden.pixels("mask").max() == 0
    assert np.array_equal(hidden.pixels("shown"), hidden.pixels("target"))
    info = hidden.texts("info")[0]
    assert "occlusion: nothing is visible.onnx, runs on the CPUExecutionProvider" in info

    for limited in (
        prompt(parsing="network.onnx", regions="skin", occlusion="all is visible.onnx"),
        prompt(outline="mouth"),
        prompt(swap={"mask_padding": 0.3, "mask_edge": 0.1}),
    ):
        part = server.run(limited).pixels("mask").astype(int)
        assert (part <= mask + 1).all() and 0 < part.sum() < 0.95 * mask.sum()


@pytest.mark.parametrize(("kind", "kept"), [("all", True), ("of another size", True), ("of Load Image", False)])
def test_keep_returns_the_target(server, prompt, kind, kept):
    run = server.run(prompt(keep=kind))
    assert (run.pixels("mask").max() == 0) == kept
    assert np.array_equal(run.pixels("shown"), run.pixels("target")) == kept


def test_masks_to_keep_that_match_no_frames_are_refused(server, prompt):
    entry = server.await_end(server.queue(prompt(keep="one frame more")))
    assert "expected one mask to keep, or one for each of 1 frames, got 2" in error_message(entry)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"regions": "skin,forehead"}, "got 'forehead'"),
        ({"regions": ""}, "got none"),
        ({"outline": "left"}, "expected outline to be one of automatic"),
        ({"parsing": "gone.onnx"}, "is not in "),
    ],
)
def test_wrong_values_are_refused_before_the_run(server, prompt, values, message):
    alone = {key: node for key, node in prompt(**values).items() if key in ("masks", "info")}
    status, answer = server.post("/prompt", {"prompt": alone})
    assert status == 400 and message in str(answer["node_errors"]["masks"])


def test_a_network_with_other_classes_says_what_to_do(server, prompt):
    entry = server.await_end(server.queue(prompt(parsing="seven.onnx")))
    message = error_message(entry)
    assert message.startswith(f"{MASKS}: ") and "has 7 classes; give the numbers" in message
