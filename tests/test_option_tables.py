"""Pages that list the options of a command list all of them, and no others."""

import argparse
import re
from pathlib import Path

import pytest

from styleswap_core import cli

DOCS = Path(__file__).resolve().parents[1] / "docs"


def _options(command: str) -> set[str]:
    (subparsers,) = (
        action for action in cli.build_parser(command)._actions if isinstance(action, argparse._SubParsersAction)
    )
    actions = subparsers.choices[command]._actions
    return {name for action in actions for name in action.option_strings if name.startswith("--")} - {"--help"}


@pytest.mark.parametrize(("page", "command"), [("evaluation.md", "evaluate"), ("preparation.md", "prepare")])
def test_page_has_the_options_of_its_command(page, command):
    text = (DOCS / page).read_text(encoding="utf-8")
    # Options of other commands occur in code blocks only.
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert set(re.findall(r"`(--[\w-]+)", prose)) == _options(command)
