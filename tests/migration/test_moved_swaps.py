"""Swap nodes of other packs: the same faces get the same sources."""

import copy

import pytest
from foreign_graphs import kinds, of_kind, swap_prompt

from styleswap_core.migration.migrate import migrate_workflow


def move(prompt):
    """The moved prompt; the original is not changed, and a second move changes nothing."""
    before = copy.deepcopy(prompt)
    moved = migrate_workflow(prompt)
    assert prompt == before
    again = migrate_workflow(moved.workflow)
    assert again.workflow == moved.workflow and not again.moved
    return moved


def notes(migration):
    return " ".join(note.text for note in migration.notes)


def inputs(prompt, kind):
    return of_kind(prompt, kind)["inputs"]


def test_plain_swap_is_one_node():
    moved = move(swap_prompt(swap_model="hyperswap_1a_256.onnx"))
    assert kinds(moved.workflow) == ["LoadImage", "LoadImage", "SaveImage", "StyleSwap_QuickSwap"]
    swap = inputs(moved.workflow, "StyleSwap_QuickSwap")
    assert (swap["target"], swap["source"]) == (["1", 0], ["2", 0])
    assert (swap["model_name"], swap["pack"]) == ("hyperswap_1a_256.onnx", "buffalo_l")
    assert (swap["faces"], swap["index"], swap["source_face"]) == ("by index", "0", 0)
    assert moved.workflow["4"] == swap_prompt()["4"]
    assert not moved.left and not moved.notes


def test_one_source_on_many_faces():
    swap = inputs(move(swap_prompt(input_faces_index="0,1,2", source_faces_index="2")).workflow, "StyleSwap_QuickSwap")
    assert (swap["index"], swap["source_face"]) == ("0,1,2", 2)


@pytest.mark.parametrize(
    ("faces", "sources", "index", "indices"),
    [
        ("0,1", "0,1", "0,1", "0,1"),
        ("0,1,2", "1,0", "0,1,2", "1,0"),
        ("3,1", "0,2,0,2", "3,1", "0,2"),
        ("0,1,2", "0,0,1", "0,1,2", "0,0,1"),
        # The second swap of a face is what shows.
        ("0,0,1", "0,1", "0,1", "1,0"),
    ],
)
def test_sources_are_dealt_out_to_faces(faces, sources, index, indices):
    moved = move(swap_prompt(input_faces_index=faces, source_faces_index=sources))
    swap = inputs(moved.workflow, "StyleSwap_SwapFace")
    assert (swap["faces"], swap["index"], swap["in_turn"]) == ("by index", index, True)
    source = inputs(moved.workflow, "StyleSwap_ExtractArcFaceID")
    assert (source["faces"], source["indices"], source["combine"]) == ("by index", indices, "one per face")
    assert source["image"] == ["2", 0] and not moved.notes


def test_more_faces_than_a_list_has_inputs():
    faces, sources = ",".join(map(str, range(11))), "0,1,1,0,0,0,1,1,1,1,0"
    prompt = move(swap_prompt("roop", faces_index=faces, reference_faces_index=sources)).workflow
    first = prompt[inputs(prompt, "StyleSwap_SwapFace")["identity"][0]]["inputs"]
    nested = prompt[first["identity_1"][0]]
    assert nested["class_type"] == "StyleSwap_IdentityList" and len(nested["inputs"]) == 8
    assert len(first) == 1 + 11 - 8
    assert kinds(prompt).count("StyleSwap_ExtractArcFaceID") == 2


def test_first_source_is_the_face_model_of_several():
    prompt = swap_prompt(input_faces_index="0,1", source_faces_index="2,1")
    prompt["6"] = {"class_type": "ReActorSaveFaceModel", "inputs": {"face_model": ["3", 1], "face_model_name": "anna"}}
    moved = move(prompt).workflow
    saved = moved[inputs(moved, "StyleSwap_SaveIdentity")["identity"][0]]["inputs"]
    assert (saved["faces"], saved["index"], "indices" in saved) == ("by index", 2, False)


@pytest.mark.parametrize(
    ("target", "given", "noted"),
    [
        ("LoadImage", {"detect_gender_input": "female"}, False),
        ("VAEDecode", {"detect_gender_input": "female"}, True),
        ("VAEDecode", {"input_faces_index": "1,0"}, True),
        ("VAEDecode", {}, False),
    ],
)
def test_frames_of_a_batch_that_lack_a_face_are_told(target, given, noted):
    prompt = swap_prompt(**{"input_faces_index": "0,1", "source_faces_index": "0,1", **given})
    prompt["1"]["class_type"] = target
    assert ("each frame of a batch" in notes(move(prompt))) == noted


