"""Nodes for face models, restoration, masks and images."""

import json

import pytest
from foreign_graphs import Canvas, assert_consistent, kinds, of_kind, origin, swap_prompt
from test_moved_swaps import inputs, move, notes

from styleswap_core.migration.migrate import migrate_workflow

LOAD = {"class_type": "LoadImage", "inputs": {"image": "a.png"}}
SHOW = {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}}


def node(kind, **given):
    return {"class_type": kind, "inputs": given}


def test_save_face_model():
    prompt = {"1": LOAD, "2": node("ReActorSaveFaceModel", image=["1", 0], face_model_name="anna", select_face_index=2)}
    moved = move(prompt).workflow
    source = inputs(moved, "StyleSwap_ExtractArcFaceID")
    assert (source["image"], source["faces"], source["index"]) == (["1", 0], "by index", 2)
    # The node numbers faces as the detector reports them.
    assert source["order"] == "confidence"
    saved = moved["2"]["inputs"]
    assert moved[saved["identity"][0]]["inputs"] == source
    assert (saved["filename"], saved["file_format"]) == ("anna", "ReActor face model")
    assert saved["if_exists"] == "overwrite"


def test_save_that_is_off_stays():
    prompt = {"1": LOAD, "2": node("ReActorSaveFaceModel", image=["1", 0], save_mode=False)}
    moved = move(prompt)
    assert moved.workflow == prompt and "save_mode is off" in moved.left[0].reason


def test_build_from_pictures():
    prompt = {
        "1": LOAD,
        "3": node("ReActorBuildFaceModel", images=["1", 0], face_model_name="anna", compute_method="Median"),
        "4": node("ReActorSaveFaceModel", face_model=["3", 0], face_model_name="again"),
    }
    moved = move(prompt)
    assert moved.workflow["3"]["class_type"] == "StyleSwap_ExtractArcFaceID"
    assert moved.workflow["3"]["inputs"]["image"] == ["1", 0]
    assert moved.workflow["3"]["inputs"]["combine"] == "average"
    assert moved.workflow["4"]["inputs"]["identity"] == ["3", 0]
    saves = [each["inputs"] for each in moved.workflow.values() if each["class_type"] == "StyleSwap_SaveIdentity"]
    assert [each["filename"] for each in saves] == ["again", "anna"]
    assert notes(moved) == "the mean of the faces is taken instead of their median"


@pytest.mark.parametrize("given", [{"send_only": True}, {"save_mode": False}])
def test_build_that_saves_nothing(given):
    moved = move({"1": LOAD, "3": node("ReActorBuildFaceModel", images=["1", 0], **given)}).workflow
    assert "StyleSwap_SaveIdentity" not in kinds(moved)


@pytest.mark.parametrize(("count", "lists"), [(1, 0), (3, 0), (5, 1), (10, 2)])
def test_build_from_face_models(count, lists):
    prompt = {str(number): node("ReActorLoadFaceModel", face_model=f"{number}.safetensors") for number in range(count)}
    models = {f"face_model{number + 1}": [str(number), 0] for number in range(count)}
    prompt["batch"] = node("ReActorMakeFaceModelBatch", **models)
    prompt["built"] = node("ReActorBuildFaceModel", face_models=["batch", 0], save_mode=False)
    moved = move(prompt)
    assert kinds(moved.workflow).count("StyleSwap_IdentityList") == lists
    assert kinds(moved.workflow).count("StyleSwap_LoadIdentity") == count
    blend = moved.workflow["built"]
    assert blend["class_type"] == "StyleSwap_BlendIdentities" and "batch" not in moved.workflow
    assert _leaves(moved.workflow, blend["inputs"]["identity_1"])[0] == "0"
    used = [_leaves(moved.workflow, value) for key, value in blend["inputs"].items() if key.startswith("identity")]
    assert sorted({leaf for leaves in used for leaf in leaves}) == [str(number) for number in range(count)]
    assert len({len(leaves) for leaves in used}) == 1, "every face model must weigh the same"


def _leaves(prompt, link):
    """Loaders behind an identity, through lists."""
    entry = prompt[link[0]]
    if entry["class_type"] != "StyleSwap_IdentityList":
        return [link[0]]
    return [leaf for value in entry["inputs"].values() for leaf in _leaves(prompt, value)]


