"""Graphs of other packs in the two forms that ComfyUI saves, written by the tests."""

from styleswap_core.migration.foreign_nodes import FOREIGN_NODES

SUBGRAPH = "5f0c1d6e-0000-4000-8000-000000000001"
KINDS = {
    "input_image": "IMAGE",
    "source_image": "IMAGE",
    "face_model": "FACE_MODEL",
    "face_boost": "FACE_BOOST",
    "options": "OPTIONS",
    "face_models": "FACE_MODEL",
    "mask_optional": "MASK",
    "faceanalysis_model": "FACE_ANALYSIS_MODEL",
    "faceswap_model": "FACESWAP_MODEL",
}
CORE = {
    "LoadImage": ((), ("IMAGE", "MASK")),
    "SaveImage": (("images",), ()),
    "PreviewImage": (("images",), ()),
    "PreviewAny": (("source",), ()),
    "Reroute": (("",), ("*",)),
    "SetNode": (("IN",), ("*",)),
    "GetNode": ((), ("*",)),
    "PrimitiveNode": ((), ("STRING",)),
    "ImageScaleBy": (("image",), ("IMAGE",)),
    "CLIPTextEncode": (("clip",), ("CONDITIONING",)),
}


class Canvas:
    """A graph of the editor that is being drawn."""

    def __init__(self):
        self.graph = {
            "last_node_id": 0,
            "last_link_id": 0,
            "nodes": [],
            "links": [],
            "groups": [{"title": "Faces", "bounding": [0, 0, 900, 700], "color": "#3f789e"}],
            "config": {},
            "extra": {"ds": {"scale": 0.7, "offset": [12, 34]}},
            "version": 0.4,
        }

    def add(self, kind, *values, mode=0, title=None, **widgets):
        """Add a node; `values` are its widgets by position, `widgets` some of them by name."""
        node_id = self.graph["last_node_id"] + 1
        if kind in FOREIGN_NODES:
            foreign = FOREIGN_NODES[kind]
            links, outputs = foreign.links, foreign.outputs
            if not values:
                values = [widgets.get(widget.name, widget.default) for widget in foreign.widgets]
        else:
            links, outputs = CORE[kind]
        node = {
            "id": node_id,
            "type": kind,
            "pos": [320 * node_id, 40 + 10 * node_id],
            "size": [300, 260],
            "flags": {},
            "order": node_id - 1,
            "mode": mode,
            "inputs": [{"name": name, "type": KINDS.get(name, "IMAGE"), "link": None} for name in links],
            "outputs": [{"name": kind, "type": kind, "links": None} for kind in outputs],
            "properties": {"Node name for S&R": kind, "cnr_id": "somebody", "color_note": "mine"},
            "widgets_values": list(values),
        }
        if title:
            node["title"] = title
        self.graph["last_node_id"] = node_id
        self.graph["nodes"].append(node)
        return node_id

    def link(self, origin, slot, target, name):
        """Connect an output to an input, which may be a widget."""
        link_id = self.graph["last_link_id"] + 1
        self.graph["last_link_id"] = link_id
        node = self.node(target)
        names = [each["name"] for each in node["inputs"]]
        if name not in names:
            node["inputs"].append({"name": name, "type": "STRING", "link": None, "widget": {"name": name}})
            names.append(name)
        number = names.index(name)
        node["inputs"][number]["link"] = link_id
        output = self.node(origin)["outputs"][slot]
        output["links"] = [*(output["links"] or []), link_id]
        self.graph["links"].append([link_id, origin, slot, target, number, output["type"]])
        return link_id

    def node(self, node_id):
        return node_of(self.graph, node_id)


def node_of(graph, node_id):
    """The node of an id."""
    (found,) = [node for node in graph["nodes"] if node["id"] == node_id]
    return found


def of_kind(graph, kind):
    """The only node of a class, in either form."""
    if "nodes" in graph:
        (found,) = [node for node in graph["nodes"] if node["type"] == kind]
    else:
        (found,) = [node for node in graph.values() if node["class_type"] == kind]
    return found


def kinds(graph):
    """Classes of all nodes, sorted, in either form."""
    if "nodes" in graph:
        return sorted(node["type"] for node in graph["nodes"])
    return sorted(node["class_type"] for node in graph.values())


def origin(graph, node_id, name):
    """Node and slot that an input of a node of the editor is connected to, or None."""
    for slot in node_of(graph, node_id)["inputs"]:
        if slot["name"] == name and slot["link"] is not None:
            (link,) = [each for each in graph["links"] if _values(each)[0] == slot["link"]]
            return tuple(_values(link)[1:3])
    return None


def widgets(form, node):
    """Values of a moved node of the editor by name."""
    names = [widget.name for widget in form.widgets]
    assert len(names) == len(node["widgets_values"])
    return dict(zip(names, node["widgets_values"], strict=True))