@pytest.mark.parametrize(
    ("text", "index", "noted"),
    [("0,", "0", True), ("", "0", True), ("0, 1", "0", True), ("2,x", "2", True), ("1,3", "1,3", False)],
)
def test_face_numbers_are_read_as_before(text, index, noted):
    moved = move(swap_prompt(input_faces_index=text))
    assert inputs(moved.workflow, "StyleSwap_QuickSwap")["index"] == index
    assert ("only" in notes(moved)) == noted


def test_gender_and_order_need_swap_face():
    prompt = swap_prompt("ReActorFaceSwapOpt", options=["5", 0])
    prompt["5"] = {
        "class_type": "ReActorOptions",
        "inputs": {
            "input_faces_order": "small-large",
            "input_faces_index": "1",
            "detect_gender_input": "female",
            "source_faces_order": "left-right",
            "detect_gender_source": "male",
        },
    }
    moved = move(prompt)
    swap = inputs(moved.workflow, "StyleSwap_SwapFace")
    assert (swap["order"], swap["index"], swap["gender"]) == ("smallest", "1", "female")
    source = inputs(moved.workflow, "StyleSwap_ExtractArcFaceID")
    assert (source["faces"], source["index"], source["order"]) == ("by index", 0, "left-right")
    assert source["gender"] == "male"
    assert "ReActorOptions" not in kinds(moved.workflow)
    assert "center of their boxes" in notes(moved)


def test_face_model_is_the_source_unless_there_is_a_picture():
    prompt = swap_prompt(face_model=["5", 0], source_faces_index="3")
    prompt["5"] = {"class_type": "ReActorLoadFaceModel", "inputs": {"face_model": "anna.safetensors"}}
    both = move(copy.deepcopy(prompt)).workflow
    assert "identity" not in inputs(both, "StyleSwap_QuickSwap")
    assert inputs(both, "StyleSwap_QuickSwap")["source_face"] == 3
    del prompt["3"]["inputs"]["source_image"]
    moved = move(prompt).workflow
    swap = inputs(moved, "StyleSwap_QuickSwap")
    assert (swap["identity"], swap["source_face"]) == (["5", 0], 0) and "source" not in swap
    prompt["3"]["inputs"]["detect_gender_source"] = "male"
    assert "gender of the face model is not checked" in notes(move(prompt))
    assert inputs(moved, "StyleSwap_LoadIdentity") == {"identity_file": "anna.safetensors"}


def test_first_picture_of_a_batch_is_the_source():
    prompt = swap_prompt()
    prompt["3"]["inputs"]["source_image"] = ["5", 0]
    prompt["5"] = {"class_type": "ImageBatch", "inputs": {"image1": ["1", 0], "image2": ["2", 0]}}
    moved = move(prompt).workflow
    first = of_kind(moved, "ImageFromBatch")
    assert first["inputs"] == {"image": ["5", 0], "batch_index": 0, "length": 1}
    assert moved[inputs(moved, "StyleSwap_QuickSwap")["source"][0]] == first


def test_restorer_restores_the_swapped_faces_of_the_result():
    prompt = swap_prompt(face_restore_model="GFPGANv1.4.pth", face_restore_visibility=0.75)
    moved = move(prompt)
    align = inputs(moved.workflow, "StyleSwap_AlignFaces")
    assert align["image"] == ["3", 0] and align["known_faces"] == ["3", 5] and align["size"] == 512
    assert inputs(moved.workflow, "UpscaleModelLoader") == {"model_name": "GFPGANv1.4.pth"}
    blend = inputs(moved.workflow, "ImageBlend")
    assert blend["blend_factor"] == 0.75 and moved.workflow[blend["image1"][0]]["inputs"] == align
    paste = inputs(moved.workflow, "StyleSwap_PasteFaces")
    assert moved.workflow[paste["crops"][0]]["inputs"] == blend and paste["target"] == ["3", 0]
    saved = moved.workflow["4"]["inputs"]["images"]
    assert moved.workflow[saved[0]]["class_type"] == "StyleSwap_PasteFaces" and saved[1] == 0
    assert "models/upscale_models" in notes(moved)


def test_connected_visibility_stays_connected():
    prompt = swap_prompt(
        face_restore_model="codeformer.pth", face_restore_visibility=["5", 0], codeformer_weight=["5", 0]
    )
    prompt["5"] = {"class_type": "PrimitiveFloat", "inputs": {"value": 0.5}}
    moved = move(prompt)
    assert inputs(moved.workflow, "ImageBlend")["blend_factor"] == ["5", 0]
    assert "weight 0.5 instead of the connected one" in notes(moved)