@pytest.mark.parametrize(
    ("weight", "share"),
    [("0%", 0), ("12.5%", 1 / 8), ("37.5%", 1 / 3), ("50%", 1 / 2), ("62.5%", 2 / 3), ("75%", 3 / 4), ("100%", 1)],
)
def test_weight_mixes_source_and_target(weight, share):
    prompt = swap_prompt(input_image=["5", 0], face_model=["5", 1])
    del prompt["3"]["inputs"]["source_image"]
    prompt["5"] = node("ReActorSetWeight", input_image=["1", 0], source_image=["2", 0], faceswap_weight=weight)
    moved = move(prompt).workflow
    swap, blend = inputs(moved, "StyleSwap_QuickSwap"), moved["5"]["inputs"]
    assert (swap["target"], swap["identity"]) == (["1", 0], ["5", 0])
    assert blend["weight_1"] == pytest.approx(share, abs=1e-3)
    assert blend["weight_1"] + blend["weight_2"] == pytest.approx(1)
    pictures = [moved[blend[name][0]]["inputs"]["image"] for name in ("identity_1", "identity_2")]
    assert pictures == [["2", 0], ["1", 0]]


@pytest.mark.parametrize(("weight", "share"), [("37.5%", 1 / 3), ("50%", 1 / 2), ("62.5%", 3 / 4), ("87.5%", 8 / 9)])
def test_weight_of_a_face_model(weight, share):
    """From the half on, the node counts a face model once more than a picture."""
    prompt = swap_prompt(input_image=["5", 0], face_model=["5", 1])
    prompt["6"] = node("ReActorLoadFaceModel", face_model="anna.safetensors")
    prompt["5"] = node("ReActorSetWeight", input_image=["1", 0], face_model=["6", 0], faceswap_weight=weight)
    blend = move(prompt).workflow["5"]["inputs"]
    assert blend["identity_1"] == ["6", 0] and blend["weight_1"] == pytest.approx(share, abs=1e-3)


def test_inputs_that_a_node_does_not_have_are_told():
    prompt = {
        "1": LOAD,
        "2": node("ReActorBuildFaceModel", images=["1", 0], face_index=0, save_mode="overwrite", face_model_name="a"),
        "3": node("ReActorOptions", input_faces_index="1", restore_all=True),
        "4": node("ReActorFaceSwapOpt", input_image=["1", 0], face_model=["2", 0], options=["3", 0]),
    }
    moved = move(prompt)
    assert not moved.left and kinds(moved.workflow).count("StyleSwap_SaveIdentity") == 1
    assert "face_index is no input of this node" in notes(moved) and "restore_all is no input" in notes(moved)


def test_similarity():
    prompt = {"1": LOAD, "2": LOAD, "3": node("ReActorFaceSimilarity", image1=["1", 0], image2=["2", 0]), "4": SHOW}
    moved = move(prompt).workflow
    compared = moved["3"]["inputs"]
    assert [moved[compared[name][0]]["inputs"]["image"] for name in ("identity_a", "identity_b")] == [
        ["1", 0],
        ["2", 0],
    ]
    assert moved["4"] == SHOW


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, ("all", "0", "largest")),
        ({"face_selection": "largest", "take_count": 2}, ("by index", "0,1", "largest")),
        (
            {"face_selection": "filter", "sort_by": "x_position", "take_start": 1, "take_count": 2},
            ("by index", "1,2", "left-right"),
        ),
        (
            {"face_selection": "filter", "sort_by": "y_position", "reverse_order": True},
            ("by index", "0", "bottom-top"),
        ),
    ],
)
def test_restore_face(given, chosen):
    prompt = {"1": LOAD, "3": node("ReActorRestoreFaceAdvanced", image=["1", 0], model="RestoreFormer.pth", **given)}
    moved = move({**prompt, "4": SHOW}).workflow
    align = inputs(moved, "StyleSwap_AlignFaces")
    assert (align["faces"], align["index"], align["order"]) == chosen
    paste = moved["3"]
    assert paste["class_type"] == "StyleSwap_PasteFaces" and paste["inputs"]["target"] == ["1", 0]
    assert moved["4"] == SHOW


def test_restore_face_without_a_model_stays():
    prompt = {"1": LOAD, "3": node("ReActorRestoreFace", image=["1", 0], model="none")}
    assert "does nothing" in move(prompt).left[0].reason


def test_mask_helper_takes_the_mask_of_the_swap():
    prompt = swap_prompt(face_restore_model="GFPGANv1.4.pth")
    helper = {"morphology_operation": "erode", "morphology_distance": 6, "blur_radius": 12}
    prompt["5"] = node("ReActorMaskHelper", image=["1", 0], swapped_image=["3", 0], **helper)
    prompt["4"]["inputs"]["images"] = ["5", 0]
    prompt["6"] = {"class_type": "PreviewImage", "inputs": {"images": ["5", 2]}}
    moved = move(prompt).workflow
    blend = moved["5"]["inputs"]
    assert moved["5"]["class_type"] == "StyleSwap_BlendWithMask"
    assert (blend["target"], blend["mask"], blend["grow"], blend["feather"]) == (["1", 0], ["3", 1], -6, 12.0)
    assert moved[blend["swapped"][0]]["class_type"] == "StyleSwap_PasteFaces"
    preview = moved[moved["6"]["inputs"]["images"][0]]
    assert preview == {"class_type": "MaskToImage", "inputs": {"mask": ["5", 1]}}


