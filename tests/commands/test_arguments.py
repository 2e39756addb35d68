"""Argument types, and options that several subcommands share."""

import argparse

import pytest

from styleswap_core import cli
from styleswap_core.commands.arguments import (
    face_choice,
    fraction,
    number,
    resolution,
    whole_number,
)


def test_argument_types_convert_words():
    assert face_choice("largest") == "largest"
    assert face_choice("all") == "all"
    assert face_choice("0, 2") == [0, 2]
    assert fraction("0.25") == 0.25
    assert number(-1.0, 1.0)("-0.5") == -0.5
    assert whole_number(2, 4)("3") == 3
    assert [resolution(word) for word in ("automatic", "1", "8", "2x")] == [0, 1, 8, 2]


@pytest.mark.parametrize(
    ("convert", "word"),
    [
        (face_choice, ""),
        (face_choice, "0,,2"),
        (fraction, "nan"),
        (fraction, "x"),
        (whole_number(2, 4), "5"),
        (whole_number(), "0"),
        (whole_number(), "1.5"),
        (resolution, "9"),
        (resolution, "auto"),
    ],
)
def test_argument_types_state_what_they_expect(convert, word):
    with pytest.raises(argparse.ArgumentTypeError, match="expected"):
        convert(word)


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings if name != "-h"}


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Parsers that have arguments, by subcommand and form."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found |= {name: child} | {f"{name} {form}": inner for form, inner in subparsers(child).items()}
    return found


@pytest.fixture(scope="module")
def parsers() -> dict[str, argparse.ArgumentParser]:
    """All subcommands with their arguments."""
    found = {}
    for name in cli.COMMANDS:
        every = subparsers(cli.build_parser(name))
        found |= {key: parser for key, parser in every.items() if key.split()[0] == name}
    return found


def test_every_argument_has_help(parsers):
    missing = [
        f"{name}: {action.option_strings or action.dest}"
        for name, parser in parsers.items()
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert not missing


# Options whose meaning depends on the command; every other option has one meaning wherever it appears.
DIFFERENT_MEANINGS = {
    "--attributes",
    "--batch",
    "--columns",
    "--crops",
    "--curve",
    "--feather",
    "--format",
    "--grow",
    "--identities",
    "--judge",
    "--json",
    "--learning-rate",
    "--keep",
    "--likeness",
    "--mask",
    "--mask-out",
    "--out",
    "--output",
    "--parsing",
    "--parsing-classes",
    "--preview",
    "--regions",
    "--resume",
    "--seed",
    "--set",
    "--size",
    "--source",
    "--split",
    "--steps",
    "--target",
    "--template",
    "--trust",
    "--validation",
    "--workers",
}


def test_shared_options_have_one_meaning(parsers):
    meanings: dict[str, dict[str, str]] = {}
    for name, parser in parsers.items():
        for option, action in options_of(parser).items():
            if option not in DIFFERENT_MEANINGS:
                meanings.setdefault(option, {}).setdefault(f"{action.metavar}: {action.help}", name)
    assert {option: texts for option, texts in meanings.items() if len(texts) > 1} == {}


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ("paste --target a.png --crops crops --out b.png --mask-edge 1", "paste"),
        ("identity extract a.png --out a.safetensors --mask-edge 1", "identity extract"),
    ],
)
def test_an_unknown_option_names_the_help_that_lists_the_known_ones(capsys, words, form):
    assert cli.main(words.split()) == 2
    message = f"styleswap: error: unrecognized arguments: --mask-edge 1; see styleswap {form} --help\n"
    assert capsys.readouterr().err == message
