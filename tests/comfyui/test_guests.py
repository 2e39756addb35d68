"""Networks of other programs in a real ComfyUI: a small network of each family's form."""

import shutil
import sys
import time

import numpy as np
import pytest
import torch
from comfy_server import PACK, ComfyServer, error_message, link_pack
from PIL import Image
from workflow_files import SWAP, only

from styleswap_core import Swapper, load_face_analysis, load_model
from styleswap_core.identities.extraction import extract_identity
from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.synthetic.scene import SyntheticScene

sys.path.append(str(PACK / "tests" / "swappers"))

import guest_forms as forms

HERE = PACK / "tests" / "comfyui"
LOAD, INVERT = "StyleSwap_LoadModel", "StyleSwap_InvertIdentity"
# Choice in Load StyleSwap Model -> folder, and writer of the file. ReSwapper's lacks the matrix, which inswapper's has.
NETWORKS = {
    "inswapper_128.onnx": ("insightface", forms.write_inswapper),
    "inswapper_128_fp16.onnx": ("insightface", lambda path: forms.write_inswapper(path, half=True)),
    "reswapper_256.onnx": ("reswapper", lambda path: forms.write_inswapper(path, size=256, emap=None)),
    "hyperswap_1a_256.onnx": ("hyperswap", forms.write_hyperswap),
    "ghost_1_256.onnx": ("styleswap", forms.write_ghost),
    "simswap_unofficial_512.onnx": ("styleswap", lambda path: forms.write_vector_form(path, size=512)),
    "nested/blendswap_256.onnx": ("styleswap", forms.write_blendswap),
    "uniface_256.onnx": ("styleswap", forms.write_uniface),
    "someone.dfm": ("styleswap", forms.write_dfm),
}
# In two folders.
TWICE = "hyperswap_1b_256.onnx"
RENAMED, OTHER, NO_CONVERTER = "renamed.onnx", "recognizer.onnx", "hififace_unofficial_256.onnx"


@pytest.fixture(scope="module")
def guests(tmp_path_factory):
    """A server with networks in all folders, and a source and a target in its input folder."""
    base = tmp_path_factory.mktemp("guests")
    link_pack(base)
    (base / "custom_nodes" / "probe_pack").symlink_to(HERE / "probe_pack", target_is_directory=True)
    models, own = base / "models", base / "models" / "styleswap"
    for name, (folder, write) in NETWORKS.items():
        path = models / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    for folder in ("hyperswap", "reswapper"):
        forms.write_hyperswap(models / folder / TWICE)
    forms.write_ghost(own / RENAMED)
    forms.write_ghost(own / NO_CONVERTER)
    (own / "masks").mkdir()
    forms.write_converter(own / "masks" / "mask.onnx")
    for place in (own / OTHER, models / "hyperswap" / "crossface_ghost.onnx", own / "crossface_simswap.onnx"):
        forms.write_converter(place)
    (base / "input").mkdir()
    scene = SyntheticScene(size=256)
    for name, picture in (("source", next(scene.source_photos())), ("target", scene.target_frame(0)[0])):
        save_image(base / "input" / f"{name}.png", to_uint8(picture[None])[0])
    with ComfyServer(base) as server:
        yield server


def prompt_for(model, **options):
    """A swap with a model; `options` are for the loader and Swap Face."""
    loader = {name: options.pop(name) for name in ("family", "any_recognizer") if name in options}
    return {
        "model": {"class_type": LOAD, "inputs": {"model_name": model, "any_recognizer": True, **loader}},
        "pack": {
            "class_type": "StyleSwap_LoadFaceAnalysis",
            "inputs": {
                "pack": "demo (built in)",
                "detection_size": "automatic",
                "detection_threshold": 0.5,
                "run_on": "CPU",
                "download": False,
            },
        },
        "source": {"class_type": "LoadImage", "inputs": {"image": "source.png"}},
        "target": {"class_type": "LoadImage", "inputs": {"image": "target.png"}},
        "person": {
            "class_type": "StyleSwap_ExtractArcFaceID",
            "inputs": {
                "face_analysis": ["pack", 0],
                "image": ["source", 0],
                "faces": "largest",
                "index": 0,
                "order": "largest",
                "combine": "average",
                "outliers": "keep",
            },
        },
        "swap": {
            "class_type": SWAP,
            "inputs": {
                "model": ["model", 0],
                "face_analysis": ["pack", 0],
                "identity": ["person", 0],
                "image": ["target", 0],
                "faces": "largest",
                "index": "0",
                "order": "largest",
                "likeness": 0.3,
                "strength": 1.0,
                "mask_grow": 0,
                "mask_feather": 0.0,
                "on_missing": "error",
                "batch_size": 8,
                **options,
            },
        },
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["swap", 0]}},
        "info": {"class_type": "PreviewAny", "inputs": {"source": ["model", 1]}},
        "report": {"class_type": "PreviewAny", "inputs": {"source": ["swap", 3]}},
        "mark": {"class_type": "PreviewAny", "inputs": {"source": ["swap", 4]}},
    }


