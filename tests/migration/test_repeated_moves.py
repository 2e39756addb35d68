"""Any graph of known nodes: moving it twice is moving it once, and its connections fit."""

from foreign_graphs import Canvas, assert_consistent
from hypothesis import given, settings
from hypothesis import strategies as st

from styleswap_core.migration.foreign_nodes import FOREIGN_NODES
from styleswap_core.migration.migrate import migrate_workflow

KINDS = [*FOREIGN_NODES, "LoadImage", "SaveImage", "Reroute", "PreviewAny", "ImageScaleBy"]
CHOICES = {
    "enabled": st.booleans(),
    "face_restore_model": st.sampled_from(["none", "GFPGANv1.4.pth", "GPEN-BFR-512.onnx"]),
    "boost_model": st.sampled_from(["none", "GFPGANv1.4.pth"]),
    "model": st.sampled_from(["none", "codeformer.pth"]),
    "input_faces_index": st.sampled_from(["0", "0,1", "1,0,2"]),
    "source_faces_index": st.sampled_from(["0", "0,1"]),
    "detect_gender_input": st.sampled_from(["no", "male"]),
    "face_model": st.sampled_from(["none", "anna.safetensors"]),
    "save_mode": st.booleans(),
    "restore_swapped_only": st.booleans(),
}


@st.composite
def canvases(draw):
    """Graphs of up to ten nodes, whose inputs are connected to outputs of their type, through reroutes as well."""
    canvas = Canvas()
    outputs = []
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=10)):
        foreign = FOREIGN_NODES.get(kind)
        chosen = [widget.name for widget in foreign.widgets if widget.name in CHOICES] if foreign else []
        values = {name: draw(CHOICES[name]) for name in chosen}
        node = canvas.add(kind, mode=draw(st.sampled_from([0, 0, 0, 2, 4])), **values)
        wanted = [(slot["name"], slot["type"]) for slot in canvas.node(node)["inputs"]]
        wanted += [(name, "STRING") for name in chosen]
        carried = None
        for name, wanted_kind in wanted:
            fitting = [each for each in outputs if wanted_kind == each[2] or kind in ("Reroute", "PreviewAny")]
            if fitting and draw(st.booleans()):
                origin, slot, carried = draw(st.sampled_from(fitting))
                canvas.link(origin, slot, node, name)
        given = [carried] if kind == "Reroute" else [output["type"] for output in canvas.node(node)["outputs"]]
        outputs += [(node, slot, each) for slot, each in enumerate(given)]
    return canvas.graph


def as_prompt(graph):
    """The graph as an API prompt, as if every node were active."""
    links = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
    prompt = {}
    for node in graph["nodes"]:
        foreign = FOREIGN_NODES.get(node["type"])
        names = [widget.name for widget in foreign.widgets] if foreign else []
        inputs = dict(zip(names, node["widgets_values"], strict=False))
        inputs |= {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def assert_nothing_is_left_to_move(moved):
    again = migrate_workflow(moved.workflow)
    assert again.workflow == moved.workflow and not again.moved
    # The reasons may name nodes that have another class by now.
    assert [left.node for left in again.left] == [left.node for left in moved.left]


@settings(max_examples=60, deadline=None)
@given(canvases())
def test_graphs(graph):
    moved = migrate_workflow(graph)
    assert_consistent(moved.workflow)
    assert_nothing_is_left_to_move(moved)
    ours = [node for node in graph["nodes"] if node["type"] not in (*FOREIGN_NODES, "Reroute")]
    kept = {node["id"]: node for node in moved.workflow["nodes"]}
    for node in ours:
        assert {**kept[node["id"]], "inputs": 0, "outputs": 0} == {**node, "inputs": 0, "outputs": 0}


@settings(max_examples=60, deadline=None)
@given(canvases())
def test_prompts(graph):
    prompt = as_prompt(graph)
    moved = migrate_workflow(prompt)
    assert_nothing_is_left_to_move(moved)
    for node in moved.workflow.values():
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in moved.workflow