def test_mask_helper_with_a_mask_of_its_own():
    prompt = {
        "1": LOAD,
        "2": {"class_type": "SomebodysSwap", "inputs": {}},
        "5": node("ReActorMaskHelper", image=["1", 0], swapped_image=["2", 0], mask_optional=["1", 1]),
    }
    assert move(prompt).workflow["5"]["inputs"]["mask"] == ["1", 1]
    del prompt["5"]["inputs"]["mask_optional"]
    assert "whose mask could be taken" in move(prompt).left[0].reason


def test_nodes_without_a_counterpart_are_named_and_left():
    prompt = {
        "1": LOAD,
        "2": node("ReActorImageDublicator", image=["1", 0], count=3),
        "3": node("ReActorUnload", trigger=["2", 0]),
        "4": node("ImageRGBA2RGB", image=["3", 0]),
        "5": node("ReActorOptions"),
        "6": node("ReActorLoadFaceModel", face_model="none"),
    }
    moved = move(prompt)
    assert {left.kind for left in moved.left} == {
        "ReActorImageDublicator",
        "ReActorUnload",
        "ReActorOptions",
        "ReActorLoadFaceModel",
    }
    rest = {key: value for key, value in moved.workflow.items() if key != "4"}
    assert rest == {key: value for key, value in prompt.items() if key != "4"}
    assert moved.workflow["4"] == {"class_type": "SplitImageWithAlpha", "inputs": {"image": ["3", 0]}}


def test_name_of_a_face_model_keeps_its_loader():
    prompt = swap_prompt(face_model=["5", 0])
    del prompt["3"]["inputs"]["source_image"]
    prompt["5"] = node("ReActorLoadFaceModel", face_model="anna.safetensors")
    prompt["6"] = {"class_type": "PreviewAny", "inputs": {"source": ["5", 1]}}
    moved = move(prompt)
    assert moved.workflow["5"] == prompt["5"] and "FACE_MODEL_NAME is in use" in moved.left[0].reason
    # Identities take its face model as it is.
    assert inputs(moved.workflow, "StyleSwap_QuickSwap")["identity"] == ["5", 0]


def test_prompts_of_services():
    prompt = swap_prompt()
    prompt["3"]["_meta"] = {"title": "ReActor 🌌 Fast Face Swap"}
    prompt["3"]["is_changed"] = ["x"]
    prompt["1"]["_meta"] = {"title": "Mine"}
    prompt["_comment"] = "swap"
    canvas = Canvas()
    canvas.add("ReActorLoadFaceModel", face_model="anna.safetensors")
    request = {"client_id": "me", "prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": canvas.graph}}}
    moved = migrate_workflow({"input": request}).workflow["input"]
    assert moved["client_id"] == "me" and moved["prompt"]["_comment"] == "swap"
    assert moved["prompt"]["3"]["_meta"] == {"title": "Quick Face Swap"}
    assert moved["prompt"]["1"] == prompt["1"] and "is_changed" not in moved["prompt"]["3"]
    assert kinds(moved["extra_data"]["extra_pnginfo"]["workflow"]) == ["StyleSwap_LoadIdentity"]


def test_prompts_in_requests_as_text():
    request = {"input": {"workflow_json": json.dumps(swap_prompt()), "note": "{not JSON", "other": '{"a": 1}'}}
    moved = move(request).workflow["input"]
    assert inputs(json.loads(moved["workflow_json"]), "StyleSwap_QuickSwap")["target"] == ["1", 0]
    assert moved["note"] == "{not JSON" and moved["other"] == '{"a": 1}'


def test_ids_of_flattened_subgraphs_are_kept_clear_of():
    prompt = {f"9:{key}": value for key, value in swap_prompt(face_restore_model="GFPGANv1.4.pth").items()}
    for entry in prompt.values():
        for name, value in entry["inputs"].items():
            entry["inputs"][name] = [f"9:{value[0]}", value[1]] if isinstance(value, list) else value
    moved = move(prompt).workflow
    assert moved["9:3"]["class_type"] == "StyleSwap_SwapFace"
    assert min(int(key) for key in moved if ":" not in key) == 10


def test_editor_restoration_keeps_the_result_connected():
    canvas = Canvas()
    load, restore, save = (
        canvas.add("LoadImage", "a.png", "image"),
        canvas.add("ReActorRestoreFace", model="GFPGANv1.4.pth"),
        canvas.add("SaveImage", "x"),
    )
    canvas.link(load, 0, restore, "image")
    canvas.link(restore, 0, save, "images")
    moved = migrate_workflow(canvas.graph).workflow
    assert_consistent(moved)
    assert origin(moved, save, "images") == (restore, 0)
    assert of_kind(moved, "StyleSwap_PasteFaces")["id"] == restore
