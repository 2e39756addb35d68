"""Graphs of the editor: positions, titles, groups and foreign nodes stay, connections fit, subgraphs are moved too."""

import copy

import pytest
from foreign_graphs import (
    assert_consistent,
    in_subgraph,
    kinds,
    node_of,
    of_kind,
    origin,
    swap_canvas,
    table_link,
    widgets,
)

from styleswap_core.migration import node_forms as forms
from styleswap_core.migration.editor_layout import box_of
from styleswap_core.migration.migrate import migrate_workflow


def move(graph):
    """The moved graph, whose connections fit; a second move changes nothing."""
    before = copy.deepcopy(graph)
    moved = migrate_workflow(graph)
    assert graph == before
    for each in (moved.workflow, *moved.workflow.get("definitions", {}).get("subgraphs", [])):
        assert_consistent(each)
    again = migrate_workflow(moved.workflow)
    assert again.workflow == moved.workflow and not again.moved
    return moved


def test_swap_keeps_its_place_its_title_and_its_neighbors():
    canvas = swap_canvas()
    canvas.node(3).update(title="Anna on Berta", color="#322", flags={"pinned": True})
    moved = move(canvas.graph).workflow
    swap = node_of(moved, 3)
    assert swap["type"] == "StyleSwap_QuickSwap"
    assert (swap["pos"], swap["title"], swap["color"]) == (canvas.node(3)["pos"], "Anna on Berta", "#322")
    assert swap["properties"] == {
        "Node name for S&R": "StyleSwap_QuickSwap",
        "cnr_id": "styleswap",
        "color_note": "mine",
    }
    assert [node_of(moved, number) for number in (1, 2, 4)] == [canvas.node(number) for number in (1, 2, 4)]
    assert {key: moved[key] for key in ("groups", "extra", "version")} == {
        key: canvas.graph[key] for key in ("groups", "extra", "version")
    }
    assert origin(moved, 3, "target") == (1, 0) and origin(moved, 3, "source") == (2, 0)
    assert origin(moved, 4, "images") == (3, 0)
    values = widgets(forms.QUICK_SWAP, swap)
    assert (values["model_name"], values["pack"], values["index"]) == ("inswapper_128.onnx", "buffalo_l", "0")


def test_new_nodes_cover_no_others():
    canvas = swap_canvas(face_restore_model="GFPGANv1.4.pth", input_faces_index="0,1", source_faces_index="0,1")
    moved = move(canvas.graph).workflow
    boxes = {node["id"]: box_of(node) for node in moved["nodes"]}
    for number, (left, top, right, bottom) in boxes.items():
        for other, box in boxes.items():
            # The node itself keeps its place, although it may have grown.
            if number < other and number != 3:
                assert right <= box[0] or box[2] <= left or bottom <= box[1] or box[3] <= top, (number, other)


def test_number_of_a_connection_stays_if_its_ends_do():
    canvas = swap_canvas()
    moved = move(canvas.graph).workflow
    assert sorted(link[0] for link in moved["links"]) == sorted(link[0] for link in canvas.graph["links"])


@pytest.mark.parametrize("mode", [2, 4])
def test_muted_and_bypassed_swaps_stay_so(mode):
    canvas = swap_canvas(face_restore_model="GFPGANv1.4.pth")
    canvas.node(3)["mode"] = mode
    moved = move(canvas.graph).workflow
    modes = {node["type"]: node["mode"] for node in moved["nodes"] if node["id"] > 4}
    assert modes.pop("StyleSwap_LoadModel") == modes.pop("StyleSwap_LoadFaceAnalysis") == 0
    assert modes.pop("UpscaleModelLoader") == 0
    assert node_of(moved, 3)["mode"] == mode and set(modes.values()) == {mode}


def test_switched_off_swap_is_bypassed():
    moved = move(swap_canvas(enabled=False).graph)
    assert node_of(moved.workflow, 3)["mode"] == 4
    assert moved.notes[0].text == "enabled was off: its nodes are bypassed"


