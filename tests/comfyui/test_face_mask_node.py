"""Face Mask, and masks and segments that choose the faces of a swap."""

import numpy as np
import pytest
from comfy_server import error_message
from mask_forms import write_parsing
from workflow_files import SWAP, SYNTHETIC, default_inputs, only, small_prompt, target_link, with_probe

ANALYSIS, MASK, LOAD_MASKS = "StyleSwap_LoadFaceAnalysis", "StyleSwap_FaceMask", "StyleSwap_LoadFaceMasks"


@pytest.fixture
def graph(own_nodes):
    """Function that returns a prompt in which Face Mask masks the target's frames and Swap Face swaps in the mask."""

    def make(frames=2, swap=None, **given):
        prompt = small_prompt(frames=frames)
        prompt[only(prompt, SYNTHETIC)]["inputs"]["people"] = 2
        source = {"image": target_link(), "face_analysis": [only(prompt, ANALYSIS), 0]}
        prompt["mask"] = {"class_type": MASK, "inputs": default_inputs(own_nodes[MASK]) | source | given}
        prompt[only(prompt, SWAP)]["inputs"] |= {"faces": "all", **(swap or {})}
        prompt["report"] = {"class_type": "PreviewAny", "inputs": {"source": ["mask", 2]}}
        prompt = with_probe(prompt, "masks", ["mask", 0], mask=True)
        return with_probe(prompt, "target", target_link())

    return make


def _changed(run):
    """Share of the left and right half of each frame that the swap changed."""
    changed = np.abs(run.pixels("shown").astype(int) - run.pixels("target")).max(-1) > 8
    half = changed.shape[2] // 2
    return [(float(frame[:, :half].mean()), float(frame[:, half:].mean())) for frame in changed]


def test_a_mask_of_one_face_restricts_the_swap(server, graph):
    prompt = graph(faces="by index", index="1", order="left-right", swap={"only_in": ["mask", 0]})
    run = server.run(prompt)
    masks = run.pixels("masks")[..., 0]
    half = masks.shape[2] // 2
    assert masks.shape[0] == 2 and masks[:, :, half:].max() == 255 and masks[:, :, : half // 2].max() == 0
    assert all(left == 0 and right > 0.02 for left, right in _changed(run))
    assert run.texts("report") == ["masked 2 faces in 2 of 2 frames"]
    everyone = graph(one_mask_per="face", regions="eyes,mouth", grow=0.02, feather=0.02)
    assert server.run(everyone).pixels("masks").shape[0] == 4


def test_segments_restrict_the_swap_and_other_values_do_not_pass(server, graph):
    one = graph(frames=1, faces="by index", index="0", order="left-right", swap={"segs": ["mask", 1]})
    ((left, right),) = _changed(server.run(one))
    assert left > 0.02 and right == 0
    # A value of another pack under the name of SEGS.
    wrong = graph(frames=1, swap={"segs": ["wrong", 0]})
    wrong["wrong"] = {"class_type": "Probe_Segs", "inputs": {"kind": "nothing", "value": target_link()}}
    message = error_message(server.await_end(server.queue(wrong)))
    assert "expected SEGS, a size and a list of segments" in message and "\n" not in message.strip()
    detector = graph(frames=1, swap={"segs": ["boxes", 0]})
    detector["boxes"] = {"class_type": "Probe_Segs", "inputs": {"kind": "right half", "value": target_link()}}
    ((left, right),) = _changed(server.run(detector))
    assert left == 0 and right > 0.02


def test_regions_of_a_parsing_network_and_what_does_not_fit(server, graph, own_nodes):
    file = server.base / "models" / "face_parsing" / "regions.onnx"
    write_parsing(file, {0: (110, 80, 60), 17: (230, 200, 190)}, side=128)
    try:
        parsed = graph(frames=1, regions="hair", masks=["networks", 0])
        loaded = default_inputs(own_nodes[LOAD_MASKS]) | {"parsing": "regions.onnx"}
        parsed["networks"] = {"class_type": LOAD_MASKS, "inputs": loaded}
        assert server.run(parsed).pixels("masks").max() == 255
    finally:
        file.unlink()
    wrong = {
        "the region hair needs a face parsing network": graph(frames=1, regions="hair"),
        "no faces to mask: connect Load Face Analysis": graph(frames=1, face_analysis=None),
    }
    del wrong["no faces to mask: connect Load Face Analysis"]["mask"]["inputs"]["face_analysis"]
    for message, prompt in wrong.items():
        found = error_message(server.await_end(server.queue(prompt)))
        assert message in found and "\n" not in found.strip()
    nobody = graph(frames=1)
    nobody["gray"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 40, "height": 30, "batch_size": 1, "color": 0x808080},
    }
    nobody["mask"]["inputs"] |= {"image": ["gray", 0], "one_mask_per": "face"}
    run = server.run(nobody)
    assert run.pixels("masks").shape[:3] == (1, 30, 40) and run.pixels("masks").max() == 0
    assert run.texts("report") == ["masked 0 faces in 0 of 1 frame\nframe 0: no face found"]
