"""The `styleswap` command: help, exit codes, and one line for each error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from styleswap_core import __version__, cli
from styleswap_core.errors import StyleSwapError

ROOT = Path(__file__).resolve().parents[2]
SWAP = ["swap", "--source", "a.png", "--target", "b.png", "--out", "c.png"]


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in cli.COMMANDS)], ids=" ".join)
def test_help(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: styleswap")
    if words == ["--help"]:
        assert all(name in text for name in cli.COMMANDS)
    else:
        assert " ".join(cli.COMMANDS[words[0]].help.split())[1:] in " ".join(text.split())


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == f"styleswap {__version__}"


def test_the_folder_can_be_run_by_its_path_without_the_working_directory():
    """As in ComfyUI's portable build for Windows, whose Python ignores it, like -I."""
    command = [sys.executable, "-I", ROOT / "styleswap_core", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == f"styleswap {__version__}\n", done.stderr


@pytest.mark.parametrize(
    ("command", "heavy"),
    [(None, ["torch", "numpy", "cv2", "insightface", "PIL"]), ("swap", ["torch", "cv2", "insightface"])],
)
def test_help_is_quick_since_it_imports_nothing_heavy(command, heavy):
    code = (
        f"import sys; from styleswap_core.cli import build_parser; build_parser({command!r}).format_help(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["swap"], "--target"),
        (["swap", "--target", "b.png", "--out", "c.png"], "--source --identity"),
        ([*SWAP, "--identity", "i.safetensors"], "not allowed"),
        ([*SWAP, "--wings"], "--wings"),
        ([*SWAP, "--faces", "two"], "largest, all"),
        ([*SWAP, "--faces", "0,-1"], "largest, all"),
        ([*SWAP, "--strength", "1.6"], "from 0 to 1.5"),
        ([*SWAP, "--resolution", "9"], "automatic or a whole number from 1 to 8"),
        ([*SWAP, "--resolution", "0"], "automatic or a whole number from 1 to 8"),
        (["invert", "--source", "a.png", "--out", "i.safetensors", "--trust", "2"], "from 0 to 1"),
        (["invert", "--source", "a.png", "--out", "i.png"], ".safetensors"),
        (["invert", "--source", "a.png", "--out", "missing/i.safetensors"], "does not exist"),
        (["demo", "--seed", "-1"], "from 0"),
        (["demo", "--seed", "99999999999999999999"], "from 0"),
    ],
)
def test_invalid_usage_is_one_line(words, message, error_of, folder):
    assert message in error_of(*words)
    assert list(folder.iterdir()) == []


def test_a_process_prints_one_line_and_no_traceback(process, folder):
    done = process(*SWAP, "--model", "m.safetensors", cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "a.png does not exist" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.fixture
def probe(monkeypatch):
    """Make `styleswap probe` raise an error of the test."""

    def install(error):
        def run(args):
            raise error

        module = type(sys)("styleswap_core.commands.probe")
        module.add_arguments = lambda parser: None
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command(".commands.probe", "for the tests"))

    return install


def test_interrupt_exits_with_130(probe, capsys):
    probe(KeyboardInterrupt())
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr().err == "styleswap: interrupted\n"


def test_errors_of_the_operating_system_are_one_line(probe, error_of):
    probe(OSError(28, "No space left on device", "result.png"))
    assert error_of("probe").startswith("styleswap: error: result.png: No space left on device; check")


def test_a_name_of_several_lines_is_one_line(probe, error_of):
    probe(StyleSwapError("expected a file, but first\n  second is a folder"))
    assert error_of("probe") == r"styleswap: error: expected a file, but first\n second is a folder"


def test_a_bug_keeps_its_traceback(probe):
    probe(AttributeError("a bug"))
    with pytest.raises(AttributeError, match="a bug"):
        cli.main(["probe"])


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX pipe")
def test_a_closed_pipe_is_no_error(process):
    # The reading end is closed before the command writes its first byte.
    read, write = os.pipe()
    os.close(read)
    done = process("models", "--json", stdout=write)
    os.close(write)
    assert done.returncode == cli.EXIT_BROKEN_PIPE
    assert done.stderr == ""