def test_all_faces_are_restored_if_the_options_say_so():
    prompt = swap_prompt(
        "ReActorFaceSwapOpt", face_restore_model="codeformer.pth", codeformer_weight=1, options=["5", 0]
    )
    prompt["5"] = {"class_type": "ReActorOptions", "inputs": {"restore_swapped_only": False}}
    moved = move(prompt)
    align = inputs(moved.workflow, "StyleSwap_AlignFaces")
    assert "known_faces" not in align and align["faces"] == "all"
    assert moved.workflow[align["face_analysis"][0]]["class_type"] == "StyleSwap_LoadFaceAnalysis"
    assert "weight 0.5 instead of 1" in notes(moved)


def test_restorer_that_comfyui_cannot_load_leaves_its_place():
    moved = move(swap_prompt(face_restore_model="GPEN-BFR-1024.onnx"))
    align = inputs(moved.workflow, "StyleSwap_AlignFaces")
    paste = inputs(moved.workflow, "StyleSwap_PasteFaces")
    assert align["size"] == 1024 and moved.workflow[paste["crops"][0]]["inputs"] == align
    assert "GPEN-BFR-1024.onnx" in notes(moved) and "UpscaleModelLoader" not in kinds(moved.workflow)


@pytest.mark.parametrize(("after", "restorations"), [(False, ["boost.pth"]), (True, ["boost.pth", "main.pth"])])
def test_face_boost_comes_first(after, restorations):
    prompt = swap_prompt(face_restore_model="main.pth", face_boost=["5", 0])
    boost = {"enabled": True, "boost_model": "boost.pth", "restore_with_main_after": after}
    prompt["5"] = {"class_type": "ReActorFaceBoost", "inputs": boost}
    moved = move(prompt).workflow
    found, node = [], moved["4"]["inputs"]["images"][0]
    while moved[node]["class_type"] == "StyleSwap_PasteFaces":
        upscale = moved[moved[node]["inputs"]["crops"][0]]["inputs"]
        found.insert(0, moved[upscale["upscale_model"][0]]["inputs"]["model_name"])
        node = moved[node]["inputs"]["target"][0]
    assert found == restorations and node == "3"


@pytest.mark.parametrize("after", [False, True])
def test_face_boost_does_nothing_with_hyperswap(after):
    prompt = swap_prompt(swap_model="hyperswap_1a_256.onnx", face_restore_model="main.pth", face_boost=["5", 0])
    boost = {"enabled": True, "boost_model": "boost.pth", "restore_with_main_after": after}
    prompt["5"] = {"class_type": "ReActorFaceBoost", "inputs": boost}
    moved = move(prompt)
    loaded = [node["inputs"] for node in moved.workflow.values() if node["class_type"] == "UpscaleModelLoader"]
    assert loaded == ([{"model_name": "main.pth"}] if after else [])
    assert "boost had no effect" in notes(moved)


def test_switched_off_swap_hands_the_picture_on():
    moved = move(swap_prompt(enabled=False, face_restore_model="main.pth"))
    assert moved.workflow["4"]["inputs"]["images"] == ["1", 0]
    assert "StyleSwap_SwapFace" in kinds(moved.workflow) and "enabled was off" in notes(moved)


