"""`styleswap migrate`."""

import json
from pathlib import Path

import pytest
from foreign_graphs import kinds, swap_canvas, swap_prompt

from styleswap_core.cli import main


@pytest.fixture
def saved(folder):
    """A saved graph with two swaps, one of which stays."""
    canvas = swap_canvas(face_restore_model="GFPGANv1.4.pth")
    canvas.add("ReActorUnload")
    Path("party.json").write_text(json.dumps(canvas.graph), encoding="utf-8")
    return Path("party.json").resolve()


def test_report_and_file(saved, capsys):
    before = saved.read_bytes()
    assert main(["migrate", "party.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "party.json: wrote party_styleswap.json"
    assert lines[1].startswith("  3 ReActorFaceSwap -> StyleSwap_SwapFace + ")
    assert "    3: GFPGANv1.4.pth must be in models/upscale_models" in "\n".join(lines)
    assert lines[-2:] == [
        "  left as it was, so that it still needs its pack:",
        "    5 ReActorUnload: ComfyUI frees the memory of this pack's models itself; it can be removed",
    ]
    assert "StyleSwap_SwapFace" in kinds(json.loads(Path("party_styleswap.json").read_text(encoding="utf-8")))
    assert saved.read_bytes() == before


def test_second_move_writes_nothing(saved, capsys):
    assert main(["migrate", "party.json", "--out", "moved.json"]) == 0
    capsys.readouterr()
    before = Path("moved.json").read_bytes()
    assert main(["migrate", "moved.json", "--out", "again.json"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "moved.json: nothing to move, nothing written"
    assert Path("moved.json").read_bytes() == before and not Path("again.json").exists()


def test_json(saved, capsys):
    Path("prompt.json").write_text(json.dumps(swap_prompt()), encoding="utf-8")
    Path("out").mkdir()
    assert main(["migrate", "party.json", "prompt.json", "--out", "out", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["files"]
    assert (first["file"], Path(first["out"])) == ("party.json", Path("out/party_styleswap.json"))
    assert [entry["node"] for entry in first["left"]] == [5] and first["notes"]
    assert second["moved"] == [{"node": "3", "place": "", "kind": "ReActorFaceSwap", "became": ["StyleSwap_QuickSwap"]}]
    assert not second["left"] and not second["notes"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["party.json", "--out", "party.json"], "is the workflow itself"),
        (["party.json"], "already exists; name it with --out to replace it"),
        (["party.json", "--out", "nowhere/x.json"], "the folder nowhere does not exist"),
        (["party.json", "party.json", "--out", "x.json"], "expected --out to name an existing folder"),
        (["missing.json"], "missing.json does not exist"),
        (["."], "expected a workflow file, but . does not exist or is a folder"),
        (["empty.json"], "empty.json holds no workflow: expected a workflow with nodes"),
        (["broken.json"], "broken.json is not a workflow"),
    ],
)
def test_invalid_input_is_one_line_and_no_file(saved, capsys, words, message):
    Path("empty.json").write_text("{}")
    Path("broken.json").write_text('{"nodes": [')
    Path("party_styleswap.json").write_text("mine")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert main(["migrate", *words]) == 2
    (line,) = set(capsys.readouterr().err.splitlines())
    assert message in line and line.startswith("styleswap: error: ")
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_other_files_are_moved_although_one_fails(saved, capsys):
    Path("broken.json").write_text("{")
    assert main(["migrate", "broken.json", "party.json"]) == 2
    output = capsys.readouterr()
    assert "broken.json" in output.err and "party_styleswap.json" in output.out
