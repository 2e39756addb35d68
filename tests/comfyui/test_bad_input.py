"""Unusual input, damaged files and full disks: the run continues, or a one-line error says what to do."""

import numpy as np
import pytest
from comfy_server import PACK, Run, error_message
from workflow_files import SWAP, default_inputs, load_prompt, only, small_prompt, target_link, with_probe

from styleswap_core.checkpoints import DEMO_MODEL, load_generator

EXTRACT, DETECT, BLEND, INVERT, SAVE_IMAGE, SAVE_IDENTITY, LOAD_IDENTITY, COMPARE, MIX, LIST = (
    f"StyleSwap_{name}"
    for name in (
        "ExtractArcFaceID",
        "DetectFaces",
        "BlendWithMask",
        "InvertIdentity",
        "SaveImage",
        "SaveIdentity",
        "LoadIdentity",
        "CompareIdentity",
        "BlendIdentities",
        "IdentityList",
    )
)
# Every input that takes images, and every one that takes an identity.
IMAGES = [
    (SWAP, "image"),
    (EXTRACT, "image"),
    (EXTRACT, "image_2"),
    (DETECT, "image"),
    (BLEND, "target"),
    (BLEND, "swapped"),
    (INVERT, "source"),
    (INVERT, "guides"),
    (SAVE_IMAGE, "images"),
]
IDENTITIES = [
    (SWAP, "identity"),
    (SWAP, "reference"),
    (COMPARE, "identity_b"),
    (MIX, "identity_2"),
    (DETECT, "reference"),
    (SAVE_IDENTITY, "identity"),
    (LIST, "identity_2"),
]
RECOGNIZER_SHA256 = load_generator(DEMO_MODEL)[1]["recognizer_sha256"]
PROBES = {"IMAGE": "Probe_Picture", "MASK": "Probe_Mask"}


@pytest.fixture
def entry_of(server, own_nodes):
    """Function that runs a node in a workflow with a swap and one bad input, and returns the history entry."""
    base = small_prompt(frames=2)
    swap = only(base, SWAP)
    links = {key: value for key, value in base[swap]["inputs"].items() if isinstance(value, list)}
    links |= {"swapped": [swap, 0], "mask": [swap, 1], "images": [swap, 0], "target": target_link()}
    links |= dict.fromkeys(("source", "guides", "image_2"), links["image"])
    links |= dict.fromkeys(("identity_a", "identity_b", "identity_1", "identity_2", "reference"), links["identity"])

    def entry(node, spoiled, kind, **values):
        groups = own_nodes[node]["input"]
        inputs = (
            default_inputs(own_nodes[node]) | {key: links[key] for key in groups["required"] if key in links} | values
        )
        sort, *_ = {**groups["required"], **groups.get("optional", {})}[spoiled]
        # The probe derives masks from the images that they belong to.
        value = links["target"] if sort == "MASK" else links[spoiled]
        spoil = {"class_type": PROBES.get(sort, "Probe_Identity"), "inputs": {"value": value, "kind": kind}}
        prompt = {**base, "spoiled": spoil, "node": {"class_type": node, "inputs": {**inputs, spoiled: ["spoiled", 0]}}}
        for number, given in enumerate(own_nodes[node]["output"]):
            if given == "IMAGE":
                prompt = with_probe(prompt, f"picture-{number}", ["node", number])
            else:
                prompt[f"text-{number}"] = {"class_type": "PreviewAny", "inputs": {"source": ["node", number]}}
        return server.await_end(server.queue(prompt))

    return entry


def _error_line(entry, node):
    """Message of a failed node, which must be a single line."""
    message = error_message(entry)
    assert entry["status"]["status_str"] == "error" and message.startswith(f"{node}: "), message
    text = message.removeprefix(f"{node}: ").strip()
    assert len(text) > 30 and "\n" not in text, message
    return text


def _succeeded(server, entry):
    assert entry["status"]["status_str"] == "success", error_message(entry)
    return Run(server, entry)