def message_of(server, prompt):
    return error_message(server.await_end(server.queue(prompt)))


def swapped_by_core(server, name):
    """What the core makes of the same pictures, as the preview stores it."""
    path = server.base / "models" / NETWORKS[name][0] / name
    analysis, folders = load_face_analysis(), [server.base / "models" / name for name in ("insightface", "hyperswap")]
    identity, _ = extract_identity([server.base / "input" / "source.png"], analysis)
    model = load_model(path, "cpu", folders=folders, any_recognizer=True)
    picture = np.array(Image.open(server.base / "input" / "target.png").convert("RGB"))
    frames = torch.from_numpy(picture)[None].float() / 255.0
    images = Swapper(model, analysis).swap_batch(frames, identity).images
    return (images * 255.0).clamp(0, 255).numpy().astype(np.uint8), picture


def test_the_menu_lists_the_networks_in_all_folders(guests):
    menu = guests.get(f"/object_info/{LOAD}")[LOAD]["input"]
    names = menu["required"]["model_name"][1].get("options") or menu["required"]["model_name"][0]
    assert {*NETWORKS, RENAMED, OTHER, NO_CONVERTER, f"hyperswap/{TWICE}", f"reswapper/{TWICE}"} <= set(names)
    # Converters and mask networks are no swapping networks, wherever they lie.
    assert not [name for name in names if "crossface" in name or "mask" in name]
    families = menu["optional"]["family"][1].get("options") or menu["optional"]["family"][0]
    assert families[0] == "automatic" and {"inswapper", "hyperswap", "dfm"} <= set(families)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_family_swaps_as_in_the_core(guests, name):
    run = guests.run(prompt_for(name))
    expected, target = swapped_by_core(guests, name)
    shown = run.pixels("shown")
    assert np.abs(expected.astype(int) - target).max() > 20, "nothing was swapped"
    assert np.abs(shown.astype(int) - expected).max() <= 1
    (info,), (mark,) = run.texts("info"), run.texts("mark")
    lines = info.splitlines()
    family = name.split("/")[-1].split("_")[0] if name != "someone.dfm" else "dfm"
    assert lines[0].startswith(f"{name}: ") and lines[1].startswith(f"family: {family}")
    assert "runs on: CPUExecutionProvider" in lines and any(line.startswith("license: ") for line in lines)
    assert mark.startswith(f"face swapped; model {name.split('/')[-1].rsplit('.', 1)[0]} (")


def test_resolution_is_chosen_and_reported(guests):
    chosen = {
        resolution: guests.run(prompt_for("inswapper_128.onnx", resolution=resolution)).texts("report")[0]
        for resolution in ("automatic", "4x")
    }
    assert "resolution 2x" in chosen["automatic"] and "resolution 4x" in chosen["4x"]