def assert_consistent(graph):
    """Both ends of every connection of an editor's graph agree, and no number is used twice."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert len(nodes) == len(graph["nodes"])
    links = {_values(link)[0]: _values(link) for link in graph["links"]}
    assert len(links) == len(graph["links"])
    ends = {
        (node_id, number): slot["link"]
        for node_id, node in nodes.items()
        for number, slot in enumerate(node["inputs"])
        if slot["link"] is not None
    }
    starts = {
        (node_id, number): slot["links"]
        for node_id, node in nodes.items()
        for number, slot in enumerate(node["outputs"])
        if slot["links"]
    }
    for number, start, slot, target, place, *_ in links.values():
        if target in nodes:
            assert ends.pop((target, place)) == number
        if start in nodes:
            assert number in starts[start, slot]
            starts[start, slot] = [each for each in starts[start, slot] if each != number]
    assert not ends and not any(starts.values())
    if "last_node_id" in graph:
        assert graph["last_node_id"] >= max(nodes) and graph["last_link_id"] >= max(links, default=0)


def _values(link):
    if isinstance(link, list):
        return link
    return [link[key] for key in ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")]


def swap_canvas(kind="ReActorFaceSwap", **widgets):
    """Two Load Image nodes (1, 2), a swap (3) and a Save Image (4)."""
    canvas = Canvas()
    target, source = canvas.add("LoadImage", "target.png", "image"), canvas.add("LoadImage", "source.png", "image")
    swap, save = canvas.add(kind, **widgets), canvas.add("SaveImage", "swapped")
    canvas.link(target, 0, swap, FOREIGN_NODES[kind].links[0])
    canvas.link(source, 0, swap, FOREIGN_NODES[kind].links[1])
    canvas.link(swap, 0, save, "images")
    return canvas


def swap_prompt(kind="ReActorFaceSwap", **inputs):
    """The same as an API prompt."""
    first, second, *_ = FOREIGN_NODES[kind].links
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "target.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "source.png"}},
        "3": {"class_type": kind, "inputs": {first: ["1", 0], second: ["2", 0], **inputs}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "swapped"}},
    }


def in_subgraph(shown=(), **widgets):
    """A swap inside a subgraph, whose pictures and result cross its border."""
    inner = swap_canvas("ReActorFaceSwap", **{"input_faces_index": "1", **widgets})
    swap = inner.node(3)
    swap["outputs"][2]["links"] = [13]
    inside = {
        "id": SUBGRAPH,
        "name": "Swap inside",
        "version": 1,
        "revision": 0,
        "config": {},
        "state": {"lastNodeId": 3, "lastLinkId": 13, "lastGroupId": 0, "lastRerouteId": 0},
        "inputNode": {"id": -10, "bounding": [0, 0, 120, 60]},
        "outputNode": {"id": -20, "bounding": [900, 0, 120, 60]},
        "inputs": [
            {"id": "00000000-0000-4000-8000-00000000000a", "name": "picture", "type": "IMAGE", "linkIds": [10]},
            {"id": "00000000-0000-4000-8000-00000000000b", "name": "person", "type": "IMAGE", "linkIds": [11]},
        ],
        "outputs": [
            {"id": "00000000-0000-4000-8000-00000000000c", "name": "swapped", "type": "IMAGE", "linkIds": [12]},
            {"id": "00000000-0000-4000-8000-00000000000d", "name": "original", "type": "IMAGE", "linkIds": [13]},
        ],
        "nodes": [swap],
        "groups": [],
        "links": [
            table_link(10, -10, 0, 3, 0),
            table_link(11, -10, 1, 3, 1),
            table_link(12, 3, 0, -20, 0),
            table_link(13, 3, 2, -20, 1),
        ],
    }
    for slot, link in zip(swap["inputs"], (10, 11), strict=False):
        slot["link"] = link
    swap["outputs"][0]["links"] = [12]
    outer = Canvas()
    outer.graph["last_node_id"] = 20
    outer.graph["nodes"].append(
        {
            "id": 20,
            "type": SUBGRAPH,
            "pos": [0, 0],
            "size": [200, 100],
            "flags": {},
            "order": 0,
            "mode": 0,
            "inputs": [{"name": name, "type": "IMAGE", "link": None} for name in ("picture", "person")],
            "outputs": [{"name": name, "type": "IMAGE", "links": None} for name in ("swapped", "original")],
            "properties": {"proxyWidgets": [list(entry) for entry in shown]},
            "widgets_values": [],
        }
    )
    outer.graph["definitions"] = {"subgraphs": [inside]}
    return outer


def table_link(*values):
    """A connection as subgraphs store it."""
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return dict(zip(keys, (*values, "IMAGE"), strict=True))
