"""Hooks of MkDocs: pages of the site that have their only source elsewhere, and equations.

- `nodes/*.md` are the nodes' help pages in web/docs.
- `contributing.md` and `changelog.md` are the files at the root of the repository.
- The options of each command on `command-line.md` come from its argument parser.
- Settings on `training-settings.md` come from the fields and comments of the configuration classes.
- LaTeX becomes MathML, which browsers display without scripts or fonts from elsewhere.
"""

import argparse
import html
import inspect
import itertools
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from styleswap_core import cli  # noqa: E402 - the package need not be installed
from styleswap_core.losses import LossWeights  # noqa: E402
from styleswap_core.model.generator_config import GeneratorConfig  # noqa: E402
from styleswap_core.training.training_config import TrainingConfig  # noqa: E402

COMMANDS_MARK = "<!-- commands -->"
SETTINGS_MARK = re.compile(r"<!-- settings (\w+) -->")
SETTINGS = {config.__name__: config for config in (TrainingConfig, LossWeights, GeneratorConfig)}
_FIELD = re.compile(r"    (\w+): [^=]+ = (.+?)(?:  # (.*))?")
ROOT_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
# What `pymdownx.arithmatex` leaves for scripts to find.
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures that lie outside of docs/."""
    help_pages = ROOT / "web" / "docs"
    for page in sorted(help_pages.glob("*.md")):
        files.append(File.generated(config, f"nodes/{page.name}", content=page.read_text(encoding="utf-8")))
    for picture in sorted((help_pages / "images").iterdir()):
        files.append(File.generated(config, f"nodes/images/{picture.name}", abs_src_path=str(picture)))
    for name, source in ROOT_PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_relink(text)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Insert options of commands and settings of configurations where the marks are."""
    if COMMANDS_MARK in markdown:
        markdown = markdown.replace(COMMANDS_MARK, "\n".join(_describe(name) for name in cli.COMMANDS))
    return SETTINGS_MARK.sub(lambda match: _settings(SETTINGS[match[1]]), markdown)


def on_page_content(content: str, **_: object) -> str:
    """Convert equations to MathML."""
    return _EQUATION.sub(_as_mathml, content)


def _as_mathml(match: re.Match[str]) -> str:
    display = "inline" if match[2] == "(" else "block"
    return convert(html.unescape(match[3]).strip(), display=display)


def _relink(text: str) -> str:
    """Turn links that are relative to the repository's root into links relative to docs/, or into plain names."""
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\[([^]]+)\]\((?!https?:|#)([^)]+)\)", lambda m: m[0] if m[2].endswith(".md") else f"`{m[1]}`", text)


def _describe(command: str) -> str:
    """Section about a command: its description, then a table for each group of arguments, and its forms likewise."""
    chosen = _forms(cli.build_parser(command))[command]
    lines = [f"## styleswap {command}", "", _sentence(chosen.description or ""), "", *_tables(chosen)]
    for name, form in _forms(chosen).items():
        lines += [f"### styleswap {command} {name}", "", _sentence(form.description or ""), "", *_tables(form)]
    return "\n".join(lines)


def _forms(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: form for choices in found for name, form in choices.items()}


def _tables(parser: argparse.ArgumentParser) -> list[str]:
    """A table for each group of arguments."""
    lines: list[str] = []
    hidden = argparse._HelpAction, argparse._SubParsersAction
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, hidden)]
        if not actions:
            continue
        if group.title not in ("options", "positional arguments"):
            lines += [_sentence(group.title or ""), ""]
        lines += ["| argument | meaning |", "| --- | --- |"]
        lines += [f"| {_form(parser, action)} | {_cell(parser, action)} |" for action in actions]
        lines.append("")
    return lines


def _form(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    names = " ".join(action.option_strings)
    value = "" if action.nargs == 0 else formatter._format_args(action, action.dest.upper())
    return f"`{' '.join(f'{names} {value}'.split())}`".replace("|", "\\|")


def _cell(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    return html.escape(text, quote=False).replace("|", "\\|")


def _settings(config: type) -> str:
    """Tables of the fields of a configuration; where comments follow blank lines, these begin a group."""
    lines: list[str] = []
    comment: list[str] = []
    body = inspect.getsource(config).split('"""', 2)[2]
    grouped = len(re.findall(r"\n\n    # ", body)) > 1
    for before, line in itertools.pairwise(body.splitlines()):
        if line.startswith("    # "):
            if grouped and not before.strip():
                lines += ["", line[6:], ""]
            else:
                comment.append(line[6:])
        elif match := _FIELD.fullmatch(line):
            if not lines or not lines[-1].startswith("|"):
                lines += ["| setting | default | meaning |", "| --- | --- | --- |"]
            default = re.sub(r"field\(default_factory=(\w+)\)", r"\1()", match[2])
            meaning = match[3] or " ".join(comment)
            lines.append(f"| `{match[1]}` | `{default}` | {html.escape(meaning, quote=False)} |".replace("()`", "`"))
            comment = []
        elif line.startswith(("    def ", "    @")):
            break
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