@pytest.mark.parametrize(
    "values",
    [
        # Without facedetection and console_log_level.
        (True, "inswapper_128.onnx", "GFPGANv1.3.pth", 1, "female", "no", "2", "1"),
        (True, "inswapper_128.onnx", "GFPGANv1.3.pth", 1.0, 0.5, "female", "no", "2", "1", 1),
        (True, "inswapper_128.onnx", "YOLOv5l", "GFPGANv1.3.pth", 1, 0, "female", "no", "2", "1", 2, None),
        (
            True,
            "inswapper_128.onnx",
            "retinaface_resnet50",
            "GFPGANv1.3.pth",
            1,
            0.5,
            "female",
            "no",
            "2",
            "1",
            1,
            "fixed",
        ),
    ],
)
def test_values_of_all_ages(values):
    canvas = swap_canvas()
    canvas.node(3)["widgets_values"] = list(values)
    moved = move(canvas.graph).workflow
    swap = widgets(forms.SWAP_FACE, node_of(moved, 3))
    assert (swap["index"], swap["gender"]) == ("2", "female")
    source = widgets(forms.EXTRACT, of_kind(moved, "StyleSwap_ExtractArcFaceID"))
    assert (source["faces"], source["index"]) == ("by index", 1)
    assert of_kind(moved, "UpscaleModelLoader")["widgets_values"] == ["GFPGANv1.3.pth"]


@pytest.mark.parametrize(
    "values",
    [
        # Releases 0.3.0 and 0.4.0, 0.3.0 before it had a switch, and 0.2.0: source before target, and no visibility.
        (True, "inswapper_128.onnx", "retinaface_resnet50", "none", "no", "female", "1", "2", 1),
        ("inswapper_128.onnx", "YOLOv5n", "none", "no", "female", "1", "2", 0),
        ("inswapper_128.onnx", "no", "female", "1", "2", 2),
    ],
)
def test_values_of_the_first_releases(values):
    canvas = swap_canvas()
    canvas.node(3)["widgets_values"] = list(values)
    moved = move(canvas.graph).workflow
    swap = widgets(forms.SWAP_FACE, node_of(moved, 3))
    assert (swap["index"], swap["gender"]) == ("2", "female")
    source = widgets(forms.EXTRACT, of_kind(moved, "StyleSwap_ExtractArcFaceID"))
    assert (source["index"], source["gender"]) == (1, "any")


def test_values_by_name():
    canvas = swap_canvas()
    canvas.node(3)["widgets_values"] = {"input_faces_index": "4", "swap_model": "reswapper_256.onnx"}
    values = widgets(forms.QUICK_SWAP, node_of(move(canvas.graph).workflow, 3))
    assert (values["index"], values["model_name"]) == ("4", "reswapper_256.onnx")


def test_values_of_no_release_stay():
    canvas = swap_canvas()
    canvas.node(3)["widgets_values"] = [True, "inswapper_128.onnx", "CodeFormer", 0.8, "FULL_PP", "FULL_PP", True]
    moved = move(canvas.graph)
    assert moved.workflow == canvas.graph
    assert "its saved values are not those of this node ('FULL_PP' is no value of" in moved.left[0].reason


def test_widgets_as_inputs():
    canvas = swap_canvas()
    text = canvas.add("PrimitiveNode", "0,1", "fixed")
    canvas.link(text, 0, 3, "input_faces_index")
    moved = move(canvas.graph).workflow
    assert origin(moved, 3, "index") == (text, 0)
    assert node_of(moved, text)["widgets_values"] == ["0,1", "fixed"]


def test_options_are_taken_over_through_a_reroute():
    canvas = swap_canvas("ReActorFaceSwapOpt")
    options = canvas.add("ReActorOptions", input_faces_index="1", input_faces_order="top-bottom")
    bend = canvas.add("Reroute")
    canvas.link(options, 0, bend, "")
    canvas.link(bend, 0, 3, "options")
    moved = move(canvas.graph)
    assert kinds(moved.workflow) == ["LoadImage", "LoadImage", "SaveImage", "StyleSwap_QuickSwap"]
    values = widgets(forms.QUICK_SWAP, node_of(moved.workflow, 3))
    assert (values["index"], values["order"]) == ("1", "top-bottom")
    assert [node.became for node in moved.moved if node.kind == "ReActorOptions"] == [()]


def test_muted_options_do_not_count():
    canvas = swap_canvas("ReActorFaceSwapOpt")
    options = canvas.add("ReActorOptions", input_faces_index="1", mode=2)
    canvas.link(options, 0, 3, "options")
    moved = move(canvas.graph).workflow
    assert widgets(forms.QUICK_SWAP, node_of(moved, 3))["index"] == "0"
    assert "ReActorOptions" not in kinds(moved)


