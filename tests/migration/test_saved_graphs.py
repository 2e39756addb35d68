"""Files that hold graphs, and those that do not."""

import json
import struct
import zlib

import pytest
from foreign_graphs import swap_canvas, swap_prompt
from PIL import Image, PngImagePlugin

from styleswap_core.errors import StyleSwapError
from styleswap_core.migration.migrate import migrate_workflow
from styleswap_core.migration.saved_graphs import read_workflow, write_workflow


def test_json_is_written_as_the_editor_writes_it(tmp_path):
    value = {"nodes": [], "title": "Gesicht 😀 \ud83d"}
    write_workflow(tmp_path / "a.json", value)
    assert read_workflow(tmp_path / "a.json") == value
    write_workflow(tmp_path / "b.json", {"title": "Gesicht 😀"})
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == '{\n  "title": "Gesicht 😀"\n}'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_mark(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes(json.dumps(swap_prompt()).encode(encoding))
    assert read_workflow(tmp_path / "a.json") == swap_prompt()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("title", ["plain", "Gesicht 😀"])
def test_png(tmp_path, packed, title):
    graph = swap_canvas().graph
    graph["nodes"][0]["title"] = title
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", json.dumps(swap_prompt()))
    texts.add_text("workflow", json.dumps(graph, ensure_ascii=False), zip=packed)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=texts)
    assert read_workflow(tmp_path / "a.png") == graph


def test_png_with_more_text_than_pillow_reads(tmp_path):
    prompt = {**swap_prompt(), "note": "x" * (2 << 20)}
    data = b"prompt\0\0" + zlib.compress(json.dumps(prompt).encode("latin-1"))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    png = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(png[:33] + chunk + png[33:])
    assert read_workflow(tmp_path / "a.png") == prompt


def test_webp(tmp_path):
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(swap_prompt())
    exif[0x010F] = "workflow:" + json.dumps(swap_canvas().graph)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp", exif=exif)
    assert read_workflow(tmp_path / "a.webp") == swap_canvas().graph


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_picture_without_a_workflow(tmp_path, name):
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(StyleSwapError, match="carries no workflow; take the picture as ComfyUI saved it"):
        read_workflow(tmp_path / name)


def test_what_comfyui_leaves_in_pictures_is_no_error(tmp_path):
    prompt = swap_prompt()
    prompt["1"]["is_changed"] = [float("nan")]
    (tmp_path / "a.json").write_text(json.dumps(prompt))
    assert read_workflow(tmp_path / "a.json") == swap_prompt()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a workflow"),
        ("{", "is not a workflow"),
        ("\x00\xff", "is not a workflow: neither JSON in UTF-8 nor a PNG or WebP picture"),
        ("\xff\xd8\xff\xe0 JFIF", "is not a workflow: neither JSON"),
        ("\0\0\0 ftypisom", "is not a workflow: neither JSON"),
        ("[" * 70 + "]" * 70, "nested more than 64 deep"),
        (
            '{"3": {"class_type": "X", "inputs": {"strength": NaN}}}',
            "has nan at 3.inputs.strength, which no node takes",
        ),
        ('{"nodes": [1e999]}', r"has inf at nodes\[0\]"),
    ],
)
def test_files_that_are_none(tmp_path, text, message):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StyleSwapError, match=message) as caught:
        read_workflow(tmp_path / "a.json")
    assert "\n" not in str(caught.value) and "a.json" in str(caught.value)


@pytest.mark.parametrize(
    "value", [None, 3, "text", [], {}, {"nodes": []}, {"nodes": "x"}, {"a": {"inputs": {}}}, [[1]]]
)
def test_json_that_is_no_graph(value):
    with pytest.raises(StyleSwapError, match="expected a workflow with nodes, or an API prompt"):
        migrate_workflow(value)


def test_ten_megabytes(tmp_path):
    """Large graphs are read, indexed and written in linear time."""
    canvas = swap_canvas()
    nodes = canvas.graph["nodes"]
    for number in range(5, 20_000):
        note = {"id": number, "type": "Note", "pos": [0, 0], "size": [10, 10], "inputs": [], "outputs": []}
        nodes.append({**note, "widgets_values": ["x" * 420]})
    (tmp_path / "a.json").write_text(json.dumps(canvas.graph))
    assert (tmp_path / "a.json").stat().st_size > 10e6
    moved = migrate_workflow(read_workflow(tmp_path / "a.json"))
    assert len(moved.moved) == 1 and moved.workflow["nodes"][4:] == nodes[4:]
