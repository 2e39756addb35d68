"""The `styleswap` command: help, exit codes, one-line errors, and the user's files in and out."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styleswap_core import __version__, cli
from styleswap_core.commands.arguments import face_choice, fraction, whole_number
from styleswap_core.commands.doctor_command import examine
from styleswap_core.commands.swap_command import plan
from styleswap_core.errors import StyleSwapError

ROOT = Path(__file__).resolve().parents[2]


def fails(capsys, *words):
    """Run the command in this process; it must end with code 2 and exactly one line on stderr, which is returned."""
    code = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert code == 2
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("styleswap: error: ")
    assert captured.out == ""
    return lines[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `styleswap demo` wrote, and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "not there yet"
    done = subprocess.run(
        [sys.executable, "-m", "styleswap_core.cli", "demo", "--out", str(out), "--json", "--device", "cpu"],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout), done.stderr


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


# --- help and usage


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in cli.COMMANDS)], ids=" ".join)
def test_help_of_everything(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: styleswap")
    names = cli.COMMANDS if words == ["--help"] else []
    assert all(name in text for name in names)


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == f"styleswap {__version__}"


def test_help_is_quick_because_nothing_heavy_is_imported():
    code = (
        "import sys; from styleswap_core.cli import build_parser; build_parser().format_help(); "
        "print([m for m in ('torch', 'numpy', 'cv2', 'insightface', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["swap"], "--target"),
        (["swap", "--target", "b.png", "--out", "c.png"], "--source --identity"),
        (
            ["swap", "--source", "a.png", "--identity", "i.safetensors", "--target", "b.png", "--out", "c.png"],
            "not allowed",
        ),
        (["swap", "--source", "a.png", "--target", "b.png", "--out", "c.png", "--wings"], "--wings"),
        (["invert", "--source", "a.png", "--out", "i.safetensors", "--trust", "2"], "from 0 to 1"),
        (["invert", "--source", "a.png", "--out", "i.png"], ".safetensors"),
        (["invert", "--source", "a.png", "--out", "missing/i.safetensors"], "does not exist"),
        (["swap", "--source", "a.png", "--target", "b.png", "--out", "c.png", "--faces", "two"], "largest, all"),
        (["swap", "--source", "a.png", "--target", "b.png", "--out", "c.png", "--faces", "0,-1"], "largest, all"),
        (["swap", "--source", "a.png", "--target", "b.png", "--out", "c.png", "--strength", "1.5"], "from 0 to 1"),
        (["demo", "--seed", "-1"], "at least 0"),
        (["render", "sheet", "--out", "a.png", "--size", "7"], "from 16"),
    ],
)
def test_wrong_usage_is_one_line(words, part, capsys, folder):
    assert part in fails(capsys, *words)
    assert list(folder.iterdir()) == []


def test_a_real_process_gives_one_line_and_no_traceback(folder):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "styleswap_core.cli",
            "swap",
            "--source",
            "a.png",
            "--target",
            "b.png",
            "--out",
            "c.png",
            "--model",
            "m.safetensors",
        ],
        env=_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "m.safetensors" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.fixture
def command(monkeypatch):
    """Let `styleswap probe` run a function of the test."""

    def install(run):
        module = type(sys)("styleswap_core.commands.probe")
        module.add_arguments = lambda parser: None
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command(".commands.probe", "for the tests"))

    return install


def _raising(error):
    def run(args):
        raise error

    return run


def test_interrupt_is_130_and_quiet(command, capsys):
    command(_raising(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr().err == "styleswap: interrupted\n"


def test_a_refusal_of_the_system_is_the_users_to_mend(command, capsys):
    command(_raising(OSError(28, "No space left on device", "result.png")))
    line = fails(capsys, "probe")
    assert "No space left" in line and "result.png" in line


def test_a_message_of_several_lines_is_joined(command, capsys):
    command(_raising(StyleSwapError("first\n  second")))
    assert fails(capsys, "probe") == "styleswap: error: first second"


def test_a_fault_of_the_program_keeps_its_traceback(command):
    command(_raising(AttributeError("a fault")))
    with pytest.raises(AttributeError, match="a fault"):
        cli.main(["probe"])


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX pipe")
def test_a_reader_that_goes_away_is_no_error():
    # The pipe's reading end is closed before the command writes its first byte.
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "styleswap_core.cli", "doctor", "--json"],
        env=_environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(write)
    assert done.returncode == cli.EXIT_BROKEN_PIPE
    assert done.stderr == ""


# --- arguments


def test_argument_types():
    assert face_choice("largest") == "largest"
    assert face_choice("all") == "all"
    assert face_choice("0, 2") == [0, 2]
    assert fraction("0.25") == 0.25
    assert whole_number(2, 4)("3") == 3
    for convert, word in (
        (face_choice, ""),
        (face_choice, "0,,2"),
        (fraction, "nan"),
        (fraction, "x"),
        (whole_number(2, 4), "5"),
        (whole_number(), "0"),
        (whole_number(), "1.5"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match="expected"):
            convert(word)


def _touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_plan_of_one_target(folder):
    _touch(folder / "in.jpg")
    assert plan([Path("in.jpg")], Path("out.png"), None) == [(Path("in.jpg"), Path("out.png"), None)]
    (folder / "results").mkdir()
    assert plan([Path("in.jpg")], Path("results"), Path("results")) == [
        (Path("in.jpg"), Path("results/in.jpg"), Path("results/in_mask.png"))
    ]


def test_plan_of_a_folder_takes_its_pictures_alone_and_in_order(folder):
    _touch(folder / "in/b.PNG", folder / "in/a.jpg", folder / "in/notes.txt")
    jobs = plan([Path("in")], Path("out"), Path("masks"))
    assert jobs == [
        (Path("in/a.jpg"), Path("out/a.jpg"), Path("masks/a_mask.png")),
        (Path("in/b.PNG"), Path("out/b.PNG"), Path("masks/b_mask.png")),
    ]
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("targets", "out", "part"),
    [
        (["in.png"], "in.png", "would be replaced"),
        (["in.png"], "out.gif", "rename"),
        (["in.png"], "missing/out.png", "create it first"),
        (["in.png", "other/in.png"], "out", "would both be written"),
        (["in.png", "other/in.png"], "out.png", "name a folder"),
        (["in.png", "other/second.png"], ".", "would be replaced"),
        (["in.png", "other/second.png"], "in.png", "name a folder"),
        (["empty"], "out", "found none"),
    ],
)
def test_plan_refuses_before_any_work(targets, out, part, folder):
    _touch(folder / "in.png", folder / "other/in.png", folder / "other/second.png")
    (folder / "empty").mkdir()
    with pytest.raises(StyleSwapError, match=part):
        plan([Path(target) for target in targets], Path(out), None)


# --- doctor


def test_doctor_prints_what_a_bug_report_needs(capsys):
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == examine()
    assert report["styleswap"] == __version__
    assert {"torch", "numpy", "insightface"} <= set(report["packages"])
    assert "CPUExecutionProvider" in report["onnx_providers"]
    for word in (report["python"], report["device"], report["package_folder"], *report["packs"]):
        assert word in text


def test_doctor_finds_packs_and_names_their_files(folder, capsys):
    _touch(folder / "models/insightface/models/antelopev2/antelopev2/glintr100.onnx")
    (folder / "models/insightface/models/empty").mkdir()
    assert cli.main(["doctor", "--json"]) == 0
    packs = json.loads(capsys.readouterr().out)["packs"]
    assert packs["models/insightface/models"] == {"antelopev2": ["antelopev2/glintr100.onnx"]}


def test_doctor_finds_comfyui_and_what_lies_in_its_folders(folder, monkeypatch, capsys):
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text('__version__ = "0.3.64"\n')
    (folder / "models" / "styleswap" / "identities").mkdir(parents=True)
    (folder / "models" / "styleswap" / "identities" / "anna.safetensors").touch()
    pack = folder / "models" / "insightface" / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    (pack / "det_10g.onnx").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(folder))
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert f"ComfyUI 0.3.64 in {folder}" in text and "identities/anna.safetensors" in text
    assert "buffalo_l: det_10g.onnx" in text
    monkeypatch.setenv("COMFYUI_PATH", str(folder / "models"))
    assert examine()["comfyui"] is None


# --- demo and swap, on the real demo pack


def test_demo_writes_a_sheet_and_says_how_alike(demo):
    out, report, notes = demo
    assert sorted(path.name for path in out.iterdir()) == [
        "mask.png",
        "result.png",
        "sheet.png",
        "source.png",
        "target.png",
    ]
    source, target, result = (
        np.asarray(Image.open(out / f"{name}.png").convert("RGB"), dtype=float)
        for name in ("source", "target", "result")
    )
    mask = np.asarray(Image.open(out / "mask.png"))
    assert source.shape == target.shape == result.shape == (*mask.shape, 3)
    assert np.array_equal(result[mask == 0], target[mask == 0])
    assert np.abs(result - target)[mask > 200].mean() > 2
    likeness = report["likeness_to_source"]
    assert likeness["result"] > likeness["target"] + 0.2
    assert likeness["exact_swap"] > likeness["target"]
    assert notes == "", "both pictures are rendered, so there is nothing to note"
    assert "face swapped" in Image.open(out / "result.png").text["styleswap"]


def test_swap_of_a_batch_goes_on_and_reports(demo, folder, capsys):
    out, _, _ = demo
    frames = folder / "frames"
    frames.mkdir()
    Image.open(out / "target.png").save(frames / "1.png")
    (frames / "2.png").write_bytes((out / "target.png").read_bytes()[:5000])
    Image.new("RGB", (200, 200), (40, 90, 160)).save(frames / "3.png")
    Image.open(out / "target.png").convert("RGB").save(frames / "4.jpg")
    code = cli.main(
        [
            "swap",
            "--source",
            str(out / "source.png"),
            "--target",
            "frames",
            "--out",
            "swapped",
            "--mask-out",
            "masks",
            "--json",
            "--device",
            "cpu",
        ]
    )
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert code == 2
    assert [Path(row["target"]).name for row in report["results"]] == ["1.png", "4.jpg"]
    assert [Path(row["target"]).name for row in report["failed"]] == ["2.png", "3.png"]
    assert sorted(path.name for path in (folder / "swapped").iterdir()) == ["1.png", "4.jpg"]
    assert sorted(path.name for path in (folder / "masks").iterdir()) == ["1_mask.png", "4_mask.png"]
    # The saved copies no longer say that they are rendered, so they count as photographs.
    assert "rendered faces only" in captured.err
    faces = report["results"][0]["faces"]
    assert len(faces) == 1 and faces[0]["similarity"] > faces[0]["similarity_before"]


def test_swap_strength_moves_between_the_two_faces(demo, folder, capsys):
    out, _, _ = demo
    likeness = []
    for strength in ("0", "0.5", "1"):
        assert (
            cli.main(
                [
                    "swap",
                    "--source",
                    str(out / "source.png"),
                    "--target",
                    str(out / "target.png"),
                    "--out",
                    "r.png",
                    "--strength",
                    strength,
                    "--json",
                    "--device",
                    "cpu",
                ]
            )
            == 0
        )
        likeness.append(json.loads(capsys.readouterr().out)["results"][0]["faces"][0]["similarity"])
    assert likeness[0] < likeness[1] < likeness[2]


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "tiny", "empty face", "face 7"])
def test_a_bad_target_is_one_line_and_nothing_is_written(kind, demo, folder, capsys):
    out, _, _ = demo
    target = folder / "target.png"
    more = []
    if kind == "text":
        target.write_text("this is not a picture")
    elif kind == "truncated":
        target.write_bytes((out / "target.png").read_bytes()[:20000])
    elif kind == "tiny":
        Image.new("RGB", (10, 10)).save(target)
    elif kind == "empty face":
        Image.new("RGB", (300, 300), (200, 180, 90)).save(target)
    elif kind == "face 7":
        target.write_bytes((out / "target.png").read_bytes())
        more = ["--faces", "7"]
    line = fails(
        capsys,
        "swap",
        "--source",
        out / "source.png",
        "--target",
        target,
        "--out",
        "result.png",
        "--mask-out",
        "mask.png",
        *more,
    )
    assert "target.png" in line
    assert {path.name for path in folder.iterdir()} <= {"target.png"}


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--model", "missing.safetensors", "missing.safetensors"),
        ("--model", "note.txt", "note.txt"),
        ("--pack", "no_such_pack", "no_such_pack"),
        ("--pack", "./nowhere", "nowhere"),
        ("--device", "abacus", "abacus"),
    ],
)
def test_a_bad_model_pack_or_device_is_one_line(option, value, part, demo, folder, capsys):
    out, _, _ = demo
    (folder / "note.txt").write_text("not a model")
    assert part in fails(
        capsys,
        "swap",
        "--source",
        out / "source.png",
        "--target",
        out / "target.png",
        "--out",
        "result.png",
        option,
        value,
    )
    assert [path.name for path in folder.iterdir()] == ["note.txt"]


# --- render


def test_render_sheet_and_pictures(folder, capsys):
    assert (
        cli.main(
            ["render", "sheet", "--out", "new/sheet.png", "--identities", "2", "--attributes", "3", "--size", "32"]
        )
        == 0
    )
    assert Image.open(folder / "new/sheet.png").width > 3 * 32
    assert cli.main(["render", "pictures", "--out", "faces", "--count", "2", "--size", "32"]) == 0
    known = json.loads((folder / "faces/pictures.json").read_text())
    assert [row["picture"] for row in known] == ["00000.png", "00001.png"]
    assert {path.name for path in (folder / "faces").iterdir()} == {
        "pictures.json",
        "00000.png",
        "00000_mask.png",
        "00001.png",
        "00001_mask.png",
    }
    assert np.asarray(known[0]["points"]).shape == (5, 2)


def test_render_columns_gives_what_training_reads(folder, capsys):
    from styleswap_core.synthetic.columns import ColumnSet
    from styleswap_core.synthetic.parameters import IDENTITY_SEEDS

    assert (
        cli.main(
            [
                "render",
                "columns",
                "--out",
                "columns",
                "--columns",
                "2",
                "--members",
                "2",
                "--size",
                "32",
                "--split",
                "validation",
                "--workers",
                "1",
            ]
        )
        == 0
    )
    columns = ColumnSet(folder / "columns")
    assert columns.images.shape == (2, 2, 3, 32, 32)
    assert all(int(seed) in IDENTITY_SEEDS["validation"] for seed in np.asarray(columns.identity_seeds).ravel())