def test_face_model_through_set_and_get():
    canvas = swap_canvas()
    canvas.graph["links"] = [link for link in canvas.graph["links"] if link[3:5] != [3, 1]]
    canvas.node(2)["outputs"][0]["links"] = canvas.node(3)["inputs"][1]["link"] = None
    load = canvas.add("ReActorLoadFaceModel", face_model="anna.safetensors")
    put, get = canvas.add("SetNode", "anna"), canvas.add("GetNode", "anna")
    canvas.link(load, 0, put, "IN")
    canvas.link(get, 0, 3, "face_model")
    moved = move(canvas.graph).workflow
    assert node_of(moved, load)["type"] == "StyleSwap_LoadIdentity"
    assert origin(moved, 3, "identity") == (get, 0) and origin(moved, put, "IN") == (load, 0)


def test_face_model_for_another_pack_stays_one():
    canvas = swap_canvas()
    load, other = canvas.add("ReActorLoadFaceModel", face_model="anna.safetensors"), canvas.add("PreviewAny")
    canvas.link(load, 0, other, "source")
    canvas.link(load, 0, 3, "face_model")
    moved = move(canvas.graph)
    assert node_of(moved.workflow, load) == {**canvas.node(load), "outputs": node_of(moved.workflow, load)["outputs"]}
    assert moved.left[0].reason == f"its FACE_MODEL goes to PreviewAny {other}, which stays"


def test_source_that_is_not_connected_in_the_file():
    canvas = swap_canvas()
    canvas.graph["links"] = [link for link in canvas.graph["links"] if link[3:5] != [3, 1]]
    canvas.node(2)["outputs"][0]["links"] = None
    canvas.node(3)["inputs"][1]["link"] = 99
    moved = migrate_workflow(canvas.graph)
    assert_consistent(moved.workflow)
    assert "no source is connected" in moved.notes[0].text


def test_subgraph():
    moved = move(in_subgraph().graph).workflow
    (inside,) = moved["definitions"]["subgraphs"]
    assert node_of(inside, 3)["type"] == "StyleSwap_QuickSwap"
    assert origin(inside, 3, "target") == (-10, 0) and origin(inside, 3, "source") is not None
    assert inside["outputs"][0]["linkIds"] == [12] and inside["outputs"][1]["linkIds"] == [13]
    # The original picture crosses the subgraph with a bend, since the editor cannot connect its borders directly.
    bend = of_kind(inside, "Reroute")
    assert origin(inside, bend["id"], "") == (-10, 0)
    assert table_link(13, bend["id"], 0, -20, 1) in inside["links"]
    assert inside["inputs"][0]["linkIds"] == [10, bend["inputs"][0]["link"]]
    assert all(isinstance(link, dict) for link in inside["links"])
    # The source may be a batch.
    first = of_kind(inside, "ImageFromBatch")
    assert first["id"] > 20 and inside["state"]["lastNodeId"] == max(first["id"], bend["id"])


def test_widgets_shown_on_a_subgraph():
    shown = [("3", "input_faces_index"), ("3", "codeformer_weight"), ("7", "seed")]
    moved = move(in_subgraph(shown).graph)
    outside = node_of(moved.workflow, 20)["properties"]["proxyWidgets"]
    assert outside == [["3", "index"], ["7", "seed"]]
    assert any("codeformer_weight is no longer shown" in note.text for note in moved.notes)


def test_node_in_a_group_node_is_named():
    canvas = swap_canvas()
    canvas.graph["extra"]["groupNodes"] = {"mine": {"nodes": [{"type": "ReActorFaceSwap"}], "links": []}}
    (left,) = move(canvas.graph).left
    assert (left.place, left.kind) == ("mine", "ReActorFaceSwap") and "group node" in left.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: graph["links"].append([7, 3]),
        lambda graph: graph["links"].append("link"),
        lambda graph: graph["links"].append([98, 77, 0, 78, 0, "IMAGE"]),
        lambda graph: graph["nodes"].append("node"),
        lambda graph: graph["nodes"].append({"type": "ReActorFaceSwap"}),
        lambda graph: graph["nodes"][2].update(inputs="none", widgets_values=None),
        lambda graph: graph["nodes"][2].update(pos={"0": 5, "1": 6}, size=None, properties=3),
        lambda graph: graph["nodes"][0].update(outputs=None),
        lambda graph: graph.update(definitions=[], extra=None, groups=None),
    ],
)
def test_damaged_graphs_are_moved_as_far_as_they_go(change):
    canvas = swap_canvas()
    change(canvas.graph)
    moved = migrate_workflow(canvas.graph)
    assert "StyleSwap_QuickSwap" in [node["type"] for node in moved.workflow["nodes"] if isinstance(node, dict)]
