"""Workflows of ReActor, written here in its form, moved over, opened and run in ComfyUI."""

import numpy as np
import pytest
import torch
from browser import open_page
from comfy_server import ComfyServer, link_pack
from foreign_graphs import Canvas, in_subgraph, swap_prompt
from photograph_files import write_files
from workflow_files import to_prompt, widget_values, with_probe

from styleswap_core.io.images import load_image, save_image
from styleswap_core.migration.migrate import migrate_workflow
from styleswap_core.migration.node_forms import FORMS

MODEL = "hyperswap_1a_256.onnx"
RESTORER = "GFPGANv1.4.pth"
SOURCE, TARGET, PAIR = "10_photographs_source.png", "10_photographs_target.png", "pair.png"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Base folder with stand-ins for the network, the pack and the restorer, and pictures of rendered people."""
    folder = tmp_path_factory.mktemp("moved")
    link_pack(folder)
    write_files(folder)
    _write_restorer(folder / "models" / "upscale_models" / RESTORER)
    pictures = [load_image(folder / "input" / name) for name in (TARGET, SOURCE)]
    save_image(folder / "input" / PAIR, np.concatenate(pictures, axis=1))
    return folder


@pytest.fixture(scope="module")
def moving_server(base):
    with ComfyServer(base) as server:
        yield server


def _write_restorer(path):
    """A network in the form of a small upscaler that only doubles the size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "1.weight": (4,)}
    shapes |= {"2.weight": (12, 4, 3, 3), "2.bias": (12,)}
    torch.save({f"body.{name}": torch.zeros(shape) for name, shape in shapes.items()}, path)


def _moved(workflow, *left):
    moved = migrate_workflow(workflow)
    assert [node.kind for node in moved.left] == list(left)
    return moved.workflow


def _likeness(analyzer, picture, person):
    """Cosine similarity of each face of a picture to a person, from left to right."""
    return [float(face.id_embedding @ person) for face in analyzer.detect(picture, "left-right")]


def _person(analyzer, base, name):
    (face,) = analyzer.detect(load_image(base / "input" / name))
    return face.id_embedding


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_are_those_of_the_nodes(moving_server, form):
    info = moving_server.get(f"/object_info/{form.node_id}")[form.node_id]
    declared = {
        name: (values, group)
        for group in ("required", "optional")
        for name, values in info["input"].get(group, {}).items()
    }
    for given in form.inputs:
        (kind, *options), group = declared[given.name]
        options = options[0] if options else {}
        assert (group == "optional") == given.optional, given.name
        assert given.is_widget or kind == given.kind, given.name
        if given.is_widget and "default" in options:
            assert given.default == options["default"], given.name
        if given.kind == "COMBO" and form.is_ours and given.default not in ("", MODEL):
            assert given.default in (options.get("options") or kind), given.name
    given = [widget.name for widget in form.widgets]
    stored = {"widgets_values": [widget.default for widget in form.widgets]}
    assert [name for name, _ in widget_values(stored, info)][: len(given)] == given
    assert [kind for _, kind in form.outputs] == info["output"][: len(form.outputs)]
    assert not form.is_ours or [name for name, _ in form.outputs] == info["output_name"][: len(form.outputs)]


def _canvas(*kinds, **widgets):
    """Two pictures and a swap with the stand-ins, not yet connected to a result."""
    canvas = Canvas()
    target, source = canvas.add("LoadImage", TARGET, "image"), canvas.add("LoadImage", SOURCE, "image")
    swap = canvas.add(*kinds, swap_model=MODEL, **widgets)
    canvas.link(target, 0, swap, "input_image")
    canvas.link(source, 0, swap, "source_image")
    return canvas, swap


def _shown(canvas, node, slot):
    preview = canvas.add("PreviewImage")
    canvas.link(node, slot, preview, "images")
    return str(preview)


def test_two_people_trade_faces(moving_server, base, analyzer):
    prompt = swap_prompt(
        "ReActorFaceSwapOpt", swap_model=MODEL, face_restore_model=RESTORER, face_restore_visibility=1, options=["5", 0]
    )
    order = {"input_faces_order": "left-right", "source_faces_order": "left-right"}
    # Faces and sources that do not exist are passed over.
    numbers = {"input_faces_index": "7,0,1", "source_faces_index": "1,5,0"}
    prompt["5"] = {"class_type": "ReActorOptions", "inputs": {**order, **numbers}}
    prompt["1"]["inputs"]["image"] = prompt["2"]["inputs"]["image"] = PAIR
    moved = with_probe(_moved(prompt), "shown", _moved(prompt)["4"]["inputs"]["images"])
    picture = moving_server.run(moved).pixels("shown")[0]
    for name, left_is_higher in ((SOURCE, True), (TARGET, False)):
        left, right = _likeness(analyzer, picture, _person(analyzer, base, name))
        assert (left > right + 0.25) == left_is_higher and (right > left + 0.25) != left_is_higher