@pytest.mark.parametrize("kind", ["empty", "one channel"])
@pytest.mark.parametrize(("node", "spoiled"), IMAGES)
def test_a_tensor_that_is_no_batch_of_images_is_refused(entry_of, node, spoiled, kind):
    text = _error_line(entry_of(node, spoiled, kind), node)
    assert "expected" in text and ("(0, " if kind == "empty" else ", 1)") in text


@pytest.mark.parametrize("kind", ["transparent", "half precision", "not a number", "out of range"])
@pytest.mark.parametrize(("node", "spoiled"), IMAGES)
def test_unusual_images_are_accepted(server, entry_of, node, spoiled, kind):
    # With guides, none need to be rendered.
    values = {"steps": 1, "guides": target_link()} if node == INVERT else {}
    run = _succeeded(server, entry_of(node, spoiled, kind, **values))
    if node in (SWAP, DETECT, BLEND):
        assert run.pixels("picture-0").shape[:3] == (2, 192, 192)
    if node == SWAP:
        clipped = kind in ("not a number", "out of range")
        assert ("values outside 0..1 or NaN were replaced in frames 0, 1" in run.texts("text-3")[0]) == clipped


@pytest.mark.parametrize(
    ("spoiled", "kind", "words"),
    [
        ("mask", "empty", "masks"),
        ("mask", "one frame more", "got 3"),
        ("keep", "one frame more", "got 3"),
        ("swapped", "scaled", "96 x 96"),
        ("swapped", "twice", "got 4"),
    ],
)
def test_batches_that_do_not_match_are_refused(entry_of, spoiled, kind, words):
    assert words in _error_line(entry_of(BLEND, spoiled, kind), BLEND)


@pytest.mark.parametrize(
    ("kind", "everywhere"), [("all", True), ("of another size", True), ("of Load Image", True), ("not a number", False)]
)
def test_unusual_masks_are_accepted(server, entry_of, kind, everywhere):
    run = _succeeded(server, entry_of(BLEND, "mask", kind, feather=0.0))
    assert np.array_equal(run.pixels("picture-0"), run.pixels("shown")) == everywhere


@pytest.mark.parametrize(("node", "spoiled"), IDENTITIES[:5])
def test_identities_of_another_recognizer_are_refused(entry_of, node, spoiled):
    values = {"faces": "by likeness"} if spoiled == "reference" and node == SWAP else {}
    text = _error_line(entry_of(node, spoiled, "of another recognizer", **values), node)
    assert "another (sha256 0000" in text and f"arcface_demo (sha256 {RECOGNIZER_SHA256[:16]})" in text


def test_a_face_model_requires_its_recognizer(server, entry_of):
    text = _error_line(
        entry_of(SAVE_IDENTITY, "identity", "as it is", file_format="ReActor face model", filename="a_face_model"),
        SAVE_IDENTITY,
    )
    assert "w600k_r50" in text
    assert not (server.base / "models" / "reactor" / "faces" / "a_face_model.safetensors").exists()


def test_an_inversion_for_another_model_is_refused(entry_of):
    assert "another model" in _error_line(entry_of(SWAP, "identity", "inverted for another model"), SWAP)


@pytest.mark.parametrize(("node", "spoiled"), IDENTITIES)
def test_an_empty_list_is_refused(entry_of, node, spoiled):
    values = {"faces": "by likeness"} if spoiled == "reference" and node == SWAP else {}
    assert "expected an identity, got an empty list" in _error_line(
        entry_of(node, spoiled, "empty list", **values), node
    )


@pytest.mark.parametrize(
    ("node", "spoiled"), [case for case in IDENTITIES if case[1] != "reference" and case[0] != LIST]
)
def test_none_on_a_required_input_is_refused(entry_of, node, spoiled):
    assert f"the node connected to {spoiled} returned nothing" in _error_line(entry_of(node, spoiled, "nothing"), node)