def test_original_image_is_the_input_and_face_model_the_identity():
    prompt = swap_prompt()
    prompt["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 2]}}
    prompt["6"] = {"class_type": "ReActorSaveFaceModel", "inputs": {"face_model": ["3", 1], "face_model_name": "anna"}}
    moved = move(prompt).workflow
    assert moved["5"]["inputs"]["images"] == ["1", 0]
    assert moved["6"]["inputs"]["identity"] == ["3", 2]


def test_connected_numbers_stay_connected():
    prompt = swap_prompt(input_faces_index=["5", 0], swap_model=["6", 0])
    prompt["5"] = {"class_type": "PrimitiveString", "inputs": {"value": "0"}}
    prompt["6"] = {"class_type": "PrimitiveString", "inputs": {"value": "inswapper_128.onnx"}}
    swap = inputs(move(prompt).workflow, "StyleSwap_QuickSwap")
    assert swap["index"] == ["5", 0] and swap["model_name"] == ["6", 0]


def test_connected_numbers_of_sources_stay_connected():
    prompt = swap_prompt(input_faces_index=["5", 0], source_faces_index=["6", 0])
    for key in "56":
        prompt[key] = {"class_type": "PrimitiveString", "inputs": {"value": "0,1"}}
    moved = move(copy.deepcopy(prompt)).workflow
    assert inputs(moved, "StyleSwap_SwapFace")["index"] == ["5", 0]
    source = inputs(moved, "StyleSwap_ExtractArcFaceID")
    assert (source["faces"], source["indices"], source["combine"]) == ("by index", ["6", 0], "one per face")
    prompt["7"] = {"class_type": "ReActorSaveFaceModel", "inputs": {"face_model": ["3", 1]}}
    assert "FACE_MODEL is in use" in " ".join(left.reason for left in move(prompt).left)


def test_several_sources_of_roop_need_the_numbers_of_the_faces():
    moved = move(swap_prompt("roop", faces_index=["2", 1], reference_faces_index="0,1"))
    assert "cannot be dealt out" in moved.left[0].reason
    prompt = move(swap_prompt("roop", faces_index="0,1,2", reference_faces_index="0,1")).workflow
    assert "in_turn" not in inputs(prompt, "StyleSwap_SwapFace")
    assert len(inputs(prompt, "StyleSwap_IdentityList")) == 3


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"enabled": ["2", 1]}, "enabled is connected"),
        ({"detect_gender_source": ["2", 1]}, "detect_gender_source is connected"),
        ({"detect_gender_input": "maybe"}, "'maybe' is no value of detect_gender_input"),
        ({"face_restore_visibility": "much"}, "'much' is no value of face_restore_visibility"),
        ({"face_boost": ["2", 0]}, "face_boost does not come from a ReActorFaceBoost"),
    ],
)
def test_swap_whose_values_are_not_known_stays(given, reason):
    prompt = swap_prompt(**given)
    moved = move(prompt)
    assert moved.workflow == prompt and not moved.moved
    assert reason in moved.left[0].reason


def test_values_of_scripts():
    given = {"enabled": 1, "face_restore_visibility": "1", "console_log_level": "quiet", "input_faces_order": "x"}
    moved = move(swap_prompt(**given))
    assert kinds(moved.workflow)[-1] == "StyleSwap_QuickSwap"
    assert notes(moved) == "input_faces_order is no input of this node and had no effect"


def test_mtb_swap_keeps_its_loaders():
    prompt = swap_prompt("Face Swap (mtb)", faces_index="0,2", faceanalysis_model=["5", 0], faceswap_model=["6", 0])
    prompt["5"] = {"class_type": "Load Face Analysis Model (mtb)", "inputs": {"faceswap_model": "buffalo_l"}}
    prompt["6"] = {"class_type": "Load Face Swap Model (mtb)", "inputs": {"faceswap_model": "inswapper_128.onnx"}}
    moved = move(prompt).workflow
    swap = inputs(moved, "StyleSwap_SwapFace")
    assert (swap["face_analysis"], swap["model"]) == (["5", 0], ["6", 0])
    assert (swap["index"], swap["order"]) == ("0,2", "left-right")
    assert moved["5"]["inputs"]["pack"] == "buffalo_l"
    assert moved["6"]["inputs"] == {"model_name": "inswapper_128.onnx"}
    source = inputs(moved, "StyleSwap_ExtractArcFaceID")
    assert (source["faces"], source["order"]) == ("by index", "left-right")


def test_mtb_swap_with_a_loader_of_another_pack_stays_whole():
    prompt = swap_prompt("Face Swap (mtb)", faceanalysis_model=["5", 0], faceswap_model=["6", 0])
    prompt["5"] = {"class_type": "SomebodysAnalysis", "inputs": {}}
    prompt["6"] = {"class_type": "Load Face Swap Model (mtb)", "inputs": {"faceswap_model": "inswapper_128.onnx"}}
    moved = move(prompt)
    assert moved.workflow == prompt
    assert {left.node: left.reason for left in moved.left} == {
        "3": "its faceanalysis_model comes from SomebodysAnalysis 5, which stays",
        "6": "its FACESWAP_MODEL goes to Face Swap (mtb) 3, which stays",
    }


@pytest.mark.parametrize(
    ("kind", "given", "order"),
    [
        ("roop", {}, "left-right"),
        ("RoopImproved", {"face_order": "largest to smallest"}, "largest"),
        ("RoopImproved", {"face_order": "up to down", "reverse_order": True}, "bottom-top"),
    ],
)
def test_roop(kind, given, order):
    moved = move(swap_prompt(kind, faces_index="1", **given))
    swap = inputs(moved.workflow, "StyleSwap_SwapFace")
    assert (swap["order"], swap["index"]) == (order, "1")
    assert inputs(moved.workflow, "StyleSwap_ExtractArcFaceID")["order"] == "left-right"