def test_unloading_closes_the_session_and_the_next_run_opens_it(guests):
    name = "hyperswap_1a_256.onnx"
    first = guests.run(prompt_for(name)).pixels("shown")
    assert guests.get("/probe/guests")["open"] >= 1
    assert "GuestPlaceholder" in guests.get("/probe/models")["loaded"]
    guests.post("/free", {"unload_models": True})
    # ComfyUI unloads in the thread that runs prompts.
    deadline = time.monotonic() + 120
    while guests.get("/probe/models")["loaded"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert guests.get("/probe/models")["loaded"] == []
    assert guests.get("/probe/guests")["open"] == 0
    again = guests.run(prompt_for(name, batch_size=7))
    assert "model" in again.cached(), "the node must not load the model anew"
    assert np.array_equal(again.pixels("shown"), first)


def test_a_file_of_several_possible_families_asks_for_the_family(guests):
    assert "choose the family" in message_of(guests, prompt_for(RENAMED))
    run = guests.run(prompt_for(RENAMED, family="ghost"))
    assert "family: ghost" in run.texts("info")[0]
    assert "no network of the family uniface" in message_of(guests, prompt_for(RENAMED, family="uniface"))
    assert "has no family" in message_of(guests, prompt_for("demo (built in)", family="ghost"))


def test_other_files_and_missing_parts_are_one_sentence(guests):
    message = message_of(guests, prompt_for(OTHER))
    assert "expected a swapping network" in message and "inputs input (1, 512)" in message
    assert "crossface_hififace.onnx; put it into" in message_of(guests, prompt_for(NO_CONVERTER))


def test_a_missing_file_is_refused_with_the_folders(guests):
    status, answer = guests.post("/prompt", {"prompt": prompt_for("hyperswap_1c_256.onnx")})
    message = str(answer["node_errors"]["model"]["errors"])
    assert status == 400 and "hyperswap_1c_256.onnx" in message and str(guests.base / "models" / "hyperswap") in message


def test_another_recognizer_needs_permission(guests):
    message = message_of(guests, prompt_for("inswapper_128.onnx", any_recognizer=False))
    assert "w600k_r50" in message and "arcface_demo" in message


def test_a_dfm_file_says_that_it_ignores_the_identity(guests):
    assert "contains its own person" in guests.run(prompt_for("someone.dfm")).texts("report")[0]


def saved_and_loaded(model, **widgets):
    """A swap with an identity that goes through a file."""
    prompt = prompt_for(model)
    values = {"filename": "someone", "file_format": "StyleSwap identity", "if_exists": "overwrite", **widgets}
    prompt["save"] = {"class_type": "StyleSwap_SaveIdentity", "inputs": {"identity": ["person", 0], **values}}
    prompt["load"] = {
        "class_type": "StyleSwap_LoadIdentity",
        "inputs": {"identity_file": "(none saved yet)", "file": ["save", 0]},
    }
    prompt[only(prompt, SWAP)]["inputs"]["identity"] = ["load", 0]
    return prompt


def test_networks_that_take_a_picture_need_the_portrait_in_the_file(guests):
    name = "uniface_256.onnx"
    direct = guests.run(prompt_for(name)).pixels("shown")
    assert np.array_equal(guests.run(saved_and_loaded(name, portrait=True)).pixels("shown"), direct)
    # As in prompts from before the widget.
    message = message_of(guests, saved_and_loaded(name))
    assert "which this identity lacks" in message and "turn portrait on in Save Identity" in message
    message = message_of(guests, saved_and_loaded(name, portrait=True, file_format="ReActor face model"))
    assert "a ReActor face model has no portrait" in message


def test_interrupt_ends_a_long_batch_within_one_batch_of_faces(guests):
    prompt = prompt_for("inswapper_128.onnx", batch_size=1, resolution="4x")
    prompt["frames"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["target", 0], "amount": 400}}
    prompt["swap"]["inputs"]["image"] = ["frames", 0]
    prompt_id = guests.queue(prompt)
    guests.await_working(prompt_id, "swap")
    entry, steps = guests.interrupt(prompt_id, "swap")
    assert error_message(entry) == "interrupted" and steps <= 1
    assert "1 of 1" in guests.run(prompt_for("inswapper_128.onnx")).texts("report")[0]


def test_files_in_the_folders_of_extra_model_paths(guests, tmp_path):
    """A network in one of them takes its converter from another."""
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    link_pack(base)
    folders = {key: elsewhere / key for key in ("styleswap", "hyperswap", "reswapper", "insightface")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    forms.write_hyperswap(folders["hyperswap"] / "hyperswap_1a_256.onnx")
    forms.write_ghost(folders["styleswap"] / "ghost_1_256.onnx")
    forms.write_converter(folders["reswapper"] / "crossface_ghost.onnx")
    shutil.copytree(guests.base / "input", base / "input")
    with ComfyServer(base, model_folders=folders) as server:
        for name in ("hyperswap_1a_256.onnx", "ghost_1_256.onnx"):
            shown = server.run(prompt_for(name)).pixels("shown")
            assert np.array_equal(shown, guests.run(prompt_for(name)).pixels("shown"))


def inverting(server, model):
    """A swap with an identity that is inverted for the model."""
    prompt = prompt_for(model)
    info = server.get(f"/object_info/{INVERT}")[INVERT]["input"]["required"]
    widgets = {name: kind[1]["default"] for name, kind in info.items() if len(kind) > 1 and "default" in kind[1]}
    prompt["invert"] = {
        "class_type": INVERT,
        "inputs": {
            **widgets,
            "steps": 2,
            "model": ["model", 0],
            "face_analysis": ["pack", 0],
            "source": ["source", 0],
            "guides": ["guides", 0],
        },
    }
    prompt["guides"] = {"class_type": "ImageBatch", "inputs": {"image1": ["source", 0], "image2": ["target", 0]}}
    prompt["gain"] = {"class_type": "PreviewAny", "inputs": {"source": ["invert", 2]}}
    prompt[only(prompt, SWAP)]["inputs"]["identity"] = ["invert", 0]
    return prompt


def test_invert_identity(guests):
    done = guests.run(inverting(guests, "hyperswap_1a_256.onnx"))
    assert "likeness" in done.texts("gain")[0] and "other programs" in done.texts("gain")[0]
    assert "1 of 1" in done.texts("report")[0]


def test_invert_identity_refuses_networks_without_numbers(guests):
    message = message_of(guests, inverting(guests, "nested/blendswap_256.onnx"))
    assert "no numbers to optimize" in message
