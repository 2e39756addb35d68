"""README and documentation: links, commands and Python examples work as written."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

import styleswap_core
from styleswap_core import cli

ROOT = Path(__file__).resolve().parents[1]
MAX_README_LINES = 150
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Made by .ci/site_hooks.py, which takes them from web/docs and from the root.
GENERATED = re.compile(r"nodes/StyleSwap_\w+\.md|contributing\.md|changelog\.md")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _code_blocks(path: Path, language: str) -> list[str]:
    """Contents of a page's code blocks of a language, "" for none."""
    text = path.read_text(encoding="utf-8")
    return [code for name, code in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if name == language]


def _commands(path: Path) -> list[list[str]]:
    """Words of each `styleswap` command in a page's code blocks."""
    lines = "\n".join(_code_blocks(path, "")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if re.match(r"\s*styleswap ", line)]
    return [command[1:] for command in words]


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_to_files_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.split("#")[0]
        if re.match(r"https?:|mailto:", target) or not path or GENERATED.fullmatch(path):
            continue
        if not (page.parent / path).is_file():
            missing.append(target)
    assert not missing


@pytest.mark.parametrize(("page", "words"), [(page, words) for page in PAGES for words in _commands(page)])
def test_commands_parse(page, words):
    if words == ["COMMAND", "--help"]:
        return
    args = cli.build_parser(words[0]).parse_args(words)
    assert args.command == words[0], _name(page)


@pytest.fixture
def examples(demo, tmp_path):
    """Folder that contains `demo-output`."""
    shutil.copytree(demo.folder, tmp_path / "demo-output")
    return tmp_path


@pytest.fixture
def run_code(zygote):
    """Runs code in a folder, in a process of its own."""

    def run(code: str, folder: Path) -> None:
        done = zygote.start(code, target="python_code:run", folder=folder)
        assert done.wait() == 0, done.stderr

    return run


def test_examples_of_the_python_page_run(examples, run_code):
    run_code("\n".join(_code_blocks(ROOT / "docs" / "python.md", "python")), examples)
    assert {"swapped.png", "blended.png", "alice.safetensors", "frame00003.png"} <= {
        path.name for path in examples.iterdir()
    }


def test_example_of_the_quick_start_runs(examples, run_code):
    (code,) = _code_blocks(ROOT / "docs" / "quick-start.md", "python")
    run_code(code, examples)
    assert (examples / "swapped.png").is_file()


def test_example_of_the_readme_runs(examples, run_code):
    shutil.copy(examples / "demo-output" / "source.png", examples / "alice.png")
    shutil.copy(examples / "demo-output" / "target.png", examples / "party.png")
    (code,) = _code_blocks(ROOT / "README.md", "python")
    run_code(code, examples)
    assert (examples / "swapped.png").is_file()


def test_the_api_reference_has_all_public_names():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/api").glob("*.md"))
    documented = set(re.findall(r"^::: (\S+)", pages, re.MULTILINE))
    places = {name: f"styleswap_core{module}" for name, module in styleswap_core._PUBLIC.items()}
    missing = [name for name, place in places.items() if not documented & {place, f"{place}.{name}"}]
    assert not missing


def test_a_run_in_one_version_of_comfyui_keeps_the_rows_of_the_others(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "comfyui"))
    from versions import rows_of, with_rows

    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    rows = {("0.25.0", "1.58.1", "Nodes 2.0"): "26 of 26", ("0.3.64", "1.27.10", "canvas"): "124 of 124"}
    page = with_rows(page, rows)
    assert rows_of(page) == rows
    rows = rows_of(page) | {("0.25.0", "1.58.1", "canvas"): "25 of 26", ("0.25.0", "1.45.19", "Nodes 2.0"): "26 of 26"}
    cells = list(rows_of(with_rows(page, rows)).items())
    assert dict(cells) == rows
    assert [frontend + nodes for (_, frontend, nodes), _ in cells] == [
        "1.27.10canvas",
        "1.45.19Nodes 2.0",
        "1.58.1canvas",
        "1.58.1Nodes 2.0",
    ]
