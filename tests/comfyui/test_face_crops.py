"""Align Faces and Paste Faces: crops leave the graph's images, are changed by other nodes, and come back."""

from pathlib import Path

import numpy as np
import pytest
from comfy_server import error_message
from workflow_files import PASTE, SWAP, SYNTHETIC, default_inputs, only, small_prompt, target_link, with_probe

from styleswap_core.cli import main
from styleswap_core.io.images import load_image, save_image

ANALYSIS, ALIGN = "StyleSwap_LoadFaceAnalysis", "StyleSwap_AlignFaces"
GRAY = {"class_type": "EmptyImage", "inputs": {"width": 192, "height": 192, "batch_size": 1, "color": 0x808080}}


def _graph(infos, between=(), align=None, paste=None, frames=2):
    """Prompt that cuts the faces out of the target's frames, and pastes them back after the nodes in between.

    Args:
        infos: `/object_info` of the pack's nodes.
        between: Classes and widgets of nodes that take and return an image `image`.
        align: Inputs of Align Faces.
        paste: Inputs of Paste Faces.
        frames: Number of frames.
    """
    prompt = small_prompt(frames=frames)
    analysis, target = only(prompt, ANALYSIS), target_link()
    given = {"image": target, "face_analysis": [analysis, 0], "size": 128, **(align or {})}
    prompt["align"] = {"class_type": ALIGN, "inputs": default_inputs(infos[ALIGN]) | given}
    crops = ["align", 0]
    for number, (kind, widgets) in enumerate(between):
        prompt[f"between-{number}"] = {"class_type": kind, "inputs": {"image": crops, **widgets}}
        crops = [f"between-{number}", 0]
    given = {"target": target, "crops": crops, "faces": ["align", 1], **(paste or {})}
    prompt["paste"] = {"class_type": PASTE, "inputs": default_inputs(infos[PASTE]) | given}
    prompt["report"] = {"class_type": "PreviewAny", "inputs": {"source": ["align", 3]}}
    for key, link in {"target": target, "crops": ["align", 0], "pasted": ["paste", 0]}.items():
        prompt = with_probe(prompt, key, link)
    prompt = with_probe(with_probe(prompt, "share", ["paste", 1], mask=True), "face", ["align", 2], mask=True)
    return _without_swap(prompt)


def _without_swap(prompt):
    """The prompt without the swap of `small_prompt`, which nothing else needs here."""
    swap = only(prompt, SWAP)
    return {key: node for key, node in prompt.items() if key not in (swap, "shown")}


def _failure(server, prompt):
    message = error_message(server.await_end(server.queue(prompt)))
    assert "\n" not in message.strip(), message
    return message


SCALED = [("ImageScaleBy", {"upscale_method": method, "scale_by": 4.0}) for method in ("lanczos", "bicubic", "area")]


@pytest.mark.parametrize("between", [[], *([one] for one in SCALED)], ids=["as cut", "lanczos", "bicubic", "area"])
def test_unchanged_crops_give_back_the_target(server, own_nodes, between):
    run = server.run(_graph(own_nodes, between))
    assert run.pixels("crops").shape == (2, 128, 128, 3)
    assert np.abs(run.pixels("pasted").astype(int) - run.pixels("target")).max() <= 1
    assert run.pixels("share").max() == 0
    assert run.texts("report")[0].startswith("cut out 2 faces in 2 of 2 frames\nframe 0: crops 0")


def test_changed_crops_arrive_within_their_mask(server, own_nodes):
    inverted = [("ImageInvert", {})]
    run = server.run(_graph(own_nodes, inverted, paste={"mask": ["align", 2], "feather": 0.0}))
    target, pasted, share = (run.pixels(key).astype(int) for key in ("target", "pasted", "share"))
    outside = share[..., 0] == 0
    assert 0.3 < outside.mean() < 0.99
    assert np.abs(pasted - target)[outside].max() <= 1
    assert np.abs(pasted - (255 - target))[share[..., 0] > 240].mean() < 20


def test_the_commands_do_the_same_with_files(server, own_nodes, tmp_path, monkeypatch):
    options = {"mask": ["align", 2], "feather": 6.0, "grow": 2, "color_match": "linear", "color_strength": 0.5}
    prompt = _graph(own_nodes, [("ImageInvert", {})], paste=options, frames=1)
    file = server.base / "input" / "crops.png"
    save_image(file, server.run(prompt).pixels("target")[0])
    prompt["file"] = {"class_type": "LoadImage", "inputs": {"image": file.name}}
    for key, name in (("align", "image"), ("paste", "target"), ("target", "images")):
        prompt[key]["inputs"][name] = ["file", 0]
    run = server.run(prompt)
    monkeypatch.chdir(tmp_path)
    words = ["--target", str(file), "--size", "128"]
    assert main(["align", *words, "--out", "crops", "--mask-out", "masks"]) == 0
    crop = load_image(path := Path("crops", "crops_face0.png"))
    assert np.abs(crop.astype(int) - run.pixels("crops")[0]).max() <= 1
    save_image(path, 255 - crop)
    blend = ["--feather", "6", "--grow", "2", "--color-match", "linear", "--color-strength", "0.5", "--mask", "masks"]
    assert main(["paste", *words[:2], "--crops", "crops", "--out", "pasted.png", *blend]) == 0
    pasted = load_image("pasted.png").astype(int)
    assert np.abs(pasted - run.pixels("pasted")[0]).max() <= 2
    assert np.abs(pasted - run.pixels("target")[0]).max() > 50


