"""Names that cannot be printed, or that try to control the terminal."""

import os
import sys

import pytest

from styleswap_core.commands.console import print_lines, print_note
from styleswap_core.errors import StyleSwapError, printable

NAME = "a\x1b[31m\x07\u202egnp.\udcff"
ESCAPED = "a\\x1b[31m\\x07\\u202egnp.\\udcff"


def test_control_characters_are_escaped_wherever_names_are_printed(capsys):
    print_lines(NAME, "second")
    print_note(NAME)
    captured = capsys.readouterr()
    assert captured.out == f"{ESCAPED}\nsecond\n" and captured.err == f"styleswap: note: {ESCAPED}\n"
    assert str(StyleSwapError(NAME)) == ESCAPED
    # Spaces of all kinds and joiners are parts of names.
    for name in ("Zoë 北京　x.jpg", "\U0001f469\u200d\U0001f52c.png"):
        assert printable(name) == name


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="such names exist on Linux only")
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_that_cannot_be_encoded_do_not_end_the_program(process, folder, encoding):
    name = os.fsdecode("\u5f20\u4e09".encode() + b"\xff.png")
    done = process("detect", name, cwd=folder, variables={"PYTHONIOENCODING": encoding})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("styleswap: error: expected a picture file, but ") and "\\udcff.png" in done.stderr