def test_boosted_and_restored_swap_of_an_old_graph(moving_server, base, analyzer):
    canvas, swap = _canvas("ReActorFaceSwap")
    # Saved before facedetection and console_log_level were added.
    canvas.node(swap)["widgets_values"] = [True, MODEL, RESTORER, 1, 0.5, "no", "no", "0", "0"]
    boost = canvas.add("ReActorFaceBoost", boost_model=RESTORER, restore_with_main_after=True, visibility=0.5)
    canvas.link(boost, 0, swap, "face_boost")
    shown, original = _shown(canvas, swap, 0), _shown(canvas, swap, 2)
    moved = _moved(canvas.graph)
    run = moving_server.run(to_prompt(moved, _infos(moving_server, moved)))
    (before,), (after,) = run.pixels(original), run.pixels(shown)
    assert np.array_equal(before, load_image(base / "input" / TARGET))
    person = _person(analyzer, base, SOURCE)
    assert _likeness(analyzer, after, person)[0] > _likeness(analyzer, before, person)[0] + 0.25


def _infos(server, workflow):
    kinds = {node["type"] for node in workflow["nodes"]}
    return {kind: server.get(f"/object_info/{kind.replace(' ', '%20')}")[kind] for kind in kinds}


def test_weighted_face_model(moving_server, base, analyzer):
    """A face model built from a picture and mixed with the target gives a weaker likeness than the model itself."""
    results = {}
    for weight in ("100%", "25%"):
        prompt = swap_prompt(swap_model=MODEL, input_image=["6", 0], face_model=["6", 1])
        del prompt["3"]["inputs"]["source_image"]
        prompt["1"]["inputs"]["image"], prompt["2"]["inputs"]["image"] = TARGET, SOURCE
        prompt["5"] = {"class_type": "ReActorBuildFaceModel", "inputs": {"images": ["2", 0], "save_mode": False}}
        weighted = {"input_image": ["1", 0], "face_model": ["5", 0], "faceswap_weight": weight}
        prompt["6"] = {"class_type": "ReActorSetWeight", "inputs": weighted}
        moved = _moved(prompt)
        run = moving_server.run(with_probe(moved, "shown", moved["4"]["inputs"]["images"]))
        results[weight] = _likeness(analyzer, run.pixels("shown")[0], _person(analyzer, base, SOURCE))[0]
    assert results["100%"] > results["25%"] + 0.2


def test_masked_swap_that_is_off(moving_server, base):
    prompt = swap_prompt(swap_model=MODEL, enabled=False)
    prompt["1"]["inputs"]["image"], prompt["2"]["inputs"]["image"] = TARGET, SOURCE
    on = swap_prompt(swap_model=MODEL)["3"]
    prompt["6"] = {**on, "inputs": {**on["inputs"], "input_image": ["3", 0]}}
    prompt["7"] = {"class_type": "ReActorMaskHelper", "inputs": {"image": ["1", 0], "swapped_image": ["6", 0]}}
    moved = _moved(prompt)
    moved = with_probe(with_probe(moved, "shown", ["7", 0]), "mask", ["7", 1], mask=True)
    run = moving_server.run({key: moved[key] for key in moved if key != "4"})
    (after,), (mask,) = run.pixels("shown"), run.pixels("mask")
    outside = mask[..., 0] == 0
    assert 0.1 < outside.mean() < 0.95
    before = load_image(base / "input" / TARGET)
    # A share of less than half a level of gray is 0 in the picture of the mask.
    assert np.abs(after[outside].astype(int) - before[outside]).max() <= 1
    assert np.abs(after[~outside].astype(int) - before[~outside]).mean() > 3


@pytest.fixture(scope="module")
def page(browser, moving_server):
    with open_page(browser, moving_server) as opened:
        yield opened


def test_editor_graph_opens_and_runs_in_the_page(page, moving_server, screenshots):
    canvas, swap = _canvas("ReActorFaceSwap", face_restore_model=RESTORER)
    shown = _shown(canvas, swap, 0)
    canvas.node(swap)["title"] = "Anna on Berta"
    moved = _moved(canvas.graph)
    page.load(moved)
    assert page.missing_types() == [] and page.dialogs() == []
    prompt = page.prompt()
    assert prompt == _as_page(to_prompt(moved, _infos(moving_server, moved)), prompt)
    entry = page.run()
    page.screenshot().save(screenshots / "moved.png")
    assert entry["status"]["status_str"] == "success" and entry["outputs"][shown]["images"]
    assert page.dialogs() == [] and page.errors == []


def test_subgraph_opens_and_runs_in_the_page(page, screenshots):
    canvas = in_subgraph(swap_model=MODEL, input_faces_index="0")
    for name, picture in (("picture", TARGET), ("person", SOURCE)):
        canvas.link(canvas.add("LoadImage", picture, "image"), 0, 20, name)
    shown, original = _shown(canvas, 20, 0), _shown(canvas, 20, 1)
    page.load(_moved(canvas.graph))
    assert page.missing_types() == [] and page.dialogs() == []
    entry = page.run()
    page.screenshot().save(screenshots / "moved_subgraph.png")
    assert entry["status"]["status_str"] == "success"
    assert entry["outputs"][shown]["images"] and entry["outputs"][original]["images"]
    assert page.dialogs() == [] and page.errors == []


def _as_page(prompt, page):
    """A prompt without what only the page knows: upload buttons, and defaults of widgets that the file lacks."""
    assert prompt.keys() == page.keys()
    return {
        key: {**page[key], "inputs": {**page[key]["inputs"], **node["inputs"]}, "class_type": node["class_type"]}
        for key, node in prompt.items()
    }