@pytest.mark.parametrize(("node", "spoiled"), [(DETECT, "reference"), (LIST, "identity_2")])
def test_none_on_an_optional_input_counts_as_unconnected(server, entry_of, node, spoiled):
    _succeeded(server, entry_of(node, spoiled, "nothing"))


@pytest.fixture
def tiny_disks(server):
    if not server.tiny_disks:
        pytest.skip("mounting a disk for a single process requires unprivileged mount namespaces")
    return server.tiny_disks


def test_a_full_disk_keeps_saved_identities_intact(server, entry_of, tiny_disks):
    disk, _ = tiny_disks
    saved = []
    for number in range(8):
        entry = entry_of(SAVE_IDENTITY, "identity", "as it is", filename=f"tiny/{number}")
        if entry["status"]["status_str"] == "error":
            break
        saved.append(f"{number}.safetensors")
    assert saved
    text = _error_line(entry, SAVE_IDENTITY)
    assert "No space left" in text and "make room" in text
    files = server.on_tiny_disk(disk)
    assert [file.name for file in files] == saved, "a partial file was left"
    whole = files[0].read_bytes()
    _error_line(
        entry_of(SAVE_IDENTITY, "identity", "inverted for another model", filename="tiny/0", if_exists="overwrite"),
        SAVE_IDENTITY,
    )
    assert files[0].read_bytes() == whole, "the old file has changed"
    load = {"class_type": LOAD_IDENTITY, "inputs": {"identity_file": f"tiny/{saved[-1]}"}}
    info = server.run({"load": load, "info": {"class_type": "PreviewAny", "inputs": {"source": ["load", 1]}}})
    assert "recognizer arcface_demo" in info.texts("info")[0]


def test_a_full_disk_leaves_no_partial_image(server, entry_of, tiny_disks):
    _, disk = tiny_disks
    text = _error_line(entry_of(SAVE_IMAGE, "images", "twice", filename_prefix="tiny/picture"), SAVE_IMAGE)
    assert "No space left" in text
    assert server.on_tiny_disk(disk) == []


@pytest.mark.parametrize("content", [b"", b"not an identity", None])
def test_the_error_names_a_damaged_identity_file(server, content):
    path = server.base / "models" / "styleswap" / "identities" / "damaged.safetensors"
    if content is None:
        # Truncated, like an interrupted copy.
        content = (PACK / "styleswap_core" / "assets" / "generator.safetensors").read_bytes()[:2000]
    path.write_bytes(content)
    load = {"class_type": LOAD_IDENTITY, "inputs": {"identity_file": path.name}}
    prompt = {"load": load, "info": {"class_type": "PreviewAny", "inputs": {"source": ["load", 1]}}}
    assert path.name in _error_line(server.await_end(server.queue(prompt)), LOAD_IDENTITY)
    path.unlink()
    status, answer = server.post("/prompt", {"prompt": prompt})
    assert status == 400 and path.name in str(answer)


def test_faces_of_a_gender_need_a_pack_that_estimates_it(entry_of):
    message = error_message(entry_of(DETECT, "image", "twice", gender="female"))
    assert "a choice by gender or age needs a face analysis pack with genderage.onnx" in message
    assert entry_of(DETECT, "image", "twice", gender="any", min_age=0)["status"]["status_str"] == "success"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"credentials": "on"}, "no certificate to sign with; start ComfyUI with STYLESWAP_CERTIFICATE"),
        ({"target_file": "../server.log"}, "expected target_file to be a file in ComfyUI's input folder"),
    ],
)
def test_images_that_cannot_be_signed_as_asked_are_not_saved(server, values, words):
    prompt = load_prompt("01_first_swap")
    key = only(prompt, SAVE_IMAGE)
    prompt[key]["inputs"] |= {"filename_prefix": "unsigned/a", **values}
    assert words in _error_line(server.await_end(server.queue(prompt)), SAVE_IMAGE)
    assert not (server.base / "output" / "unsigned" / "a_00001_.png").exists()