def test_frames_without_a_face_stay(server, own_nodes):
    prompt = _graph(own_nodes, [("ImageInvert", {})], frames=1)
    target = target_link()
    prompt |= {
        "gray": GRAY,
        "frames": {"class_type": "ImageBatch", "inputs": {"image1": ["gray", 0], "image2": target}},
    }
    for key, name in (("align", "image"), ("paste", "target"), ("target", "images")):
        prompt[key]["inputs"][name] = ["frames", 0]
    run = server.run(prompt)
    changed = np.abs(run.pixels("pasted").astype(int) - run.pixels("target")).max((1, 2, 3))
    assert changed[0] == 0 and changed[1] > 50
    assert "frame 0: no face found" in run.texts("report")[0]
    for key, name in (("align", "image"), ("paste", "target"), ("target", "images")):
        prompt[key]["inputs"][name] = ["gray", 0]
    alone = server.run(prompt)
    assert np.array_equal(alone.pixels("pasted"), alone.pixels("target")) and alone.pixels("crops").max() == 0


@pytest.fixture(scope="module")
def swapped(own_nodes):
    """Prompt in which the crops of Swap Face are cut again at 256 px, and pasted into the target."""
    prompt = small_prompt(frames=2)
    swap = only(prompt, SWAP)
    again = {"image": [swap, 0], "known_faces": [swap, 5], "size": 256}
    prompt["align"] = {"class_type": ALIGN, "inputs": default_inputs(own_nodes[ALIGN]) | again}
    for key, crops, faces in (("direct", [swap, 2], [swap, 5]), ("again", ["align", 0], ["align", 1])):
        given = {"target": target_link(), "crops": crops, "faces": faces, "feather": 0.0}
        prompt[key] = {"class_type": PASTE, "inputs": default_inputs(own_nodes[PASTE]) | given}
        prompt = with_probe(prompt, f"{key}-shown", [key, 0])
    return with_probe(prompt, "target", target_link())


def test_the_crops_of_a_swap_give_the_swap(server, swapped):
    run = server.run(swapped)
    target, swap = run.pixels("target").astype(int), run.pixels("shown").astype(int)
    moved = np.abs(swap - target).mean()
    for key in ("direct", "again"):
        assert np.abs(run.pixels(f"{key}-shown") - swap).mean() < 0.15 * moved, key


def test_what_does_not_fit_is_one_sentence(server, own_nodes):
    two = _graph(own_nodes)
    wrong = {
        "expected 2 crops, one for each face, got 1": {"crops": ("ImageFromBatch", {"batch_index": 0, "length": 1})},
        "square crops of at least 8 px, got 1 x 1": {
            "crops": ("ImageScale", {"upscale_method": "area", "width": 1, "height": 1, "crop": "disabled"})
        },
        "square crops of at least 8 px, got 64 x 32": {
            "crops": ("ImageScale", {"upscale_method": "area", "width": 64, "height": 32, "crop": "disabled"})
        },
        "expected a picture of 192 x 192, in which the faces were found, got 96 x 96": {
            "target": ("ImageScaleBy", {"upscale_method": "area", "scale_by": 0.5})
        },
        "expected 2 frames, in which the faces were found, got 1": {
            "target": ("ImageFromBatch", {"batch_index": 0, "length": 1})
        },
        "frame 0 is not the picture in which the faces were found": {"target": ("ImageInvert", {})},
    }
    for message, changes in wrong.items():
        prompt = {**two, "paste": {**two["paste"], "inputs": dict(two["paste"]["inputs"])}}
        for name, (kind, widgets) in changes.items():
            given = prompt["paste"]["inputs"][name]
            prompt[f"wrong-{name}"] = {"class_type": kind, "inputs": {"image": given, **widgets}}
            prompt["paste"]["inputs"][name] = [f"wrong-{name}", 0]
        assert message in _failure(server, prompt)
    none = _graph(own_nodes)
    del none["align"]["inputs"]["face_analysis"]
    assert "no faces to cut out: connect Load Face Analysis" in _failure(server, none)


@pytest.mark.parametrize("kind", ["all", "of another size", "of Load Image", "one frame more", "empty"])
def test_masks_of_any_size(server, own_nodes, kind):
    prompt = _graph(own_nodes, [("ImageInvert", {})], paste={"mask": ["given", 0]})
    prompt["given"] = {"class_type": "Probe_Mask", "inputs": {"value": ["align", 0], "kind": kind}}
    if kind in ("one frame more", "empty"):
        assert "mask" in _failure(server, prompt)
    else:
        assert server.run(prompt).pixels("share").max() > 250


def test_interrupt(server, own_nodes):
    prompt = _graph(own_nodes, frames=2)
    prompt[only(prompt, SYNTHETIC)]["inputs"]["target_person"] = 4567
    prompt["clip"] = {"class_type": "RepeatImageBatch", "inputs": {"image": target_link(), "amount": 60}}
    prompt["align"]["inputs"]["image"] = prompt["paste"]["inputs"]["target"] = ["clip", 0]
    prompt_id = server.queue(prompt)
    server.await_working(prompt_id, "align")
    entry, steps = server.interrupt(prompt_id, "align")
    assert error_message(entry) == "interrupted" and steps <= 1
